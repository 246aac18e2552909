"""From an interval to a verdict, by hand; and the verdict on a claim of several parts."""

import pytest

from workflow.report.claims import verdicts
from workflow.report.claims.verdicts import FAILS, HOLDS, NOT_RUN, TOLERANCE, UNDECIDED, Finding, together
from workflow.report.stats import Difference


@pytest.mark.parametrize(
    ("low", "value", "high", "margin", "tolerance", "verdict"),
    [
        (0.1, 0.3, 0.5, 0.0, 0.0, HOLDS),
        (-0.1, 0.3, 0.7, 0.0, 0.0, UNDECIDED),
        (-0.7, -0.3, -0.1, 0.0, 0.0, FAILS),
        (4.0, 4.6, 5.2, 4.46, 1.0, HOLDS),
        (3.5, 4.0, 4.5, 4.46, 1.0, TOLERANCE),
        (1.0, 2.0, 3.0, 4.46, 1.0, FAILS),
        (1.0, 3.0, 5.0, 4.46, 1.0, UNDECIDED),
        (None, 3.0, None, 0.0, 0.0, UNDECIDED),
    ],
)
def test_larger(low, value, high, margin, tolerance, verdict):
    assert verdicts.larger(Difference(value, low, high), margin=margin, tolerance=tolerance) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.5, HOLDS), (-0.2, 0.1, TOLERANCE), (-0.5, 0.1, UNDECIDED), (-0.9, -0.4, FAILS), (None, None, UNDECIDED)],
)
def test_not_smaller(low, high, verdict):
    assert verdicts.not_smaller(Difference(0.0, low, high), tolerance=0.3) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.2, 0.2, HOLDS), (-0.5, 0.2, UNDECIDED), (0.4, 0.6, FAILS), (-0.6, -0.4, FAILS), (None, None, UNDECIDED)],
)
def test_equal(low, high, verdict):
    assert verdicts.equal(Difference(0.0, low, high), tolerance=0.3) == verdict


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [(7.5, 7.2, 7.8, HOLDS), (6.0, 5.8, 6.2, TOLERANCE), (5.5, 5.2, 5.8, UNDECIDED), (3.0, 2.9, 3.1, FAILS)],
)
def test_at_least(value, low, high, verdict):
    assert verdicts.at_least(value, low, high, claimed=7.0, tolerance=0.2) == verdict


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [(1.3, 1.2, 1.4, HOLDS), (1.5, 1.45, 1.55, TOLERANCE), (1.6, 1.55, 1.65, UNDECIDED), (3.0, 2.9, 3.1, FAILS)],
)
def test_about(value, low, high, verdict):
    assert verdicts.about(value, low, high, claimed=1.26, tolerance=0.25) == verdict


def test_verdicts_at_the_very_limits():
    """By the definitions at the top of verdicts.py: "above" and "below" are strict, "reaches" and "no more than" are not."""
    larger = lambda value, low, high, margin=0.0: verdicts.larger(
        Difference(value, low, high), margin=margin, tolerance=0.5 if margin else 0.0
    )
    assert larger(1.0, 0.0, 2.0) == UNDECIDED and larger(-1.0, -2.0, 0.0) == UNDECIDED
    assert larger(2.0, 1.0, 3.0, margin=2.0) == HOLDS and larger(1.5, 1.0, 2.0, margin=2.0) == TOLERANCE
    assert larger(1.25, 1.0, 1.5, margin=2.0) == UNDECIDED  # the interval ends where the tolerance does
    assert larger(1.5, 0.0, 3.0, margin=2.0) == UNDECIDED and larger(3.0, 0.0, 6.0, margin=2.0) == UNDECIDED
    assert larger(-0.1, -0.3, -0.2, margin=0.25) == FAILS  # below zero, although the tolerance reaches lower
    par = lambda low, high: verdicts.not_smaller(Difference(0.0, low, high), tolerance=0.5)
    assert par(0.0, 1.0) == TOLERANCE and par(-0.5, 0.0) == TOLERANCE and par(-1.0, -0.5) == UNDECIDED
    same = lambda low, high: verdicts.equal(Difference(0.0, low, high), tolerance=0.5)
    assert same(-0.5, 0.5) == HOLDS and same(0.5, 1.0) == UNDECIDED and same(-1.0, -0.5) == UNDECIDED
    reaches = lambda value, low, high: verdicts.at_least(value, low, high, claimed=8.0, tolerance=0.25)
    assert (
        reaches(9.0, 8.0, 10.0) == HOLDS and reaches(6.0, 5.0, 7.0) == TOLERANCE and reaches(5.0, 4.0, 6.0) == UNDECIDED
    )
    assert reaches(5.0, 4.0, 5.5) == FAILS
    near = lambda value, low, high: verdicts.about(value, low, high, claimed=8.0, tolerance=0.25)
    assert near(9.0, 8.0, 11.0) == HOLDS and near(7.0, 5.0, 8.0) == HOLDS
    assert near(10.0, 9.0, 11.0) == TOLERANCE and near(6.0, 5.0, 7.0) == TOLERANCE
    assert near(5.0, 4.0, 6.0) == UNDECIDED and near(11.0, 10.0, 12.0) == UNDECIDED
    assert near(5.0, 4.0, 5.5) == FAILS and near(11.0, 10.5, 12.0) == FAILS


def test_a_claim_of_parts_is_as_good_as_its_worst():
    def verdict(*names):
        return together([Finding(name, name) for name in names]).verdict

    assert verdict(HOLDS, TOLERANCE) == TOLERANCE
    assert verdict(HOLDS, UNDECIDED, TOLERANCE) == UNDECIDED
    assert verdict(NOT_RUN, HOLDS) == NOT_RUN
    assert verdict(NOT_RUN, FAILS) == FAILS  # one false part makes the whole false
    assert together([Finding(HOLDS, "x"), Finding(HOLDS, "y")]).measured == "x\ny"
