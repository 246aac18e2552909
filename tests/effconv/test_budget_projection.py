"""The budget's surface: soft sizes on it exactly, gradients along it, whole sizes near it."""

import itertools
import math

import pytest
import torch
import torch.nn.functional as F

from effconv import KernelSizeSearch, SearchOptions, cifar_resnet, soft_size
from effconv.budget_projection import round_to_budget, shift_to_budget

FACTORS = torch.tensor([1.0, 4.0, 16.0])


def test_soft_sizes_lie_on_the_budget():
    numbers = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64)
    shift = shift_to_budget(numbers, soft_size, FACTORS.double(), 300.0)
    # By hand: sigma(x) = 3 tanh(x / 3 - 0.35) + 4.
    sizes = [3 * math.tanh((x + float(shift)) / 3 - 0.35) + 4 for x in numbers.tolist()]
    assert sum(f * s * s for f, s in zip([1, 4, 16], sizes, strict=True)) == pytest.approx(300, rel=1e-12)


def test_the_gradient_is_the_implicit_functions():
    numbers = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    sizes = soft_size(numbers + shift_to_budget(numbers, soft_size, FACTORS.double(), 300.0))
    (sizes * torch.tensor([3.0, -1.0, 0.5])).sum().backward()
    # By differences of exact solutions, which know nothing of the formula.
    step, found = 1e-5, []
    for place in range(3):
        ends = []
        for sign in (1, -1):
            moved = numbers.detach().clone()
            moved[place] += sign * step
            on = soft_size(moved + shift_to_budget(moved, soft_size, FACTORS.double(), 300.0))
            ends.append(float((on * torch.tensor([3.0, -1.0, 0.5])).sum()))
        found.append((ends[0] - ends[1]) / (2 * step))
    torch.testing.assert_close(numbers.grad, torch.tensor(found, dtype=torch.float64), rtol=1e-5, atol=1e-8)
    # What would change the count alone is taken out: moving every number alike changes nothing.
    assert float(numbers.grad.sum()) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("step", [1, 2])
def test_whole_sizes_are_the_nearest_of_all_that_meet_the_budget_here(step):
    soft, factors, target = [2.4, 3.7, 5.2, 4.5], [256, 512, 1024, 1024], 256 * 9 + 512 * 16 + 1024 * 25 + 1024 * 16
    sizes = round_to_budget(soft, factors, target, 0.05, step)
    # By trying every choice of a neighbour above or below.
    below = [1 + step * math.floor((value - 1) / step) for value in soft]
    every = [
        tuple(b + step * up for b, up in zip(below, ups, strict=True)) for ups in itertools.product((0, 1), repeat=4)
    ]
    miss = {s: abs(sum(f * v * v for f, v in zip(factors, s, strict=True)) / target - 1) for s in every}
    good = [s for s in every if miss[s] <= 0.05]
    if good:
        assert sizes == min(good, key=lambda s: sum((a - b) ** 2 for a, b in zip(s, soft, strict=True)))
    else:
        assert sizes == min(every, key=miss.get)


def search_of(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cifar_resnet(20)
    options = SearchOptions(kernel_predictor="projected", budget_method="rescale", **options)
    return KernelSizeSearch(model, input_shape=(3, 32, 32), parameters=660_000, options=options)


@pytest.mark.parametrize("mask", ["gaussian", "fractional"])
def test_a_rescaled_search_meets_the_budget_from_the_first_step(mask):
    search = search_of(mask=mask, kernel_order="nested").train()
    soft, sizes = search.soft_sizes, search.sizes
    # ResNet-20's residual layers by hand: 6 of 16x16 channels, one 16x32, 5 of 32x32, one 32x64, 5 of 64x64; 2,458 elsewhere.
    weights = [256] * 6 + [512] + [1024] * 5 + [2048] + [4096] * 5
    assert sum(w * v * v for w, v in zip(weights, soft, strict=True)) + 2458 == pytest.approx(660_000, rel=1e-5)
    assert sum(w * s * s for w, s in zip(weights, sizes, strict=True)) + 2458 == pytest.approx(660_000, rel=0.01)
    assert search.learned().chosen["within"]
    generator = torch.Generator().manual_seed(0)
    loss = F.cross_entropy(search(torch.randn(4, 3, 32, 32, generator=generator)), torch.tensor([0, 1, 2, 3]))
    assert search.penalty().item() == 0
    (loss + search.penalty()).backward()
    search.after_backward()
    assert all(gradient > 0 for gradient in search.learned().trajectory["gradient_loss"][0])


def test_two_budgets_cannot_both_be_met_by_construction():
    model = cifar_resnet(8, widths=(4, 4, 8))
    options = SearchOptions(kernel_predictor="projected", budget_method="rescale")
    with pytest.raises(ValueError, match="one budget exactly"):
        KernelSizeSearch(model, input_shape=(3, 16, 16), parameters=4000, macs=300_000, options=options)
