"""The rules that claims are judged by: each takes rows and tolerances and returns a finding.

A rule states what its numbers rest on (`accuracy`, `seconds`, `sizes`, `counts`): where the preset does not let that be compared with
the paper, the finding keeps its numbers and its verdict becomes *not comparable (preset)*.
"""

from collections.abc import Callable
from dataclasses import dataclass

from workflow.report import text
from workflow.report.claims import verdicts
from workflow.report.claims.verdicts import Finding, together
from workflow.report.results import Evidence
from workflow.report.rows import Row, rows_in, rows_of
from workflow.report.stats import Sample, welch
from workflow.support.errors import UserError


class Missing(Exception):
    """A row that a rule needs has not been measured; the text says which and why."""


@dataclass(frozen=True)
class Setting:
    """What a rule sees: the evidence and the claim's data set."""

    evidence: Evidence
    dataset: str

    def row(self, name: str) -> Row:
        """A row of the data set by its id."""
        rows = rows_of(self.evidence)
        if (self.dataset, name) not in rows:
            raise UserError(
                f"claims.yaml names row '{name}' of {self.dataset}, which config/tables.yaml does not have: correct one."
            )
        return rows[self.dataset, name]

    def metric(self, name: str, metric: str = "accuracy") -> Sample:
        """The measured accuracy (or top-5) of a row; Missing where there is none."""
        row = self.row(name)
        found = getattr(row, metric)
        if found is None:
            raise Missing(f"{row.name}: {row.status}")
        return found

    def seconds(self, name: str) -> tuple[float, float, float]:
        """Seconds per epoch of a row with the lowest and highest of its slices; Missing where it was not timed."""
        row = self.row(name)
        if row.seconds is None:
            raise Missing(f"{row.name}: {row.timing_reason or row.status}")
        return row.seconds, *(row.seconds_range or (row.seconds, row.seconds))


Rule = Callable[..., Finding]
RULES: dict[str, tuple[str, Rule]] = {}


def rule(basis: str) -> Callable[[Rule], Rule]:
    """Register a rule under its function's name. `basis`: accuracy, seconds, sizes or counts."""

    def register(function: Rule) -> Rule:
        RULES[function.__name__] = (basis, function)
        return function

    return register


def _compared(setting: Setting, better: str, worse: str, metric: str) -> tuple:
    a, b = setting.metric(better, metric), setting.metric(worse, metric)
    versus = welch(a, b)
    unit = "top-5 points" if metric == "top5" else "points"
    words = f"{setting.row(better).name} {_seeded(a)} against {setting.row(worse).name} {_seeded(b)}: {text.difference(versus)} {unit}"
    return versus, words


def _seeded(found: Sample) -> str:
    return f"{text.of_sample(found)} (n = {found.n})"


@rule("accuracy")
def beats(
    setting: Setting, *, better: str, worse: str, margin: float = 0.0, tolerance: float = 0.0, metric: str = "accuracy"
) -> Finding:
    """`better` is more accurate than `worse`, by `margin` points where one is claimed."""
    versus, words = _compared(setting, better, worse, metric)
    return Finding(verdicts.larger(versus, margin=margin, tolerance=tolerance), words)


@rule("accuracy")
def on_par(setting: Setting, *, row: str, other: str, tolerance: float) -> Finding:
    """`row` is no less accurate than `other`, give or take `tolerance` points."""
    versus, words = _compared(setting, row, other, "accuracy")
    return Finding(verdicts.not_smaller(versus, tolerance=tolerance), words)


@rule("accuracy")
def same(setting: Setting, *, row: str, other: str, tolerance: float) -> Finding:
    """Two rows differ by no more than `tolerance` points."""
    versus, words = _compared(setting, row, other, "accuracy")
    return Finding(verdicts.equal(versus, tolerance=tolerance), words)


@rule("accuracy")
def best(setting: Setting, *, row: str, table: str) -> Finding:
    """`row` is the most accurate of the rows of a table that the paper has."""
    setting.metric(row)
    rivals = [other.id for other in rows_in(setting.evidence, table) if other.entry.in_paper and other.id != row]
    findings = []
    for rival in rivals:
        try:
            findings.append(beats(setting, better=row, worse=rival))
        except Missing as missing:
            findings.append(Finding(verdicts.NOT_RUN, str(missing)))
    return together(findings)


@rule("accuracy")
def rises(setting: Setting, *, rows: list[str], tolerance: float = 0.0) -> Finding:
    """Accuracy rises along `rows`: last above first, and no step down by more than `tolerance` points."""
    samples = [setting.metric(row) for row in rows]
    overall = welch(samples[-1], samples[0])
    steps = [welch(after, before) for before, after in zip(samples, samples[1:], strict=False)]
    words = (
        f"{', '.join(text.of_sample(found) for found in samples)}; last against first {text.difference(overall)} points"
    )
    verdict = verdicts.larger(overall)
    if verdict != verdicts.UNDECIDED and any(step.decided and step.high < -tolerance for step in steps):
        verdict = verdicts.FAILS
    if verdict == verdicts.HOLDS and any(step.value < 0 for step in steps):
        verdict = verdicts.TOLERANCE if all(step.value >= -tolerance for step in steps) else verdicts.UNDECIDED
    return Finding(verdict, words)


def _ratio(setting: Setting, slow: str, fast: str) -> tuple[float, float, float, str]:
    (a, a_low, a_high), (b, b_low, b_high) = setting.seconds(slow), setting.seconds(fast)
    words = (
        f"{setting.row(slow).name} {text.significant(a)} s against {setting.row(fast).name} {text.significant(b)} s an epoch: "
        f"{text.times(a / b)} [{text.significant(a_low / b_high)}, {text.significant(a_high / b_low)}]"
    )
    return a / b, a_low / b_high, a_high / b_low, words


@rule("seconds")
def faster(setting: Setting, *, slow: str, fast: str, ratio: float = 1.0, tolerance: float = 0.0) -> Finding:
    """`slow` takes at least `ratio` times the seconds per epoch of `fast`."""
    value, low, high, words = _ratio(setting, slow, fast)
    return Finding(verdicts.at_least(value, low, high, claimed=ratio, tolerance=tolerance), words)


@rule("seconds")
def time_about(setting: Setting, *, row: str, other: str, ratio: float, tolerance: float) -> Finding:
    """`row` takes about `ratio` times the seconds per epoch of `other`."""
    value, low, high, words = _ratio(setting, row, other)
    return Finding(verdicts.about(value, low, high, claimed=ratio, tolerance=tolerance), words)


@rule("seconds")
def time_linear(setting: Setting, *, rows: list[str], depths: list[int], correlation: float) -> Finding:
    """Seconds grow linearly with depth (correlation of at least `correlation`) and less than in proportion to it.

    "A slope below one" depends on units; what does not is the exponent of the power law, the slope of log seconds over log depth.
    """
    import math

    from scipy.stats import linregress

    seconds = [setting.seconds(row)[0] for row in rows]
    straight = linregress(depths, seconds)
    power = linregress([math.log(depth) for depth in depths], [math.log(second) for second in seconds])
    words = (
        f"{text.significant(straight.slope)} s an epoch for each layer, correlation {straight.rvalue:.3f}; "
        f"seconds grow with depth to the power {power.slope:.2f} ± {power.stderr:.2f}"
    )
    if straight.slope <= 0 or power.slope - 2 * power.stderr > 1:
        return Finding(verdicts.FAILS, words)
    if power.slope >= 1:
        return Finding(verdicts.UNDECIDED, words)
    return Finding(verdicts.HOLDS if straight.rvalue >= correlation else verdicts.TOLERANCE, words)


@rule("counts")
def parameter_ratio(setting: Setting, *, large: str, small: str, ratio: float, tolerance: float) -> Finding:
    """`large` has about `ratio` times the parameters of `small`."""
    counts = []
    for name in (large, small):
        row = setting.row(name)
        if row.parameters is None:
            raise Missing(f"{row.name}: {row.status}")
        counts.append(row.parameters.mean)
    value = counts[0] / counts[1]
    words = f"{text.millions(counts[0])} against {text.millions(counts[1])} parameters: {text.times(value)}"
    within = abs(value / ratio - 1)
    return Finding(
        verdicts.HOLDS if within <= tolerance / 2 else verdicts.TOLERANCE if within <= tolerance else verdicts.FAILS,
        words,
    )
