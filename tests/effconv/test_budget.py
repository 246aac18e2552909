"""Eqs. 3 and 4, whole-network counts, and budgets out of reach."""

from math import log

import pytest
import torch

from effconv import budget_loss
from effconv.budget import Budget, Costs, parse_count

# Two layers: 16 x 3 channels at 8 x 8 positions, 32 x 16 at 4 x 4; 100 other parameters, 1000 other MACs.
COSTS = Costs(weights=(48, 512), positions=(64, 16), fixed_parameters=100, fixed_macs=1000)


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def test_loss_by_hand_on_both_sides():
    for count in (50.0, 200.0):
        (x,) = (tensor(count),)
        loss = budget_loss(x.sum(), 100)
        assert loss.item() == pytest.approx(log(2))
        loss.backward()
        assert x.grad.item() == pytest.approx((1 if count > 100 else -1) / count)


@pytest.mark.parametrize("count", [30.0, 300.0])
def test_loss_gradcheck(count):
    assert torch.autograd.gradcheck(lambda x: budget_loss(x.sum(), 100.0), tensor(count))


def test_equation_3_by_hand():
    assert COSTS.kernels("parameters", [3, 5]) == 48 * 9 + 512 * 25
    assert COSTS.total("parameters", [3, 5]) == 48 * 9 + 512 * 25 + 100
    assert COSTS.total("macs", [3, 5]) == 48 * 9 * 64 + 512 * 25 * 16 + 1000


@pytest.mark.parametrize(("scope", "target"), [("total", 4900), ("kernels", 5000)])
def test_loss_of_sizes_by_hand(scope, target):
    sizes = tensor(3.0, 2.0)  # 432 + 2048 = 2480 learned weights
    loss = Budget(parameters=5000, scope=scope).loss(COSTS, sizes)
    assert loss.item() == pytest.approx(log(target / 2480))
    loss.backward()  # below the budget: -(2 c s) / count
    assert sizes.grad.tolist() == pytest.approx([-2 * 48 * 3 / 2480, -2 * 512 * 2 / 2480])


def test_both_budgets_add_up():
    sizes = tensor(3.0, 2.0)
    macs = 48 * 9 * 64 + 512 * 4 * 16
    loss = Budget(parameters=5000, macs=101000).loss(COSTS, sizes)
    assert loss.item() == pytest.approx(log(4900 / 2480) + log(100000 / macs))


def test_gradcheck_of_sizes():
    budget = Budget(parameters=5000, macs=101000)
    assert torch.autograd.gradcheck(lambda sizes: budget.loss(COSTS, sizes), tensor(3.0, 2.0))


def test_deviation():
    assert Budget(parameters=2480).deviation(COSTS, [3, 2]) == pytest.approx(100 / 2480)
    assert Budget(parameters=2680).deviation(COSTS, [3, 2]) == pytest.approx(100 / 2680)  # 2,580 there
    # MACs at these sizes: 48 * 9 * 64 + 512 * 4 * 16 + 1000 = 61,416; the greater deviation counts
    assert Budget(parameters=2680, macs=61_416 * 2).deviation(COSTS, [3, 2]) == pytest.approx(0.5)
    assert Budget(parameters=2480, scope="kernels").deviation(COSTS, [3, 2]) == 0
    assert Budget().deviation(COSTS, [3, 2]) == 0


def test_signed_by_hand():
    sizes = tensor(3.0, 2.0)
    macs = 48 * 9 * 64 + 512 * 4 * 16
    assert Budget(parameters=5000).signed(COSTS, sizes).item() == pytest.approx(log(2480 / 4900))
    both = Budget(parameters=1340, macs=2 * macs + 1000)  # twice what is left for the kernels, and half
    assert both.signed(COSTS, sizes).item() == pytest.approx(log(2) - log(2))
    assert both.loss(COSTS, sizes).item() == pytest.approx(2 * log(2))
    assert Budget(parameters=2480, macs=macs, scope="kernels").signed(COSTS, sizes).item() == pytest.approx(0)
    assert Budget().signed(COSTS, sizes).item() == 0


def test_nothing_left_for_the_kernels_counts_as_one_weight():
    sizes = tensor(1.0, 1.0)  # 560 learned weights
    assert Budget(parameters=100).loss(COSTS, sizes).item() == pytest.approx(log(560))
    assert Budget(parameters=100).signed(COSTS, sizes).item() == pytest.approx(log(560))


@pytest.mark.parametrize("wanted", [659, 27_541])
def test_out_of_reach(wanted):
    # least 48 + 512 + 100, greatest (48 + 512) * 49 + 100
    with pytest.raises(ValueError, match="give the whole network .* from 660 .* to 27,540"):
        Budget(parameters=wanted).check(COSTS, [7, 7])
    with pytest.raises(ValueError, match="give the learned kernels .* from 560 .* to 27,440"):
        Budget(parameters=30_000, scope="kernels").check(COSTS, [7, 7])


@pytest.mark.parametrize("wanted", [660, 10_000, 27_540])
def test_within_reach(wanted):
    Budget(parameters=wanted).check(COSTS, [7, 7])


@pytest.mark.parametrize(
    "scope", ["all", "layers", "whole"]
)  # by the alphabet, before, between and after those there are
def test_an_unknown_scope_is_named(scope):
    with pytest.raises(ValueError, match=f"budget_scope is '{scope}': choose one of total, kernels"):
        Budget(scope=scope)


def test_no_budget_is_no_loss():
    assert Budget().loss(COSTS, tensor(3.0, 2.0)).item() == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [("0.66M", 660_000), ("80m", 80_000_000), ("12k", 12_000), ("1.2G", 1_200_000_000), ("77", 77), ("1", 1)],
)
def test_parse_count(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "M", "much", "-3", "0", "0.4", "nan", "inf"])
def test_parse_count_refuses(text):
    with pytest.raises(ValueError, match="write it like"):
        parse_count(text)
