"""The central question, "do learned kernel sizes matter?": contrasts, assay, clouds, and the sentence that they come to.

Made by rule from the answers of the chapter `central`, so that it changes when the records do.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from workflow.plan.plan import Entry
from workflow.report import badges, text
from workflow.report.chapters.answers import Answer, answers, draws_of, of_protocol
from workflow.report.chapters.decisions import BETTER, EQUAL, NO, UNDECIDED, UNKNOWN, WORSE, YES
from workflow.report.components import Components, components
from workflow.report.image_share import ImageShare, shares_of
from workflow.report.results import Evidence
from workflow.report.rows import Row, rows_by_id
from workflow.report.stats import Difference
from workflow.support.known import known

CHAPTER = "central"
ASSAY = "assay"
ALIKE = 0.02  # counts that differ by less than this share are equal


@dataclass(frozen=True)
class Contrast:
    """One comparison, learned minus control. `word`: how it came out, by Holm's p values over its family."""

    answer: Answer
    within: float
    own: Row
    other: Row

    @property
    def label(self) -> str:
        return self.other.entry.label

    @property
    def measured(self) -> bool:
        return self.answer.difference is not None

    @property
    def decided(self) -> bool:
        """Whether it has an interval."""
        return self.answer.difference is not None and self.answer.difference.decided

    @property
    def word(self) -> str:
        one = self.answer
        if not self.measured:
            return UNKNOWN
        if one.holm == UNDECIDED:
            return UNDECIDED
        return {("equal", YES): EQUAL, ("equal", NO): one.way}.get(
            (one.rule, one.holm), BETTER if one.holm == YES else one.way
        )

    @property
    def interim(self) -> bool:
        """Whether a side has fewer seeds than were fixed beforehand: who looks more than once errs more often."""
        return self.measured and any(len(row.by_seed) < row.seeds for row in (self.own, self.other))

    @property
    def seeds(self) -> list[float]:
        """The differences of the seeds that both rows have, where the comparison is seed by seed."""
        if not self.answer.paired:
            return []
        a, b = self.own.by_seed, self.other.by_seed
        return [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]

    @property
    def alike(self) -> str:
        """What both sides have in common: the counts, and where sizes agree layer for layer, so that equal seeds train one network."""
        pairs = [("parameters", self.own.parameters, self.other.parameters), ("MACs", self.own.macs, self.other.macs)]
        same = [name for name, a, b in pairs if a and b and abs(a.mean / b.mean - 1) < ALIKE]
        own, others = ({state.run.seed: state.sizes for state in row.done} for row in (self.own, self.other))
        seeds = own.keys() & others.keys()
        equal = sum(own[seed] == others[seed] != [] for seed in seeds) if len(same) == len(pairs) else 0
        found = [f"same {' and '.join(same)}"] if same else []
        return "; ".join([*found, *([f"in {equal} of {len(seeds)} seeds the same sizes"] if equal else [])])

    @property
    def badge(self) -> badges.Badge | None:
        return badges.of_group(self.own.best) if self.measured and self.own.best else None


@dataclass(frozen=True)
class Cloud:
    """The learned sizes among random ones: accuracies by seed, and the spread between sizes less that of seeds."""

    answer: Answer
    own: Row
    draws: tuple[float, ...]
    spread: Components | None

    @property
    def words(self) -> str:
        """How much sizes matter at all."""
        if self.spread is None:
            return ""
        between = self.spread.between
        return (
            f"deviation between sizes {text.number(between.value)} points {text.interval(*between.ends)}; "
            f"of seeds alone {text.number(self.spread.seeds)}"
        )


@dataclass(frozen=True)
class Central:
    """The central question's answers. `families`: budget -> its primary contrasts, in their fixed order; `further`: others;
    `shares`: how much of a row's soft sizes images explain."""

    entry: Entry
    families: Mapping[str, list[Contrast]]
    assay: list[Contrast]
    clouds: list[Cloud]
    further: list[Contrast]
    shares: list[tuple[Row, ImageShare]]

    @cached_property
    def blind(self) -> bool:
        """Whether no positive control that has an interval shows a gap."""
        judged = [contrast for contrast in self.assay if contrast.decided]
        return bool(judged) and not any(contrast.word == BETTER for contrast in judged)

    @cached_property
    def main(self) -> tuple[str, list[Contrast]]:
        """The family that the headline speaks of: the one with most contrasts measured, the first of equals."""
        return max(
            self.families.items(), key=lambda item: sum(contrast.measured for contrast in item[1]), default=("", [])
        )

    @cached_property
    def first(self) -> Contrast | None:
        """The contrast whose interval stands under the headline: the first that was won or lost, has an interval, or was measured."""
        measured = [contrast for contrast in self.main[1] if contrast.measured]
        return max(measured, key=lambda one: (one.word in (BETTER, WORSE), one.decided), default=None)

    @property
    def headline(self) -> str:
        """The finding in a sentence, by rule."""
        measured = [contrast for contrast in self.main[1] if contrast.measured]
        words = [contrast.word for contrast in measured]
        if not measured:
            return "Do learned kernel sizes matter? Not measured yet"
        if self.blind:
            return "Learned kernel sizes: this assay is blind, it sees no gap where there must be one"
        total, left = len(measured), len(self.main[1]) - len(measured)
        count = text.counted(total, "control") if total > 1 else measured[0].label
        rest = f"; {left} of {len(self.main[1])} controls not run" if left else ""
        better, worse, equal = (words.count(word) for word in (BETTER, WORSE, EQUAL))
        if better and worse:
            return f"Learned kernel sizes beat {better} of {count} and lose to {worse}{rest}"
        if better or worse:
            verb, number, other = ("beat", better, "lose to") if better else ("lose to", worse, "beat")
            every = "all " if total > 1 else ""
            some = f"{number} of {count} and {other} none"
            return f"Learned kernel sizes {verb} {every + count if number == total else some}{rest}"
        if equal == total:
            return f"Learned kernel sizes are as good as {count}, and no better{rest}"
        return f"Learned kernel sizes: no gain over {count} shown" + (f", equal to {equal}" if equal else "") + rest

    @cached_property
    def reach(self) -> float:
        """How far the axis goes either way: the contrasts and the draws, from one point to three. Positive controls may lie beyond."""
        shown = [known(one.answer.difference) for family in self.families.values() for one in family if one.measured]
        ends = [abs(end) for found in shown for end in (found.value, *(found.ends if found.decided else ()))]
        ends += [abs(known(cloud.own.accuracy).mean - value) for cloud in self.clouds for value in cloud.draws]
        return min(3.0, max(1.0, math.ceil(2 * max(ends, default=1)) / 2))

    @property
    def lines(self) -> list[Contrast]:
        return [*(contrast for family in self.families.values() for contrast in family), *self.assay]

    @property
    def interim(self) -> list[Contrast]:
        """Those that were measured with fewer seeds than fixed beforehand."""
        return [contrast for contrast in self.lines if contrast.interim]

    @property
    def waiting(self) -> list[Row]:
        """The rows that contrasts wait for."""
        sides = [row for contrast in self.lines if not contrast.measured for row in (contrast.own, contrast.other)]
        return list({row.key: row for row in sides if not row.done}.values())


def _contrast(entry: Entry, question: Mapping, answer: Answer, rows: Mapping[str, Row]) -> Contrast:
    names = question["row"][0], question["others"][0]
    own, other = (of_protocol(rows[name], answer.protocol) if answer.protocol else rows[name] for name in names)
    return Contrast(answer, question.get("within", 0.0), own, other)


def _cloud(question: Mapping, answer: Answer, rows: Mapping[str, Row]) -> Cloud:
    protocol = known(answer.protocol)
    own = of_protocol(rows[question["row"][0]], protocol)
    others = [of_protocol(rows[name], protocol) for name in question["others"]]
    draws = tuple(value for row in others if row.accuracy for value in draws_of(row))
    return Cloud(answer, own, draws, components(draws, [list(own.by_seed.values())]))


def central(evidence: Evidence) -> Central | None:
    """The chapter's answers; None where the plan does not have it."""
    entry = evidence.plan.tables.get(CHAPTER)
    if entry is None:
        return None
    rows = rows_by_id(evidence, entry.dataset)
    families: dict[str, list[Contrast]] = {}
    assay, clouds, further = [], [], []
    for question, answer in zip(entry.questions, answers(entry.questions, rows), strict=True):
        family = question.get("family", "")
        if question["rule"] == "cloud":
            clouds += [_cloud(question, answer, rows)] if answer.compared else []
        elif family == ASSAY:
            assay.append(_contrast(entry, question, answer, rows))
        elif not family[:1].isdigit():
            further.append(_contrast(entry, question, answer, rows))
        else:
            families.setdefault(family, []).append(_contrast(entry, question, answer, rows))
    return Central(entry, families, assay, clouds, further, shares_of(rows.values()))


def difference_words(found: Difference | None, smallest: float | None = None) -> str:
    """`+0.12 [−0.20, 0.44], could have seen 0.38`."""
    seen = f", could have seen {text.number(smallest)}" if smallest is not None and math.isfinite(smallest) else ""
    return text.difference(found) + seen if found else "not run"
