"""Rules on seconds per epoch and on counts, which have no seeds: the interval is over rounds, or the range of the timed slices."""

import math
import statistics

from workflow.report import text
from workflow.report.claims import verdicts
from workflow.report.claims.rules import RowId, Setting, rule
from workflow.report.claims.verdicts import Finding
from workflow.report.stats import Interval


def _ratio(setting: Setting, slow: str, fast: str) -> tuple[Interval, str]:
    (a, b), ratio = setting.seconds(slow, fast), setting.ratio(slow, fast)
    by_round = len(setting.by_round(slow, fast)[0]) > 1  # then the ratio is not the quotient of the two medians
    words = (
        f"{setting.row(slow).name} {text.significant(a.value)} s against "
        f"{setting.row(fast).name} {text.significant(b.value)} s an epoch: "
        f"{text.times(ratio.value)} [{text.significant(ratio.low)}, {text.significant(ratio.high)}]"
    )
    return ratio, words + (" round by round" if by_round else "") + setting.timing_remarks(slow, fast)


@rule("seconds")
def faster(setting: Setting, *, slow: RowId, fast: RowId, ratio: float = 1.0, tolerance: float = 0.0) -> Finding:
    """`slow` takes at least `ratio` times the seconds per epoch of `fast`."""
    found, words = _ratio(setting, slow, fast)
    return Finding(verdicts.at_least(found, claimed=ratio, tolerance=tolerance), words, found)


@rule("seconds")
def time_about(setting: Setting, *, row: RowId, other: RowId, ratio: float, tolerance: float) -> Finding:
    """`row` takes about `ratio` times the seconds per epoch of `other`."""
    found, words = _ratio(setting, row, other)
    return Finding(verdicts.about(found, claimed=ratio, tolerance=tolerance), words, found)


@rule("seconds")
def time_linear(setting: Setting, *, rows: list[RowId], depths: list[int], correlation: float) -> Finding:
    """Seconds grow linearly with depth (correlation of at least `correlation`) and less than in proportion to it.

    "A slope below one" depends on units; what does not is the exponent of the power law, the slope of log seconds over log depth, with
    its 95 % interval.
    """
    from scipy.special import stdtrit
    from scipy.stats import linregress

    seconds = [statistics.median(rounds) for rounds in setting.by_round(*rows)]
    straight = linregress(depths, seconds)
    power = linregress([math.log(depth) for depth in depths], [math.log(second) for second in seconds])
    words = (
        f"{text.significant(straight.slope)} s an epoch for each layer, correlation {straight.rvalue:.3f}; "
        f"seconds grow with depth to the power {power.slope:.2f} ± {power.stderr:.2f}"
    )
    half = float(stdtrit(len(rows) - 2, 0.975)) * power.stderr
    exponent = Interval(power.slope, power.slope - half, power.slope + half)
    if straight.slope <= 0 or exponent.low > 1:
        return Finding(verdicts.FAILS, words, exponent, exponent=True)
    holds = exponent.high < 1 and straight.rvalue >= correlation
    return Finding(verdicts.HOLDS if holds else verdicts.UNDECIDED, words, exponent, exponent=True)


@rule("counts")
def parameter_ratio(setting: Setting, *, large: RowId, small: RowId, ratio: float, tolerance: float) -> Finding:
    """`large` has about `ratio` times the parameters of `small`."""
    counts = [setting.parameters(name) for name in (large, small)]
    value = counts[0] / counts[1]
    words = f"{text.millions(counts[0])} against {text.millions(counts[1])} parameters: {text.times(value)}"
    within = abs(value / ratio - 1)
    verdict = (
        verdicts.HOLDS if within <= tolerance / 2 else verdicts.TOLERANCE if within <= tolerance else verdicts.FAILS
    )
    return Finding(verdict, words, Interval(value, value, value))
