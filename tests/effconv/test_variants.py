"""The controls and our variant, piece by piece: no mask, odd sizes, nested kernels, fractional masks, a budget weight that adapts."""

import pytest
import torch
import torch.nn.functional as F

from effconv import KernelPredictor, KernelSizeSearch, SearchOptions, cifar_resnet
from effconv.kernel_predictor import nested_order

SHAPE = (3, 16, 16)


def search_of(*, budget=None, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cifar_resnet(8, widths=(4, 4, 8))
    options = SearchOptions(kernel_predictor="projected", record_every=1, **options)
    return KernelSizeSearch(model, input_shape=SHAPE, parameters=budget, options=options).train()


def step(search, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(8, *SHAPE, generator=generator)
    loss = F.cross_entropy(search(images), torch.randint(0, 10, (8,), generator=generator)) + search.penalty()
    search.zero_grad()
    loss.backward()
    search.after_backward()
    return loss


def test_nested_steps_by_hand():
    # Size 2 adds a column and a row at the end to size 1; size 3 a row and a column at the start to size 2.
    assert nested_order(1) == [0]
    assert nested_order(2) == [0, 1, 2, 3]
    assert nested_order(3) == [4, 5, 6, 7, 0, 1, 8, 2, 3]
    # Padding at the start: size 2 adds its row and column before.
    assert nested_order(2, "start") == [1, 2, 3, 0]


@pytest.mark.parametrize("even_padding", ["end", "start"])
def test_a_nested_kernel_keeps_its_inside_when_it_grows(even_padding):
    generator = torch.Generator().manual_seed(0)
    from effconv import KernelPredictors

    predictors = KernelPredictors(
        [(2, 3)], variant="projected", order="nested", even_padding=even_padding, generator=generator
    )
    for size in range(1, 7):
        small, large = predictors([size])[0], predictors([size + 1])[0]
        before = (size // 2 - (size - 1) // 2) if even_padding == "end" else ((size + 1) // 2 - size // 2)
        torch.testing.assert_close(large[:, :, before : before + size, before : before + size], small, rtol=0, atol=0)


def test_an_unknown_order_is_named():
    with pytest.raises(ValueError, match="kernel_order is 'spiral'"):
        SearchOptions(kernel_order="spiral")
    assert KernelPredictor(2, 2, "projected")(3).shape == (2, 2, 3, 3)


def jump(**options):
    """How far the logits move, as a share of their size, when every soft size passes 4."""
    search = search_of(size_predictor="free", **options)
    images = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(0))
    outputs = []
    for sign in (-1, 1):
        with torch.no_grad():
            search.set_sizes([4] * 6)
            search.size_predictor.x.add_(sign * 1e-4)
            outputs.append(search(images))
    return float((outputs[0] - outputs[1]).abs().max() / outputs[0].abs().max())


def test_a_fractional_search_is_continuous_where_its_kernels_gain_a_row():
    assert jump(mask="fractional", kernel_order="nested") < 0.01 < 0.1 < jump(mask="fractional", kernel_order="rows")


def test_without_a_mask_the_loss_does_not_reach_the_sizes():
    search = search_of(mask="none", budget=4000)
    step(search)
    trajectory = search.learned().trajectory
    assert trajectory["gradient_loss"][0] == [0.0] * 6 and min(trajectory["gradient_budget"][0]) > 0


def test_no_mask_and_budget_alone_choose_the_same_sizes():
    found = []
    for options in ({"mask": "none"}, {"data_free": True}):
        search = search_of(budget=4000, lr_size_predictor=0.01, **options)
        optimizer = torch.optim.AdamW(search.parameter_groups())
        for number in range(5):
            step(search, number)
            optimizer.step()
        found.append(search.soft_sizes)
    assert found[0] == found[1] and found[0] != search_of(budget=4000).soft_sizes


@pytest.mark.parametrize("budget_method", ["penalty", "rescale"])
@pytest.mark.parametrize("mask", ["gaussian", "fractional"])
def test_odd_sizes_only(budget_method, mask):
    search = search_of(odd_only=True, budget=4000, budget_method=budget_method, mask=mask)
    step(search)
    trajectory = search.learned().trajectory
    assert {size for size in trajectory["sizes"][0]} <= {1, 3, 5, 7}
    assert all(kernel.shape[-1] in (1, 3, 5, 7) for kernel in search.step_kernels())
    assert all(size in (1, 3, 5, 7) for size in search.learned().sizes.values())


def test_the_budgets_weight_adapts():
    search = search_of(budget=8000, budget_method="multiplier")
    step(search)
    below = float(search.predicted.multiplier)
    assert search.deployed_parameters() < 8000 and below < 0  # too small a network: the term must push sizes up
    step(search)
    assert float(search.predicted.multiplier) < below
    resumed = search_of(budget=8000, budget_method="multiplier")
    resumed.load_state_dict(search.state_dict())
    assert float(resumed.predicted.multiplier) == float(search.predicted.multiplier)
