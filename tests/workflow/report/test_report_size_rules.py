"""Every verdict that each rule on sizes can give, on made-up results."""

import pytest
from rule_factory import finding

from workflow.report.verdicts import FAILS, HOLDS, NOT_RUN, TOLERANCE, UNDECIDED


def peaked(layer, size=7, count=18):
    return [size if index == layer else 3 for index in range(1, count + 1)]


@pytest.mark.parametrize(
    ("seeds", "verdict"),
    [
        ([peaked(5)] * 3, HOLDS),
        ([peaked(5), peaked(4), peaked(5)], TOLERANCE),
        ([peaked(17)] * 3, FAILS),
        ([peaked(9)] * 3, FAILS),
        ([peaked(5), peaked(17), peaked(9)], UNDECIDED),
        ([peaked(2), peaked(2), peaked(5)], UNDECIDED),  # too early by the mean, but not in every seed
        ([peaked(10), peaked(10), peaked(5)], UNDECIDED),
        ([peaked(9), peaked(9), peaked(4)], UNDECIDED),  # far off, but within the tolerance in one seed
        ([peaked(9), peaked(9), peaked(6)], UNDECIDED),
        ([peaked(4), peaked(4), peaked(5)], TOLERANCE),
        ([peaked(5)] * 2, HOLDS),
        ([peaked(12)] * 3, FAILS),
        ([peaked(13)] * 3, FAILS),
        ([peaked(5)], UNDECIDED),
        ([], NOT_RUN),
    ],
)
def test_largest_layer(tmp_path, seeds, verdict):
    part = {"rule": "largest_layer", "row": "a", "layer": 5, "tolerance": 1, "deepest": 6}
    assert finding(tmp_path, part, sizes={"a": seeds}) == verdict


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([[5, 5, 2, 2]] * 3, [[5, 5, 4, 4]] * 3, HOLDS),
        ([[5, 5, 2, 2]] * 3, [[5, 4, 4, 4]] * 3, TOLERANCE),
        ([[5, 5, 2, 2]] * 3, [[5, 5, 4, 4], [5, 5, 4, 4], [5, 4, 4, 4]], TOLERANCE),
        ([[5, 5, 2, 2]] * 2, [[5, 5, 4, 4]] * 2, HOLDS),
        ([[5, 5, 2, 2]] * 3, [[2, 2, 2, 2]] * 3, FAILS),
        ([[5, 5, 2, 2]], [[5, 5, 4, 4]], UNDECIDED),
        ([[5, 5, 2, 2]], [], NOT_RUN),
    ],
)
def test_first_layers_agree(tmp_path, a, b, verdict):
    part = {"rule": "first_layers_agree", "row": "a", "other": "b", "layers": 2, "tolerance": 0.5}
    assert finding(tmp_path, part, sizes={"a": a, "b": b}) == verdict


@pytest.mark.parametrize(("theirs", "verdict"), [([33, 33], HOLDS), ([9, 15], FAILS)])
def test_kernel_steps(tmp_path, theirs, verdict):
    part = {"rule": "kernel_steps", "row": "a", "other": "b", "side_of_input": 33}
    assert finding(tmp_path, part, sizes={"a": [[3, 5]] * 3, "b": [theirs] * 3}) == verdict


@pytest.mark.parametrize(
    ("sizes", "count", "verdict"),
    [
        ([3, 3, 3], 660_000, HOLDS),
        ([7, 7, 7], 660_000, TOLERANCE),
        ([3, 3, 3], 680_000, TOLERANCE),
        ([3, 3, 3], 650_000, HOLDS),
        ([3, 3, 3], 900_000, FAILS),
    ],
)
def test_searches_settle(tmp_path, sizes, count, verdict):
    part = {"rule": "searches_settle", "budget": 0.02, "drift": 0.1}
    assert finding(tmp_path, part, sizes={"a": [sizes] * 3}, count=count) == verdict


def test_searches_settle_without_a_search(tmp_path):
    assert (
        finding(
            tmp_path, {"rule": "searches_settle", "budget": 0.02, "drift": 0.1}, accuracies={"a": [92.3, 92.35, 92.4]}
        )
        == NOT_RUN
    )
