"""The six verdicts, and how intervals turn into them.

A claim that one thing is larger than another by a margin: *holds* where the interval lies above zero and the measured difference
reaches the margin; *holds within tolerance* where it reaches the margin less the tolerance; *does not hold* where the whole interval
lies below that; else *undecided*. One seed has no interval and decides nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from workflow.report.stats import Difference

HOLDS = "holds"
TOLERANCE = "holds within tolerance"
UNDECIDED = "undecided (too few seeds)"
FAILS = "does not hold"
NOT_RUN = "not run"
NOT_COMPARABLE = "not comparable (preset)"
VERDICTS = (HOLDS, TOLERANCE, UNDECIDED, FAILS, NOT_RUN, NOT_COMPARABLE)
# A claim of several parts is false as soon as one is, and true only if all are.
_WORST_FIRST = (FAILS, NOT_RUN, NOT_COMPARABLE, UNDECIDED, TOLERANCE, HOLDS)


@dataclass(frozen=True)
class Finding:
    """A verdict and the measured figures behind it, in words."""

    verdict: str
    measured: str


def together(findings: Iterable[Finding]) -> Finding:
    """The verdict on a claim of several parts, with what was measured of each on a line of its own."""
    findings = list(findings)
    verdicts = {finding.verdict for finding in findings}
    verdict = next(verdict for verdict in _WORST_FIRST if verdict in verdicts)
    return Finding(verdict, "\n".join(dict.fromkeys(finding.measured for finding in findings)))


def larger(difference: Difference, *, margin: float = 0.0, tolerance: float = 0.0) -> str:
    """Whether a - b is positive and at least `margin`."""
    if not difference.decided:
        return UNDECIDED
    least = margin - tolerance
    if difference.high < max(0.0, least):
        return FAILS
    if difference.low > 0 and difference.value >= margin:
        return HOLDS
    return TOLERANCE if difference.low > 0 and difference.value >= least else UNDECIDED


def not_smaller(difference: Difference, *, tolerance: float) -> str:
    """Whether a is on a par with b or better: b ahead by no more than `tolerance`."""
    if not difference.decided:
        return UNDECIDED
    if difference.low > 0:
        return HOLDS
    if difference.low >= -tolerance:
        return TOLERANCE
    return FAILS if difference.high < -tolerance else UNDECIDED


def equal(difference: Difference, *, tolerance: float) -> str:
    """Whether a and b differ by no more than `tolerance` either way."""
    if not difference.decided:
        return UNDECIDED
    if -tolerance <= difference.low and difference.high <= tolerance:
        return HOLDS
    if difference.low > tolerance or difference.high < -tolerance:
        return FAILS
    return UNDECIDED


def at_least(value: float, low: float, high: float, *, claimed: float, tolerance: float) -> str:
    """Whether a ratio reaches the claimed one; `tolerance` is a share of it, [low, high] the measurement's range."""
    if low >= claimed:
        return HOLDS
    if value >= claimed * (1 - tolerance):
        return TOLERANCE
    return FAILS if high < claimed * (1 - tolerance) else UNDECIDED


def about(value: float, low: float, high: float, *, claimed: float, tolerance: float) -> str:
    """Whether a ratio is the claimed one, neither more nor less by a share of `tolerance`."""
    if low <= claimed <= high:
        return HOLDS
    if abs(value / claimed - 1) <= tolerance:
        return TOLERANCE
    return FAILS if high < claimed * (1 - tolerance) or low > claimed * (1 + tolerance) else UNDECIDED
