"""How much of the sizes images explain: by hand, and by simulation."""

from dataclasses import replace

import numpy as np
import pytest
import report_factory as factory
import torch

from effconv import cifar_resnet, learn_kernel_sizes
from workflow.report.components import variance_difference
from workflow.report.figures import alt_of, lines_of
from workflow.report.image_share import OF_KERNELS, ImageShare, image_share, shares_of
from workflow.report.page import findings
from workflow.report.results import gather
from workflow.report.rows import rows_in
from workflow.report.stats import Interval


def test_what_repeats_over_seeds_is_explained():
    # Twins are flat, both seeds find 1 2 3: all of the variance (1) is the images', and nothing is left to doubt.
    found = image_share([[1, 2, 3], [1, 2, 3]], [[3, 3, 3], [3, 3, 3]])
    assert (found.repeating.value, found.repeating.ends, found.moved) == (1.0, (1.0, 1.0), 1.0)
    assert (found.seeds, found.layers) == (2, 3)


def test_what_does_not_repeat_is_not():
    # Seeds find 1 2 3 and 3 2 1: mean square of layers 0, of the rest 2, so the component is -1: none.
    found = image_share([[1, 2, 3], [3, 2, 1]], [[3, 3, 3], [3, 3, 3]])
    assert (found.repeating.value, found.moved) == (0.0, 1.0)
    assert found.repeating.low == 0


def test_by_hand_with_both_parts():
    # d = (-1 0 1), (-2 1 1) less their means: common (-1.5 0.5 1), squares 3.5; rest 2 (0.25 + 0.25 + 0) = 1.
    # Mean squares: layers 2 * 3.5 / 2 = 3.5, rest 1 / 2 = 0.5; component (3.5 - 0.5) / 2 = 1.5.
    # Sizes are twice d: their variance over layers is 4 * (2 + 6) / 4 = 8; moved (2 + 6) / 4 / 8 = 0.25.
    sizes = np.array([[-2.0, 0, 2], [-4, 2, 2]]) + 5
    found = image_share(sizes, sizes / 2)
    assert found.repeating.value == pytest.approx(1.5 / 8)
    assert found.moved == pytest.approx(0.25)
    # The 95 % interval of that component, half of the mean squares', over 8; the upper end is beyond 1, a whole.
    low, high = variance_difference(3.5 / 2, 2, 0.5 / 2, 2, 0.025)
    assert low < 0 and high / 8 > 1 and found.repeating.ends == (0.0, 1.0)
    scaled = image_share(10 * sizes, 10 * sizes - sizes / 2)  # the same difference, a hundredth of the share
    assert scaled.repeating.ends == pytest.approx((0.0, high / 800))


def test_a_shift_of_all_layers_is_the_budgets():
    found = image_share([[2, 3, 4], [3, 4, 5]], [[1, 2, 3], [1, 2, 3]])
    assert (found.repeating.value, found.moved) == (0.0, 0.0)


def test_what_moved_needs_not_be_whole():
    # d = (0 0 0.5 -0.5) in both seeds: squares 1, over 2 seeds and 4 - 1 layers 1 / 6. Sizes: squares 10, variance 10 / 6.
    sizes = np.array([[0.0, 1, 2, 3]] * 2)
    assert image_share(sizes, sizes - np.array([0, 0, 0.5, -0.5])).moved == pytest.approx(0.1)


@pytest.mark.parametrize("deviation", [0.0, 0.3, 1.0])
def test_the_interval_holds_the_true_share_about_as_often_as_it_says(deviation):
    generator, held = np.random.default_rng(1), 0
    twin = generator.normal(size=18)
    twin = (twin - twin.mean()) / twin.std()  # variance 1 over the layers, of the n formula
    for _ in range(400):
        images = generator.normal(scale=deviation, size=18)
        noise = generator.normal(scale=0.3, size=(3, 18))
        found = image_share(twin + images + noise, np.tile(twin, (3, 1)))
        truth = deviation**2 / (18 / 17 + deviation**2 + 0.09)
        held += found.repeating.low <= truth <= found.repeating.high
    assert held / 400 > 0.9


@pytest.mark.parametrize(
    ("learned", "free"),
    [([], []), ([[1, 2]], [[1, 2]]), ([[1], [2]], [[1], [2]]), ([[2, 2], [2, 2]], [[1, 1], [1, 1]])],
)
def test_too_little_says_nothing(learned, free):
    assert image_share(learned, free) is None


def test_twins_are_found_by_their_search_and_compared_by_the_seeds_that_both_have(tmp_path):
    others = {"budget": {}, "method": {"budget_method": "rescale"}, "mask": {"mask_centre": "centred"}}
    names = ("eff", "twin", *others)
    plan = factory.plan_of(
        {"table4": {"dataset": "cifar10", "rows": [factory.entry(name, learn=660_000) for name in names]}}
    )
    runs = []
    for run in plan.runs:
        search = run.search
        if run.row == "twin":
            search = replace(search, options={"data_free": True})
        if run.row in others:  # of which the mask alone shares the twin: nothing without images depends on it
            search = replace(search, options=others[run.row], parameters=500_000 if run.row == "budget" else 660_000)
        runs.append(replace(run, search=search))
    plan = replace(plan, runs=tuple(runs))
    for run in runs:
        if run.row != "twin" or run.seed < 2:
            factory.write_search(tmp_path / "paper", run, [3] * 6 if run.row == "twin" else [1, 2, 3, 3, 4, 5])
    evidence = gather(plan, tmp_path / "paper")
    found = shares_of(rows_in(evidence, "table4"))
    assert [(row.id, share.seeds, share.layers) for row, share in found] == [("eff", 2, 6), ("mask", 2, 6)]
    for _, share in found:
        assert share.repeating.value == share.moved == pytest.approx(1)
    drawn = lines_of("image-share", evidence)
    assert {(line["row"], line["seeds"]) for line in drawn} == {("eff", 2), ("mask", 2)}
    assert (drawn[-1]["epoch"], drawn[-1]["share"], drawn[-1]["moved"]) == (found[0][0].run.search.epochs, 100, 100)
    said = "sizes. eff: 100 % [100, 100] at the end. mask: 100 % [100, 100] at the end."
    assert alt_of("image-share", drawn, plan).endswith(said)
    # A viewer whose preset searches longer sees the epochs of the searches that were run.
    longer = [replace(run, search=replace(run.search, epochs=run.search.epochs + 7)) for run in runs]
    seen = gather(replace(plan, runs=tuple(longer)), tmp_path / "paper")
    assert lines_of("image-share", seen)[-1]["epoch"] == drawn[-1]["epoch"]


OTHER_KERNELS = {
    "mask": "none", "mask_centre": "centred", "kernel_predictor": "literal", "hidden": 3, "kernel_order": "nested",
    "even_padding": "start", "lr_network": 0.1, "lr_kernel_predictor": 0.1,
}  # fmt: skip


def test_without_images_no_size_depends_on_the_kernels():
    def soft_sizes(**options):
        batches = [(torch.randn(4, 3, 8, 8), torch.arange(4))] * 8
        learned = learn_kernel_sizes(
            cifar_resnet(8, widths=(2, 4, 4)),
            batches,
            parameters=1800,
            lr_size_predictor=0.02,
            data_free=True,
            **options,
        )
        return list(learned.last["soft_sizes"].values())

    plain = soft_sizes()
    assert OTHER_KERNELS.keys() == OF_KERNELS
    assert all(soft_sizes(**{name: value}) == plain for name, value in OTHER_KERNELS.items())
    assert soft_sizes(budget_method="rescale") != plain


def test_the_words_of_a_share_are_whole_percents():
    share = ImageShare(Interval(0.4624, 0.2451, 1.0), 0.5204, 2, 18)
    assert findings.share_words(share) == "46 % [25, 100]"
