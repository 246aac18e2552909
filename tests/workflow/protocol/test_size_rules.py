"""Kernel sizes by rule: against counts and assignments worked out by hand, against the networks themselves, and bad input."""

import collections
import itertools
import statistics

import pytest

from workflow.protocol import bksef, size_rules
from workflow.protocol.size_rules import PLANNED, SEARCHED, cifar_resnet_layers
from workflow.support.errors import UserError

RESNET20 = cifar_resnet_layers(20)
LEARNED = [3, 2, 3, 3, 5, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5]  # of a search on CIFAR-10


@pytest.mark.parametrize(
    ("depth", "widths", "size", "parameters"),
    [
        (20, (16, 32, 64), 3, 269_722), (32, (16, 32, 64), 3, 464_154), (44, (16, 32, 64), 3, 658_586),
        (20, (25, 50, 100), 3, 656_335), (20, (25, 49, 101), 3, 660_251), (20, (10, 19, 39), 3, 99_975),
        (20, (14, 29, 54), 3, 199_517), (20, (22, 44, 87), 3, 500_379), (20, (15, 30, 60), 5, 654_805),
        (20, (11, 23, 42), 7, 658_751), (20, (16, 32, 64), 5, 744_858), (20, (16, 32, 64), 7, 1_457_562),
        (44, (10, 20, 38), 5, 660_884),
    ],
)  # fmt: skip
def test_parameters_of_known_networks(depth, widths, size, parameters):
    layers = cifar_resnet_layers(depth, widths=widths)
    assert layers.parameters(size_rules.uniform(layers, {"size": size})) == parameters


def test_sizes_by_stage_of_known_count():
    for by_stage, parameters in (((3, 4, 5), 669_594), ((7, 6, 4), 640_922), ((3, 3, 5), 630_170)):
        assert RESNET20.parameters([by_stage[stage] for stage in RESNET20.stages]) == parameters


@pytest.mark.parametrize(("channels", "classes", "side"), [(3, 10, 32), (1, 10, 28), (3, 1000, 32)])
def test_both_counts_are_those_of_the_network(channels, classes, side):
    import torch

    from baselines import build
    from effconv import count_macs, count_parameters

    layers = cifar_resnet_layers(20, widths=(5, 9, 18), channels=channels, classes=classes, image_size=side)
    with torch.random.fork_rng(devices=[]):
        model = build("cifar_resnet20", in_channels=channels, num_classes=classes, image_size=side, kernel_sizes=LEARNED,
                      widths=[5, 9, 18])  # fmt: skip
    assert layers.parameters(LEARNED) == count_parameters(model)
    assert layers.macs(LEARNED) == count_macs(model, (channels, side, side))


def test_bksefs_scores_by_hand():
    """Of 3, 5, 7: information ln 3.25, 4.75, 6.25 = 1.1787, 1.5581, 1.8326; accuracy 0.6501, 0.8262, 0.9137; cost 9, 25, 49."""
    middle = 0.45 * (0.3795 / 0.6539) + 0.45 * (0.1762 / 0.2636) - 0.1 * 16 / 40
    assert bksef.scores([3, 5, 7]) == pytest.approx([0, middle, 0.8], abs=1e-3)
    # Of 1, 3, 5: ln 1.75, 3.25, 4.75 = 0.5596, 1.1787, 1.5581; 0.2953, 0.6501, 0.8262; 1, 9, 25.
    middle = 0.45 * (0.6191 / 0.9985) + 0.45 * (0.3548 / 0.5309) - 0.1 * 8 / 24
    assert bksef.scores([1, 3, 5]) == pytest.approx([0, middle, 0.8], abs=1e-3)


@pytest.mark.parametrize(
    ("widths", "parameters"), [((16, 32, 64), 916_890), ((14, 28, 53), 659_223), ((7, 15, 30), 199_563)]
)
def test_the_rule_by_stage_and_its_count(widths, parameters):
    """7x7 in the first two stages (the size that BKSEF's own output shows), 5x5 in the third."""
    layers = cifar_resnet_layers(20, widths=widths)
    assert PLANNED["per-stage"](layers, {}) == [7] * 12 + [5] * 6
    a, b, c = widths
    learned = 49 * (6 * a * a + a * b + 5 * b * b) + 25 * (b * c + 5 * c * c)
    assert (
        layers.parameters([7] * 12 + [5] * 6)
        == learned + 27 * a + 2 * (7 * a + 6 * b + 6 * c) + 10 * c + 10
        == parameters
    )


def test_the_nearest_mix_is_the_nearest_of_all():
    layers = cifar_resnet_layers(8, widths=(4, 4, 8))
    for budget in (3_000, 4_000, 6_500):
        mix = PLANNED["mixed"](layers, {"budget": budget})
        small = min(mix)
        assert set(mix) <= {small, small + 1}
        every = (layers.parameters(found) for found in itertools.product((small, small + 1), repeat=6))
        assert abs(layers.parameters(mix) - budget) == min(abs(count - budget) for count in every)


@pytest.mark.parametrize("budget", [100_000, 200_000, 660_000])
def test_hand_rules_have_their_shape_and_the_budget(budget):
    rising, falling, bell = (PLANNED[rule](RESNET20, {"budget": budget}) for rule in ("rising", "falling", "bell"))
    assert rising == sorted(rising) and rising[0] < rising[-1]
    assert falling == sorted(falling, reverse=True) and falling[0] >= falling[-1] + 3
    assert max(bell) == bell[8] and bell[:9] == sorted(bell[:9]) == bell[:8:-1]
    for found in (rising, falling, bell):
        assert RESNET20.parameters(found) == pytest.approx(budget, rel=0.035)


def test_draws_are_uniform_over_all_assignments_within_a_percent():
    layers = cifar_resnet_layers(8, widths=(4, 4, 8))
    budget = 5_000
    allowed = [s for s in itertools.product(range(1, 8), repeat=6) if abs(layers.parameters(s) / budget - 1) <= 0.01]
    drawn = collections.Counter(tuple(PLANNED["random"](layers, {"budget": budget, "draw": n})) for n in range(2000))
    assert set(drawn) <= set(allowed)
    # Each layer's mean size over the draws against that over all allowed assignments: five standard errors.
    for layer in range(6):
        exact = [s[layer] for s in allowed]
        mean = sum(s[layer] * count for s, count in drawn.items()) / 2000
        assert mean == pytest.approx(statistics.mean(exact), abs=5 * statistics.stdev(exact) / 2000**0.5)


def test_draws_at_the_papers_budget():
    draws = [PLANNED["random"](RESNET20, {"budget": 660_000, "draw": n}) for n in range(200)]
    macs = [RESNET20.macs(draw) / 1e6 for draw in draws]
    # Known of rejection sampling at this budget: multiply-accumulates of 95 million on average, standard deviation 12.
    assert statistics.mean(macs) == pytest.approx(95, abs=4) and statistics.stdev(macs) == pytest.approx(12, abs=2)
    assert all(abs(RESNET20.parameters(draw) / 660_000 - 1) <= 0.01 for draw in draws)
    assert draws[0] == PLANNED["random"](RESNET20, {"budget": 660_000, "draw": 0}) != draws[1]


def test_draws_matched_in_macs():
    for number in range(5):
        found = SEARCHED["random"](RESNET20, {"budget": 660_000, "draw": number, "of": "x"}, LEARNED)
        assert abs(RESNET20.macs(found) / RESNET20.macs(LEARNED) - 1) <= 0.05
        found = PLANNED["random"](RESNET20, {"budget": 660_000, "draw": number, "macs": 110_000_000})
        assert abs(RESNET20.macs(found) / 110_000_000 - 1) <= 0.05


def test_a_permutation_within_stages_costs_the_same():
    seen = set()
    for draw in range(5):
        found = SEARCHED["permuted"](RESNET20, {"of": "x", "draw": draw}, LEARNED)
        assert found != LEARNED
        assert RESNET20.parameters(found) == RESNET20.parameters(LEARNED) and RESNET20.macs(found) == RESNET20.macs(
            LEARNED
        )
        # The layers that change the number of channels keep theirs; each stage keeps its sizes.
        assert (found[6], found[12]) == (LEARNED[6], LEARNED[12])
        assert sorted(found[:6]) == sorted(LEARNED[:6]) and sorted(found[12:]) == sorted(LEARNED[12:])
        seen.add(tuple(found))
    assert len(seen) > 1
    everywhere = SEARCHED["permuted"](RESNET20, {"of": "x", "within": "network"}, LEARNED)
    assert sorted(everywhere) == sorted(LEARNED) and everywhere != LEARNED


def test_equal_sizes_have_no_other_order():
    assert SEARCHED["permuted"](RESNET20, {"of": "x"}, [3] * 18) == [3] * 18


@pytest.mark.parametrize(
    ("spec", "words"),
    [({"budget": 5_000}, ["5,000", "budget"]), ({"budget": 660_000, "macs": 10**9}, ["1,000,000,000", "macs"])],
)
def test_what_no_draw_can_meet_is_said(spec, words):
    with pytest.raises(UserError) as caught:
        PLANNED["random"](RESNET20, spec)
    assert all(word in str(caught.value) for word in words)
