"""Plain answers to a chapter's questions, by rule. A question names rows and what they are compared with.

* pairs: is the row better? The mean over the pairs of (row - other). A row may stand in several pairs; each sample enters once, with
  its coefficient. "No" where it is worse, or equal within the points that the question gives (`within`).
* equal, not_smaller: the same mean; do both differ by no more than `within` points, or is the row worse by no more than that? By two
  one-sided tests (the 90 % interval), so that "no difference" can be an answer.
* cloud: one row against many others, each counting once by its mean (a row whose seeds each have a draw of their own: once a seed);
  and the share of them that lie below it. The degrees of freedom are those of the smaller side: with 3 seeds against 20 draws
  Welch's test answers falsely in 7 % of ties instead of 5 %.
* any: is any of the others better than the row? By 95 % intervals that hold together for all that were measured (Bonferroni), with one
  spread for all. "No" where none is better by as much as `within` points.

A question judges *unpaired*, or, with `paired: true`, seed by seed over the seeds that all its rows share: for rows that differ in
their sizes alone, whose equal seeds mean equal initial weights and equal order of images. The other interval stands beside it.
Beside the raw answer stands the one by Holm's p values over the questions of its `family`, those included that were not measured: they
were planned, and a verdict must not turn because another row arrives.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from workflow.report import text
from workflow.report.chapters.decisions import BETTER, NO, UNDECIDED, UNKNOWN, YES, p_of, verdict_of, way_of
from workflow.report.claims import protocols
from workflow.report.rows import Row
from workflow.report.stats import (
    LEVEL,
    NARROW,
    Difference,
    Interval,
    Sample,
    beside_one,
    contrast,
    exact_interval,
    holm,
    sample,
)
from workflow.support.errors import UserError
from workflow.support.known import known


@dataclass(frozen=True)
class Answer:
    """A question with what was found. `compared` of `asked` pairs or others were measured; `runs` results are behind it.

    `difference` judges, by the p value `p`; `beside` is the interval that does not (paired where the other is unpaired). `way`:
    better, worse, equal or undecided, whatever was asked. `adjusted`: p by Holm over the `planned` questions of its family, and `holm`
    the verdict with it.
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
    family: str = ""  # the questions that Holm's correction goes over
    planned: int = 1
    within: float = 0.0  # points that count as equal
    protocol: str | None = None  # paper, short or other: by which its runs were trained
    seeds: int = 0  # a side, that were fixed beforehand
    interim: bool = False  # whether a side has fewer of them: who looks more than once errs more often
    beside_row: tuple["Beside", ...] = ()  # any: what the row is compared with, best first

    @property
    def smallest(self) -> float | None:
        """The difference (points) that Holm's strictest step finds in four of five cases; None where there is no interval, or
        several (rule `any`)."""
        found = self.difference
        return found.detectable(level=LEVEL / self.planned) if found and found.decided and not self.beside_row else None

    @property
    def open_words(self) -> str:
        """Why an undecided answer is undecided: what could have been seen or, of equality, how far the interval reaches."""
        if self.smallest is None or self.difference is None or UNDECIDED not in (self.verdict, self.holm):
            return ""
        if self.rule in ("equal", "not_smaller"):
            narrow = self.difference.at(NARROW)
            reaches = max(-narrow.low, narrow.high if self.rule == "equal" else 0.0)
            return f"90 % interval reaches {text.number(reaches)}, equal is {text.number(self.within)}"
        return f"could have seen {text.number(self.smallest)}" if self.smallest < 100 else ""


@dataclass(frozen=True)
class Beside:
    """One of many rows beside a common one: its accuracy less that row's, in points, by an interval that holds together with the
    others' intervals. `macs`: its multiply-accumulates over that row's; `chosen`: whether images chose its sizes."""

    row: Row
    gap: Interval
    macs: float
    chosen: bool


def _answer(question: Mapping, found: Difference, what: str, **fields) -> Answer:
    """An answer to the judging difference; `what` it rests on, in words."""
    rule, within = question["rule"], question.get("within", 0.0)
    verdict = verdict_of(found, rule, within)
    way = way_of(found, within) if found.decided else UNDECIDED
    said = f"{text.difference(found)} points, {what}"
    if not found.decided:
        said += "; without a second run on each side there is no interval."
    else:
        said += "."
    p = p_of(found, rule, within, verdict) if found.decided else None
    return Answer(question["id"], question["asks"], rule, verdict, said, found, way=way, p=p, **fields)


def _unknown(question: Mapping, because: str, asked: int) -> Answer:
    return Answer(question["id"], question["asks"], question["rule"], UNKNOWN, because, None, 0, asked, 0)


def pairs(question: Mapping, rows: Mapping[str, Row]) -> Answer:
    """The answer by mean difference over the pairs of which both sides were measured."""
    names = list(zip(question["row"], question["others"], strict=True))
    there = [pair for pair in names if all(name in rows and rows[name].accuracy for name in pair)]
    if not there:
        return _unknown(question, "No pair of rows was measured.", len(names))
    coefficients: dict[str, float] = {}
    for row, other in there:
        coefficients[row] = coefficients.get(row, 0) + 1 / len(there)
        coefficients[other] = coefficients.get(other, 0) - 1 / len(there)
    apart = contrast((value, known(rows[name].accuracy)) for name, value in coefficients.items())
    by_seed = sample(_seed_by_seed(coefficients, rows))
    alike, paired = by_seed.estimate if by_seed else None, question.get("paired", False)
    if paired and alike is None:
        return _unknown(question, "No seed was run on both sides of a pair.", len(names))
    judging, beside = (alike, apart) if paired else (apart, alike)
    seeds = known(by_seed).n if paired else None
    runs = sum(seeds or known(rows[name].accuracy).n for name in coefficients)
    count = f"{len(there)} pairs of networks" if len(there) > 1 else "one pair of networks"
    judged, other = ("seed by seed", "unpaired") if paired else ("unpaired", "seed by seed")
    words = f"{count}, {runs} runs, judged {judged}"
    if beside and beside.decided:
        words += f" (not judged by: {other} {text.difference(beside)})"
    counts = {"compared": len(there), "asked": len(names), "runs": runs}
    return _answer(question, known(judging), words, **counts, beside=beside, paired=paired)


def _seed_by_seed(coefficients: Mapping[str, float], rows: Mapping[str, Row]) -> list[float]:
    """The difference of each seed that all rows have finished."""
    seeds = set.intersection(*(set(rows[name].by_seed) for name in coefficients))
    return [
        math.fsum(value * rows[name].by_seed[seed] for name, value in coefficients.items()) for seed in sorted(seeds)
    ]


def cloud(question: Mapping, rows: Mapping[str, Row]) -> Answer:
    """The answer by one row's place among many others."""
    row, there, others = _one_and_many(question, rows)
    if not row or not there:
        return _unknown(question, "Nothing to compare was measured.", len(others))
    own, means = known(row.accuracy), [value for other in there for value in draws_of(other)]
    found = contrast([(1, own), (-1, known(sample(means)))], cautious=True)
    below = share_below(own, means)
    runs = own.n + sum(known(other.accuracy).n for other in there)
    draws = f"{len(means)} draw{'s' if len(means) > 1 else ''}"
    words = f"{draws}, {runs} runs, {below[0]:.0f}% of the draws below"
    return _answer(question, found, words, compared=len(there), asked=len(others), runs=runs, below=below)


def any_better(question: Mapping, rows: Mapping[str, Row]) -> Answer:
    """The answer by many rows beside one.

    Rows that share networks are taken for independent, which makes intervals wider, not narrower.
    """
    own, there, others = _one_and_many(question, rows)
    if not own or not there:
        return _unknown(question, "Nothing to compare was measured.", len(others))
    within, tests = question.get("within", 0.0), len(there)
    differences = beside_one(known(own.accuracy), [known(other.accuracy) for other in there])
    gaps = [found.at(1 - LEVEL / tests) for found in differences]
    beside = [
        Beside(other, gap, known(other.macs).mean / known(own.macs).mean, _by_images(other))
        for other, gap in zip(there, gaps, strict=True)
    ]
    beside.sort(key=lambda one: -one.gap.value)
    reach = max(gap.high for gap in gaps)
    verdict = YES if any(gap.low > 0 for gap in gaps) else NO if tests == len(others) and reach < within else UNDECIDED
    p_values = [found.negative().above(-within) if verdict == NO else found.p / 2 for found in differences]
    p = min(1.0, 2 * tests * (max if verdict == NO else min)(p_values))
    said = lambda one: f"{one.row.entry.label} {text.difference(one.gap)}"
    words = f"Best: {said(beside[0])} points"
    if beside[0].gap.decided:
        words += (
            f"; by 95 % intervals that hold together for all {tests}, none is better by more than {text.number(reach)}"
        )
    if chosen := [said(one) for one in beside if one.chosen]:
        words += f". Sizes that images chose: {', '.join(chosen)}"
    words += f". Last: {said(beside[-1])}."
    runs = sum(known(row.accuracy).n for row in (own, *there))
    best = max(differences, key=lambda found: found.value)
    found = replace(best, low=beside[0].gap.low, high=beside[0].gap.high)
    return Answer(
        question["id"], question["asks"], question["rule"], verdict, words, found, tests, len(others), runs,
        way=BETTER if verdict == YES else UNDECIDED, p=p if found.decided else None, beside_row=tuple(beside),
    )  # fmt: skip


def _one_and_many(question: Mapping, rows: Mapping[str, Row]) -> tuple[Row | None, list[Row], Sequence[str]]:
    """The one row that many are compared with, None where it was not measured; those that were; the names of all."""
    (name,), others = question["row"], question["others"]
    own, *there = (rows[each] if each in rows and rows[each].accuracy else None for each in (name, *others))
    return own, [row for row in there if row], others


def _by_images(row: Row) -> bool:
    """Whether a search with images chose the row's sizes."""
    return bool(row.run and row.run.search and not row.run.search.image_free)


def draws_of(row: Row) -> list[float]:
    """What a row that was measured counts as in a cloud: its seeds' results, where each has a draw of its own, else their mean."""
    return list(row.by_seed.values()) if row.entry.draws else [known(row.accuracy).mean]


def share_below(own: Sample, others: Sequence[float]) -> tuple[float, float, float]:
    """Percent of the others below the mean of one sample (ties count half), with Clopper and Pearson's interval."""
    below = math.fsum(1.0 if other < own.mean else 0.5 if other == own.mean else 0.0 for other in others)
    low, _ = exact_interval(math.floor(below), len(others))
    _, high = exact_interval(math.ceil(below), len(others))
    return 100 * below / len(others), low, high


RULES = {"pairs": pairs, "equal": pairs, "not_smaller": pairs, "cloud": cloud, "any": any_better}


def answer(question: Mapping, rows: Mapping[str, Row]) -> Answer:
    """The answer to one question. `rows`: those of the chapter's data set by name.

    UserError for a question that lacks what its rule needs.
    """
    if question["rule"] in ("equal", "not_smaller") and "within" not in question:
        raise UserError(
            f"question '{question['id']}': rule '{question['rule']}' needs 'within', the points that count as equal: add it."
        )
    found, planned = RULES[question["rule"]](question, rows), question.get("seeds", 0)
    sides = [rows[name].accuracy for name in (*question["row"], *question["others"]) if name in rows]
    fewer = found.compared > 0 and any(side.n < planned for side in sides if side)
    return replace(
        found, family=question.get("family", ""), within=question.get("within", 0.0), seeds=planned, interim=fewer
    )


def adjusted(found: Sequence[Answer]) -> list[Answer]:
    """The answers of a chapter with Holm's p values over each family; a question that no test decides counts with p = 1."""
    given: dict[int, Answer] = {}
    for family in {one.family for one in found}:
        members = [number for number, one in enumerate(found) if one.family == family]
        p_values = holm([1.0 if found[number].p is None else known(found[number].p) for number in members])
        for number, p in zip(members, p_values, strict=True):
            one = found[number]
            survives = one.verdict not in (YES, NO) or p < LEVEL
            given[number] = replace(
                one,
                adjusted=None if one.p is None else p,
                holm=one.verdict if survives else UNDECIDED,
                planned=len(members),
            )
    return [given[number] for number in range(len(found))]


def answers(questions: Sequence[Mapping], rows: Mapping[str, Row]) -> list[Answer]:
    """One answer a question, each at the best protocol that its rows have in common."""
    by_protocol = [
        (protocol, {name: of_protocol(row, protocol) for name, row in rows.items()}) for protocol in protocols.PROTOCOLS
    ]
    found = []
    for question in questions:
        for protocol, own in by_protocol:
            one = replace(answer(question, own), protocol=protocol)
            if one.compared:
                break
        found.append(one if one.compared else replace(one, protocol=None))
    return adjusted(found)


def of_protocol(row: Row, protocol: str) -> Row:
    """A row with those of its finished runs alone whose training followed one protocol."""
    return replace(row, states=row.at(protocol, "training"))
