"""The six verdicts, the words for a direction, and how intervals turn into them.

A claim that one thing is larger than another by a margin: *holds* where the interval lies above zero and the measured difference
reaches the margin; *holds within tolerance* where it reaches the margin less the tolerance; *does not hold* where the whole interval
lies below that; else *undecided*. One seed has no interval and decides nothing. "No more than so much apart" is an answer of its own,
by two one-sided tests: the 90 % interval lies inside the tolerance.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workflow.report.stats import NARROW, Difference, Interval

HOLDS = "holds"
TOLERANCE = "holds within tolerance"
UNDECIDED = "undecided"
FAILS = "does not hold"
NOT_RUN = "not run"
NOT_COMPARABLE = "not comparable (protocol)"
VERDICTS = (HOLDS, TOLERANCE, UNDECIDED, FAILS, NOT_RUN, NOT_COMPARABLE)
# A claim of several parts is false as soon as one is, and true only if all are.
_WORST_FIRST = (FAILS, NOT_RUN, NOT_COMPARABLE, UNDECIDED, TOLERANCE, HOLDS)

SAME, OPPOSITE, EQUAL, OPEN = "same direction", "opposite direction", "equal", "undecided"
_WORST_DIRECTION = (OPPOSITE, NOT_RUN, OPEN, EQUAL, SAME)


@dataclass(frozen=True)
class Finding:
    """A verdict and the measured figures behind it, in words and, where there is one, as a difference or ratio.

    `direction`: what the difference says about the claim's direction; `p`: of the test that the verdict rests on; `smallest`: the
    smallest difference that could have been seen. None: the rule knows no such thing. `exponent`: `ours` is the exponent of a power.
    """

    verdict: str
    measured: str
    ours: Interval | None = None
    direction: str | None = None
    p: float | None = None
    smallest: float | None = None
    exponent: bool = False

    @property
    def found(self) -> bool:
        """Whether anything comparable was measured."""
        return self.verdict not in (NOT_RUN, NOT_COMPARABLE)


def worst(verdicts: Iterable[str]) -> str:
    """The verdict on a claim by those on its parts."""
    found = set(verdicts)
    return next(verdict for verdict in _WORST_FIRST if verdict in found)


def worst_direction(directions: Iterable[str]) -> str:
    """The direction of a claim by those of its parts."""
    found = set(directions)
    return next(direction for direction in _WORST_DIRECTION if direction in found)


def together(findings: Iterable[Finding], **figures: Any) -> Finding:
    """The finding on several parts: the worst verdict, what was measured of each on a line of its own. `figures`: fields of it."""
    findings = list(findings)
    known = [finding.direction for finding in findings if finding.direction]
    return Finding(
        worst(finding.verdict for finding in findings),
        "\n".join(dict.fromkeys(finding.measured for finding in findings)),
        direction=worst_direction(known) if known else None,
        **figures,
    )


def joint_p(findings: Iterable[Finding]) -> float | None:
    """The p value behind the verdict on a claim: the largest of its parts; where it does not hold, the smallest times their number.

    None where no test was made.
    """
    tested = [(finding.p, finding.verdict) for finding in findings if finding.p is not None]
    if not tested:
        return None
    false = [p for p, verdict in tested if verdict == FAILS]
    return min(1.0, min(false) * len(tested)) if false else max(p for p, _ in tested)


def larger(difference: Interval, *, margin: float = 0.0, tolerance: float = 0.0) -> str:
    """Whether a - b is positive and at least `margin`."""
    if not difference.decided:
        return UNDECIDED
    least = margin - tolerance
    if difference.high < max(0.0, least):
        return FAILS
    if difference.low > 0 and difference.value >= margin:
        return HOLDS
    return TOLERANCE if difference.low > 0 and difference.value >= least else UNDECIDED


def not_smaller(wide: Interval, narrow: Interval, *, tolerance: float) -> str:
    """Whether a is on a par with b or better: b ahead by no more than `tolerance`. wide, narrow: the 95 and the 90 % interval."""
    if not wide.decided:
        return UNDECIDED
    if wide.low > 0:
        return HOLDS
    if narrow.low >= -tolerance:
        return TOLERANCE
    return FAILS if wide.high < -tolerance else UNDECIDED


def equal(wide: Interval, narrow: Interval, *, tolerance: float) -> str:
    """Whether a and b differ by no more than `tolerance` either way. wide, narrow: the 95 and the 90 % interval."""
    if not wide.decided:
        return UNDECIDED
    if narrow.inside(tolerance):
        return HOLDS
    return FAILS if wide.low > tolerance or wide.high < -tolerance else UNDECIDED


def direction(difference: Difference, delta: float, *, equality: bool = False) -> str:
    """Which way a difference points beside a claim that a is larger, or (`equality`) that both are equal within `delta`."""
    alike = difference.at(NARROW).inside(delta)
    if equality:
        beyond = difference.low > delta or difference.high < -delta
        return EQUAL if alike else OPPOSITE if beyond else OPEN
    if difference.low > 0:
        return SAME
    if difference.high < 0:
        return OPPOSITE
    return EQUAL if alike else OPEN


def at_least(found: Interval, *, claimed: float, tolerance: float) -> str:
    """Whether the whole range of a ratio reaches the claimed one or, *within tolerance*, that less a share of `tolerance`."""
    least = claimed * (1 - tolerance)
    if found.low >= claimed:
        return HOLDS
    if found.low >= least:
        return TOLERANCE
    return FAILS if found.high < least else UNDECIDED


def about(found: Interval, *, claimed: float, tolerance: float) -> str:
    """Whether a ratio is the claimed one: its whole range within a share of `tolerance`; *holds* where the claimed one is in it."""
    least, most = claimed * (1 - tolerance), claimed * (1 + tolerance)
    if least <= found.low and found.high <= most:
        return HOLDS if found.low <= claimed <= found.high else TOLERANCE
    return FAILS if found.high < least or found.low > most else UNDECIDED


def finite(value: float | None) -> float | None:
    """A number for a file: None where there is none or it is infinite."""
    return value if value is not None and math.isfinite(value) else None
