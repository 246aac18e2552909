"""Plain answers to a chapter's questions, by rule. A question names rows and what they are compared with.

* pairs: is the row better? The mean over the pairs of (row - other). A row may stand in several pairs; each sample enters once, with
  its coefficient. "No" where it is worse, or equal within the points that the question gives (`within`).
* equal, not_smaller: the same mean; do both differ by no more than `within` points, or is the row worse by no more than that? By two
  one-sided tests (the 90 % interval), so that "no difference" can be an answer.
* cloud: one row against many others, each of which counts once by its mean: the row's mean minus theirs, with the spread between them;
  and the share of them that lie below it. The degrees of freedom are those of the smaller side: with three seeds against twenty draws
  Welch's test answers falsely in 7 % of ties instead of 5 %.

A question judges *unpaired*, or, with `paired: true`, seed by seed over the seeds that all its rows share: for rows that differ in
their sizes alone, whose equal seeds mean equal initial weights and equal order of images. The other interval stands beside it. Images
that were made up decide nothing. Beside the raw answer stands the one by Holm's p values over the questions of the chapter.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workflow.report import text
from workflow.report.rows import Row
from workflow.report.stats import LEVEL, NARROW, Difference, Sample, contrast, exact_interval, holm, sample
from workflow.support.errors import UserError

YES, NO, UNDECIDED, UNKNOWN = "yes", "no", "undecided", "not measured"
BETTER, WORSE, EQUAL = "better", "worse", "equal"


@dataclass(frozen=True)
class Answer:
    """A question with what was found. `compared` of `asked` pairs or others were measured; `runs` results are behind it.

    `difference` judges, by the p value `p`; `beside` is the interval that does not (paired where the other is unpaired). `way`:
    better, worse, equal or undecided, whatever was asked. `adjusted`: p by Holm over the chapter, and `holm` the verdict with it.
    """

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
    beside: Difference | None = None
    paired: bool = False
    way: str = UNKNOWN
    p: float | None = None
    adjusted: float | None = None
    holm: str = UNKNOWN

    @property
    def smallest(self) -> float | None:
        """The smallest difference (points) that could have been seen; None where there is no interval."""
        return self.difference.detectable() if self.difference and self.difference.decided else None


def way_of(found: Difference, within: float = 0.0) -> str:
    """Better, worse, equal (within so many points, where they were fixed beforehand) or undecided."""
    if found.low > 0 or found.high < 0:
        return BETTER if found.low > 0 else WORSE
    return EQUAL if within and found.at(NARROW).inside(within) else UNDECIDED


def verdict_of(found: Difference, rule: str = "pairs", within: float = 0.0) -> str:
    """Yes, no or undecided. `within`: points that count as equal; what is equal is not better."""
    if not found.decided:
        return UNDECIDED
    narrow = found.at(NARROW)
    if rule == "equal":
        yes, no = narrow.inside(within), found.low > within or found.high < -within
    elif rule == "not_smaller":
        yes, no = narrow.low >= -within, found.high < -within
    else:
        way = way_of(found, within)
        yes, no = way == BETTER, way in (WORSE, EQUAL)
    return YES if yes else NO if no else UNDECIDED


def p_of(found: Difference, rule: str, within: float, verdict: str) -> float:
    """The p value of the test that a verdict rests on."""
    below = lambda difference: min(1.0, 2 * difference.negative().above(within))  # two-sided, of "at least -within"
    if rule == "not_smaller":
        return below(found) if verdict == NO else found.above(-within)
    if rule == "equal":
        return min(below(found), below(found.negative())) if verdict == NO else found.equivalence(within)
    return found.equivalence(within) if way_of(found, within) == EQUAL else found.p


def _answer(question: Mapping, found: Difference, made_up: bool, what: str, **fields) -> Answer:
    """An answer to the judging difference; `what` it rests on, in words."""
    rule, within = question["rule"], question.get("within", 0.0)
    verdict = UNDECIDED if made_up else verdict_of(found, rule, within)
    way = UNDECIDED if made_up or not found.decided else way_of(found, within)
    said = f"{text.difference(found)} points, {what}"
    if made_up:
        said += "; the images are made up, so that nothing follows."
    elif not found.decided:
        said += "; without a second run on each side there is no interval."
    elif verdict == UNDECIDED:
        said += f"; a difference of {text.number(found.detectable())} could have been seen."
    else:
        said += "."
    p = None if made_up or not found.decided else p_of(found, rule, within, verdict)
    return Answer(question["id"], question["asks"], rule, verdict, said, found, way=way, p=p, **fields)


def _unknown(question: Mapping, because: str, asked: int) -> Answer:
    return Answer(question["id"], question["asks"], question["rule"], UNKNOWN, because, None, 0, asked, 0)


def pairs(question: Mapping, rows: Mapping[str, Row], *, made_up: bool) -> Answer:
    """The answer by mean difference over the pairs of which both sides were measured."""
    names = list(zip(question["row"], question["others"], strict=True))
    there = [pair for pair in names if all(name in rows and rows[name].accuracy for name in pair)]
    if not there:
        return _unknown(question, "No pair of rows was measured.", len(names))
    coefficients: dict[str, float] = {}
    for row, other in there:
        coefficients[row] = coefficients.get(row, 0) + 1 / len(there)
        coefficients[other] = coefficients.get(other, 0) - 1 / len(there)
    apart = contrast((value, rows[name].accuracy) for name, value in coefficients.items())
    by_seed = sample(_seed_by_seed(coefficients, rows))
    alike, paired = by_seed.estimate if by_seed else None, question.get("paired", False)
    if paired and alike is None:
        return _unknown(question, "No seed was run on both sides of a pair.", len(names))
    judging, beside = (alike, apart) if paired else (apart, alike)
    runs = sum(rows[name].accuracy.n for name in coefficients)
    count = f"{len(there)} pairs of networks" if len(there) > 1 else "one pair of networks"
    judged, other = ("seed by seed", "unpaired") if paired else ("unpaired", "seed by seed")
    words = f"{count}, {runs} runs, judged {judged}"
    if beside and beside.decided:
        words += f" (not judged by: {other} {text.difference(beside)})"
    return _answer(
        question,
        judging,
        made_up,
        words,
        compared=len(there),
        asked=len(names),
        runs=runs,
        beside=beside,
        paired=paired,
    )


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
    if not there or name not in rows or not rows[name].accuracy:
        return _unknown(question, "Nothing to compare was measured.", len(others))
    own, means = rows[name].accuracy, [rows[other].accuracy.mean for other in there]
    found = contrast([(1, own), (-1, sample(means))], cautious=True)
    below = share_below(own, means)
    runs = own.n + sum(rows[other].accuracy.n for other in there)
    draws = f"{len(there)} draw{'s' if len(there) > 1 else ''}"
    words = f"{draws}, {runs} runs, {below[0]:.0f}% of the draws below"
    return _answer(question, found, made_up, words, compared=len(there), asked=len(others), runs=runs, below=below)


def share_below(own: Sample, others: Sequence[float]) -> tuple[float, float, float]:
    """Percent of the others below the mean of one sample (ties count half), with Clopper and Pearson's interval."""
    below = math.fsum(1.0 if other < own.mean else 0.5 if other == own.mean else 0.0 for other in others)
    low, _ = exact_interval(math.floor(below), len(others))
    _, high = exact_interval(math.ceil(below), len(others))
    return 100 * below / len(others), low, high


RULES = {"pairs": pairs, "equal": pairs, "not_smaller": pairs, "cloud": cloud}


def answers(questions: Sequence[Mapping], rows: Mapping[str, Row], *, made_up: bool) -> list[Answer]:
    """One answer a question, with Holm's p values over those that a test decides. `rows`: those of the chapter's data set by name.

    UserError for a question that lacks what its rule needs.
    """
    for question in questions:
        if question["rule"] in ("equal", "not_smaller") and "within" not in question:
            raise UserError(
                f"question '{question['id']}': rule '{question['rule']}' needs 'within', the points that count as equal: add it."
            )
    found = [RULES[question["rule"]](question, rows, made_up=made_up) for question in questions]
    tested = [number for number, answer in enumerate(found) if answer.p is not None]
    adjusted = dict(zip(tested, holm([found[number].p for number in tested]), strict=True))
    return [
        replace(
            answer,
            adjusted=adjusted.get(number),
            holm=UNDECIDED if answer.verdict in (YES, NO) and adjusted[number] >= LEVEL else answer.verdict,
        )
        for number, answer in enumerate(found)
    ]
