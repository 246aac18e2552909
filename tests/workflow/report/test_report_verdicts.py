"""From an interval to a verdict, by hand; and the verdict on a claim of several parts."""

import pytest

from workflow.report import verdicts
from workflow.report.stats import Difference
from workflow.report.verdicts import FAILS, HOLDS, NOT_RUN, TOLERANCE, UNDECIDED, Finding, together


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


def test_a_claim_of_parts_is_as_good_as_its_worst():
    def verdict(*names):
        return together([Finding(name, name) for name in names]).verdict

    assert verdict(HOLDS, TOLERANCE) == TOLERANCE
    assert verdict(HOLDS, UNDECIDED, TOLERANCE) == UNDECIDED
    assert verdict(NOT_RUN, HOLDS) == NOT_RUN
    assert verdict(NOT_RUN, FAILS) == FAILS  # one false part makes the whole false
    assert together([Finding(HOLDS, "x"), Finding(HOLDS, "y")]).measured == "x\ny"
