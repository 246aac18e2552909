"""Plain answers to a chapter's questions, by rule. A question names rows and what they are compared with.

* pairs: the mean over the pairs of (row - other). A row may stand in several pairs; each sample enters once, with its coefficient.
  Beside it stands the same difference seed by seed, over the seeds that all its rows share: equal seeds mean equal order of images,
  and equal initial weights where shapes are equal. It is shown, not judged by.
* cloud: one row against many others, each of which counts once by its mean: the row's mean minus theirs, with the spread between them;
  and the share of them that lie below it. Another with fewer seeds than the row is held against the row's results of the same seeds.
The verdict is "yes" where the 95% interval of the difference lies above zero, "no" where it lies below, and "undecided" otherwise, as
where there is no interval, or where the images were made up. Intervals are not adjusted for the number of questions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from workflow.report import text
from workflow.report.rows import Row
from workflow.report.stats import Difference, Sample, contrast, exact_interval, sample

YES, NO, UNDECIDED, UNKNOWN = "yes", "no", "undecided", "not measured"


@dataclass(frozen=True)
class Answer:
    """A question with what was found. `compared` of `asked` pairs or others were measured; `runs` results are behind it."""

    id: str
    asks: str
    rule: str
    verdict: str
    because: str
    difference: Difference | None
    compared: int
    asked: int
    runs: int
    below: tuple[float, float, float] | None = None  # cloud: share below in percent, with its exact interval
    by_seed: Difference | None = None  # pairs: the difference over the seeds that all rows share


def verdict_of(found: Difference, *, made_up: bool = False) -> str:
    """Yes, no or undecided."""
    if made_up or not found.decided or found.low <= 0 <= found.high:
        return UNDECIDED
    return YES if found.low > 0 else NO


def _because(found: Difference, made_up: bool, what: str) -> str:
    said = f"{text.difference(found)} points, {what}"
    if made_up:
        return f"{said}; the images are made up, so that nothing follows."
    if not found.decided:
        return f"{said}; without a second run on each side there is no interval."
    return f"{said}."


def pairs(question: Mapping, rows: Mapping[str, Row], *, made_up: bool) -> Answer:
    """The answer by mean difference over the pairs of which both sides were measured."""
    names = list(zip(question["row"], question["others"], strict=True))
    there = [pair for pair in names if all(name in rows and rows[name].accuracy for name in pair)]
    head = (question["id"], question["asks"], question["rule"])
    if not there:
        return Answer(*head, UNKNOWN, "No pair of rows was measured.", None, 0, len(names), 0)
    coefficients: dict[str, float] = {}
    for row, other in there:
        coefficients[row] = coefficients.get(row, 0) + 1 / len(there)
        coefficients[other] = coefficients.get(other, 0) - 1 / len(there)
    found = contrast((value, rows[name].accuracy) for name, value in coefficients.items())
    runs = sum(rows[name].accuracy.n for name in coefficients)
    count = f"{len(there)} pairs of networks" if len(there) > 1 else "one pair of networks"
    by_seed = sample(_seed_by_seed(coefficients, rows))
    paired = contrast([(1, by_seed)]) if by_seed else None
    alike = f", seed by seed {text.difference(paired)}" if paired and paired.decided else ""
    because = _because(found, made_up, f"{count}, {runs} runs{alike}")
    verdict = verdict_of(found, made_up=made_up)
    return Answer(*head, verdict, because, found, len(there), len(names), runs, by_seed=paired)


def _seed_by_seed(coefficients: Mapping[str, float], rows: Mapping[str, Row]) -> list[float]:
    """The difference of each seed that all rows have finished."""
    seeds = set.intersection(*(set(rows[name].by_seed) for name in coefficients))
    return [
        math.fsum(value * rows[name].by_seed[seed] for name, value in coefficients.items()) for seed in sorted(seeds)
    ]


def cloud(question: Mapping, rows: Mapping[str, Row], *, made_up: bool) -> Answer:
    """The answer by one row's place among many others."""
    (name,), others = question["row"], question["others"]
    there = [other for other in others if other in rows and rows[other].accuracy]
    head = (question["id"], question["asks"], question["rule"])
    if not there or name not in rows or not rows[name].accuracy:
        return Answer(*head, UNKNOWN, "Nothing to compare was measured.", None, 0, len(others), 0)
    own, means = rows[name].accuracy, [level(rows[other], rows[name]) for other in there]
    found = contrast([(1, own), (-1, sample(means))])
    below = share_below(own, means)
    runs = own.n + sum(rows[other].accuracy.n for other in there)
    draws = f"{len(there)} draw{'s' if len(there) > 1 else ''}"
    because = _because(found, made_up, f"{draws}, {runs} runs, {below[0]:.0f}% of the draws below")
    return Answer(*head, verdict_of(found, made_up=made_up), because, found, len(there), len(others), runs, below)


def level(other: Row, own: Row) -> float:
    """The other's mean; moved, where it has fewer seeds, by what those seeds differ from the mean in the row's own results."""
    shared = other.by_seed.keys() & own.by_seed.keys()
    if not shared:
        return other.accuracy.mean
    gap = math.fsum(own.by_seed[seed] - other.by_seed[seed] for seed in shared) / len(shared)
    return own.accuracy.mean - gap


def share_below(own: Sample, others: Sequence[float]) -> tuple[float, float, float]:
    """Percent of the others below the mean of one sample (ties count half), with Clopper and Pearson's interval."""
    below = math.fsum(1.0 if other < own.mean else 0.5 if other == own.mean else 0.0 for other in others)
    low, _ = exact_interval(math.floor(below), len(others))
    _, high = exact_interval(math.ceil(below), len(others))
    return 100 * below / len(others), low, high


RULES = {"pairs": pairs, "cloud": cloud}


def answers(questions: Sequence[Mapping], rows: Mapping[str, Row], *, made_up: bool) -> list[Answer]:
    """One answer a question. `rows`: those of the chapter's data set by name."""
    return [RULES[question["rule"]](question, rows, made_up=made_up) for question in questions]
