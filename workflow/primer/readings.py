"""Does the article's reading of its two experiments hold? Accuracy by Welch intervals over seeds, lightness by counts.

"Much lighter": half the parameters or fewer. "Slightly worse": by no more than `SLIGHT` points. Both bounds are ours. Made-up
images give no results.
"""

from dataclasses import dataclass

from workflow.report import text
from workflow.report.claims.verdicts import FAILS, HOLDS, NOT_RUN, UNDECIDED, Finding, larger
from workflow.report.results import Evidence
from workflow.report.rows import Row, rows_of
from workflow.report.stats import Interval, welch
from workflow.support.known import known

SLIGHT, MUCH = 5.0, 2.0
DATASET = "cifar10"


@dataclass(frozen=True)
class Experiment:
    """Two rows, and what the article reads off its curves about the second beside the first."""

    key: str
    title: str
    one: str
    other: str
    slightly: bool  # the other is said to be worse by a little only, and much lighter; else plainly worse, and heavier


EXPERIMENTS = (
    Experiment("stacked", "Two blocks of stacked 3x3 against two of single 5x5", "article-stacked-3x3", "article-single-5x5", False),
    Experiment("separable", "Ordinary against separable convolutions", "article-stacked-3x3", "article-separable-3x3", True),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """One part of a reading with its verdict."""

    experiment: Experiment
    key: str
    says: str
    finding: Finding


def slight(difference: Interval) -> str:
    """Whether a difference is at most SLIGHT points."""
    if not difference.decided:
        return UNDECIDED
    return HOLDS if difference.high <= SLIGHT else FAILS if difference.low > SLIGHT else UNDECIDED


def _accuracy(experiment: Experiment, one: Row, other: Row) -> list[Part]:
    says = [("better", f"{one.name} is more accurate than {other.name.lower()}")]
    if experiment.slightly:
        says.append(("slight", f"… by no more than {SLIGHT:g} points (our bound for the article's “slightly”)"))
    if one.accuracy is None or other.accuracy is None:
        return [Part(experiment, key, words, Finding(NOT_RUN, text.NONE)) for key, words in says]
    found = welch(one.accuracy, other.accuracy)
    measured = f"{text.difference(found)} points, n = {one.accuracy.n} and {other.accuracy.n}"
    verdicts = {"better": larger(found), "slight": slight(found)}
    return [Part(experiment, key, words, Finding(verdicts[key], measured)) for key, words in says]


def _counts(experiment: Experiment, one: Row, other: Row) -> Part:
    heavy, light = (one, other) if experiment.slightly else (other, one)
    least = MUCH if experiment.slightly else 1.0
    words = f"{light.name} has {'at most half the' if experiment.slightly else 'fewer'} parameters, and fewer MACs"
    if not (heavy.parameters and light.parameters):
        return Part(experiment, "lighter", words, Finding(NOT_RUN, text.NONE))
    parameters, macs = (
        known(heavy.parameters).mean / known(light.parameters).mean,
        known(heavy.macs).mean / known(light.macs).mean,
    )
    holds = parameters > 1 and parameters >= least and macs > 1
    measured = f"parameters {text.times(parameters)}, MACs {text.times(macs)} (whole networks)"
    return Part(experiment, "lighter", words, Finding(HOLDS if holds else FAILS, measured))


def readings(evidence: Evidence) -> list[Part]:
    """Every part of both readings; a row that was not run leaves its parts not run."""
    rows, found = rows_of(evidence), []
    for experiment in EXPERIMENTS:
        one, other = (rows.get((DATASET, name)) for name in (experiment.one, experiment.other))
        if one and other:
            found += [*_accuracy(experiment, one, other), _counts(experiment, one, other)]
    return found


def time_ratios(evidence: Evidence) -> list[str]:
    """How the rows' seconds per epoch compare, in a sentence each; none where a row has not been timed."""
    rows, found = rows_of(evidence), []
    for experiment in EXPERIMENTS:
        one, other = (rows.get((DATASET, name)) for name in (experiment.one, experiment.other))
        if one and other and one.seconds and other.seconds:
            found.append(f"{other.name} takes {text.times(other.seconds / one.seconds)} the seconds of {one.name}.")
    return found
