"""From an interval to a verdict, by hand; and the verdict on a claim of several parts."""

import pytest

from workflow.report.claims import verdicts
from workflow.report.claims.verdicts import (
    EQUAL,
    FAILS,
    HOLDS,
    NOT_RUN,
    OPEN,
    OPPOSITE,
    SAME,
    TOLERANCE,
    UNDECIDED,
    Finding,
    joint_p,
    together,
)
from workflow.report.stats import Interval, sample, welch


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
    ],
)
def test_larger(low, value, high, margin, tolerance, verdict):
    assert verdicts.larger(Interval(value, low, high), margin=margin, tolerance=tolerance) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.1, 0.5, HOLDS), (-0.2, 0.1, TOLERANCE), (-0.5, 0.1, UNDECIDED), (-0.9, -0.4, FAILS)],
)
def test_not_smaller(low, high, verdict):
    assert verdicts.not_smaller(*[Interval(0.0, low, high)] * 2, tolerance=0.3) == verdict


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.2, 0.2, HOLDS), (-0.5, 0.2, UNDECIDED), (0.4, 0.6, FAILS), (-0.6, -0.4, FAILS)],
)
def test_equal(low, high, verdict):
    assert verdicts.equal(*[Interval(0.0, low, high)] * 2, tolerance=0.3) == verdict


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (7.5, 7.2, 7.8, HOLDS),
        (6.0, 5.8, 6.2, TOLERANCE),
        (6.0, 1.0, 9.0, UNDECIDED),
        (5.5, 5.2, 5.8, UNDECIDED),
        (3.0, 2.9, 3.1, FAILS),
    ],
)
def test_at_least(value, low, high, verdict):
    assert verdicts.at_least(Interval(value, low, high), claimed=7.0, tolerance=0.2) == verdict


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (1.3, 1.2, 1.4, HOLDS),
        (1.5, 1.45, 1.55, TOLERANCE),
        (1.6, 1.55, 1.65, UNDECIDED),
        (3.0, 2.9, 3.1, FAILS),
        (3.0, 1.0, 9.0, UNDECIDED),  # the claimed ratio lies inside, and so does nearly everything else
    ],
)
def test_about(value, low, high, verdict):
    assert verdicts.about(Interval(value, low, high), claimed=1.26, tolerance=0.25) == verdict


def test_verdicts_at_the_very_limits():
    """By the definitions at the top of verdicts.py: "above" and "below" are strict, "reaches" and "no more than" are not."""
    larger = lambda value, low, high, margin=0.0: verdicts.larger(
        Interval(value, low, high), margin=margin, tolerance=0.5 if margin else 0.0
    )
    assert larger(1.0, 0.0, 2.0) == UNDECIDED and larger(-1.0, -2.0, 0.0) == UNDECIDED
    assert larger(2.0, 1.0, 3.0, margin=2.0) == HOLDS and larger(1.5, 1.0, 2.0, margin=2.0) == TOLERANCE
    assert larger(1.25, 1.0, 1.5, margin=2.0) == UNDECIDED  # the interval ends where the tolerance does
    assert larger(1.5, 0.0, 3.0, margin=2.0) == UNDECIDED and larger(3.0, 0.0, 6.0, margin=2.0) == UNDECIDED
    assert larger(-0.1, -0.3, -0.2, margin=0.25) == FAILS  # below zero, although the tolerance reaches lower
    par = lambda low, high: verdicts.not_smaller(*[Interval(0.0, low, high)] * 2, tolerance=0.5)
    assert par(0.0, 1.0) == TOLERANCE and par(-0.5, 0.0) == TOLERANCE and par(-1.0, -0.5) == UNDECIDED
    same = lambda low, high: verdicts.equal(*[Interval(0.0, low, high)] * 2, tolerance=0.5)
    assert same(-0.5, 0.5) == HOLDS and same(0.5, 1.0) == UNDECIDED and same(-1.0, -0.5) == UNDECIDED
    reaches = lambda value, low, high: verdicts.at_least(Interval(value, low, high), claimed=8.0, tolerance=0.25)
    assert (
        reaches(9.0, 8.0, 10.0) == HOLDS and reaches(7.0, 6.0, 8.0) == TOLERANCE and reaches(7.0, 5.5, 8.0) == UNDECIDED
    )
    assert reaches(5.0, 4.0, 5.5) == FAILS and reaches(5.0, 4.0, 6.0) == UNDECIDED
    near = lambda value, low, high: verdicts.about(Interval(value, low, high), claimed=8.0, tolerance=0.25)
    assert near(8.0, 6.0, 10.0) == HOLDS and near(9.0, 8.0, 10.0) == HOLDS and near(7.0, 6.0, 8.0) == HOLDS
    assert near(9.5, 9.0, 10.0) == TOLERANCE and near(6.5, 6.0, 7.0) == TOLERANCE
    assert near(9.0, 8.0, 11.0) == UNDECIDED and near(7.0, 5.0, 8.0) == UNDECIDED
    assert near(5.0, 4.0, 6.0) == UNDECIDED and near(11.0, 10.0, 12.0) == UNDECIDED
    assert near(5.0, 4.0, 5.5) == FAILS and near(11.0, 10.5, 12.0) == FAILS


def test_without_bounds_nothing_is_decided():
    unknown = Interval(3.0)
    assert verdicts.larger(unknown) == verdicts.equal(unknown, unknown, tolerance=9) == UNDECIDED
    assert verdicts.not_smaller(unknown, unknown, tolerance=9) == UNDECIDED


def test_directions():
    """Three seeds a side at a spread of 0.1: the 95 % interval is +-0.23, the 90 % one +-0.17 (Student, four degrees of freedom)."""
    way = lambda gap, delta, **options: verdicts.direction(
        welch(sample([90 + gap, 90.1 + gap, 90.2 + gap]), sample([90.0, 90.1, 90.2])), delta, **options
    )
    assert way(0.5, 0.3) == SAME and way(-0.5, 0.3) == OPPOSITE
    assert way(0.05, 0.3) == EQUAL and way(0.15, 0.3) == OPEN and way(0.24, 0.9) == SAME  # better, however little
    assert way(0.05, 0.3, equality=True) == EQUAL and way(0.6, 0.3, equality=True) == OPPOSITE
    assert way(0.24, 0.9, equality=True) == EQUAL and way(0.3, 0.3, equality=True) == OPEN


def test_a_claim_of_parts_is_as_good_as_its_worst():
    def verdict(*names):
        return together([Finding(name, name) for name in names]).verdict

    assert verdict(HOLDS, TOLERANCE) == TOLERANCE
    assert verdict(HOLDS, UNDECIDED, TOLERANCE) == UNDECIDED
    assert verdict(NOT_RUN, HOLDS) == NOT_RUN
    assert verdict(NOT_RUN, FAILS) == FAILS  # one false part makes the whole false
    assert together([Finding(HOLDS, "x"), Finding(HOLDS, "y")]).measured == "x\ny"


def test_the_direction_of_several_parts():
    way = lambda *names: together([Finding(HOLDS, "x", direction=name) for name in names]).direction
    assert way(SAME, SAME) == SAME and way(SAME, EQUAL) == EQUAL and way(EQUAL, OPEN) == OPEN
    assert way(SAME, OPPOSITE, NOT_RUN) == OPPOSITE and way(SAME, NOT_RUN) == NOT_RUN
    assert together([Finding(HOLDS, "x")]).direction is None


def test_the_p_value_of_several_parts():
    part = lambda verdict, p: Finding(verdict, "x", p=p)
    assert joint_p([part(HOLDS, 0.01), part(HOLDS, 0.03)]) == 0.03  # all have to be true
    assert joint_p([part(FAILS, 0.01), part(HOLDS, 0.5)]) == 0.02  # one false of two
    assert joint_p([Finding(HOLDS, "x")]) is None
