"""Rules on accuracies: intervals over seeds, which differ by Welch's test; equality by two one-sided tests."""

from workflow.report import text
from workflow.report.claims import verdicts
from workflow.report.claims.rules import Missing, RowId, Setting, TableId, paper_rows, rule
from workflow.report.claims.verdicts import FAILS, HOLDS, TOLERANCE, UNDECIDED, Finding, together
from workflow.report.stats import LEVEL, NARROW, Difference, Sample, holm, welch
from workflow.support.known import known


def _compared(setting: Setting, better: str, worse: str, metric: str) -> tuple[Difference, str]:
    a, b = setting.metric(better, metric), setting.metric(worse, metric)
    versus = welch(a, b)
    unit = "top-5 points" if metric == "top5" else "points"
    words = f"{setting.row(better).name} {_seeded(a)} against {setting.row(worse).name} {_seeded(b)}: {text.difference(versus)} {unit}"
    return versus, words


def _seeded(found: Sample) -> str:
    return f"{text.of_sample(found)} (n = {found.n})"


def _below(versus: Difference, bound: float) -> float:
    """Two-sided p value of a difference of `bound`, where the measured one lies below it."""
    return min(1.0, 2 * versus.negative().above(-bound))


@rule("accuracy")
def beats(
    setting: Setting,
    *,
    better: RowId,
    worse: RowId,
    margin: float = 0.0,
    tolerance: float = 0.0,
    metric: str = "accuracy",
) -> Finding:
    """`better` is more accurate than `worse`, by `margin` points where one is claimed."""
    versus, words = _compared(setting, better, worse, metric)
    verdict = verdicts.larger(versus, margin=margin, tolerance=tolerance)
    p = _below(versus, max(0.0, margin - tolerance)) if verdict == FAILS else versus.p
    return Finding(verdict, words, versus, verdicts.direction(versus, setting.delta), p, versus.detectable())


@rule("accuracy")
def on_par(setting: Setting, *, row: RowId, other: RowId, tolerance: float) -> Finding:
    """`row` is no less accurate than `other`, give or take `tolerance` points."""
    versus, words = _compared(setting, row, other, "accuracy")
    verdict = verdicts.not_smaller(versus, versus.at(NARROW), tolerance=tolerance)
    p = _below(versus, -tolerance) if verdict == FAILS else versus.p if verdict == HOLDS else versus.above(-tolerance)
    way = verdicts.direction(versus, tolerance)
    if way == verdicts.OPPOSITE and versus.high >= -tolerance:  # less accurate, but perhaps within the tolerance
        way = verdicts.EQUAL if versus.at(NARROW).inside(tolerance) else verdicts.OPEN
    return Finding(verdict, words, versus, way, p, versus.detectable())


@rule("accuracy")
def same(setting: Setting, *, row: RowId, other: RowId, tolerance: float) -> Finding:
    """Two rows differ by no more than `tolerance` points."""
    versus, words = _compared(setting, row, other, "accuracy")
    verdict = verdicts.equal(versus, versus.at(NARROW), tolerance=tolerance)
    beyond = min(_below(versus, -tolerance), _below(versus.negative(), -tolerance))
    p = beyond if verdict == FAILS else versus.equivalence(tolerance)
    way = verdicts.direction(versus, tolerance, equality=True)
    return Finding(verdict, words, versus, way, p, versus.detectable())


@rule("accuracy")
def best(setting: Setting, *, row: RowId, table: TableId) -> Finding:
    """`row` is the most accurate of the rows of a table that the paper has.

    All rivals have to be worse, so that no correction is needed for *holds*; one of many is better by chance more often than one of
    one, so that *does not hold* is judged by Holm's p values over the rivals.
    """
    setting.metric(row)
    findings = []
    for rival in (other for other in paper_rows(setting.evidence.plan.tables[table]) if other != row):
        try:
            findings.append(beats(setting, better=row, worse=rival))
        except Missing as missing:
            findings.append(Finding(missing.verdict, str(missing), direction=verdicts.NOT_RUN))
    tested = [finding for finding in findings if finding.found]
    sure = {id(finding) for finding, p in zip(tested, holm([known(f.p) for f in tested]), strict=True) if p < LEVEL}
    findings = [_undecided(f) if f.verdict == FAILS and id(f) not in sure else f for f in findings]
    closest = min(
        tested, key=lambda finding: known(finding.ours).value, default=None
    )  # what the page shows: the nearest rival
    figures = {"ours": closest.ours, "smallest": closest.smallest} if closest else {}
    return together(findings, p=verdicts.joint_p(findings), **figures)


def _undecided(finding: Finding) -> Finding:
    return Finding(UNDECIDED, finding.measured, finding.ours, verdicts.OPEN, finding.p, finding.smallest)


@rule("accuracy")
def rises(setting: Setting, *, rows: list[RowId], tolerance: float = 0.0) -> Finding:
    """Accuracy rises along `rows`: last above first, and no step down by more than `tolerance` points."""
    samples = [setting.metric(row) for row in rows]
    overall = welch(samples[-1], samples[0])
    steps = [welch(after, before) for before, after in zip(samples, samples[1:], strict=False)]
    words = (
        f"{', '.join(text.of_sample(found) for found in samples)}; last against first {text.difference(overall)} points"
    )
    verdict, p = verdicts.larger(overall), overall.p
    # The chance of one false step down among all of them, two-sided as the interval is.
    down = min(1.0, len(steps) * min(2 * step.negative().above(tolerance) for step in steps))
    if verdict != UNDECIDED and down < LEVEL:
        verdict, p = FAILS, down
    if verdict == HOLDS and any(step.value < 0 for step in steps):
        verdict = TOLERANCE if all(step.value >= -tolerance for step in steps) else UNDECIDED
    way = verdicts.direction(overall, setting.delta)
    return Finding(verdict, words, overall, way, p, overall.detectable())
