"""The central question, "do learned kernel sizes matter?": contrasts, assay, clouds, and the sentence that they come to.

Made by rule from the answers of the chapter `central`, so that it changes when the records do.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from workflow.plan.plan import Entry
from workflow.report import badges, text
from workflow.report.chapters.answers import Answer, answers, draws_of, of_protocol
from workflow.report.chapters.decisions import BETTER, EQUAL, NO, UNDECIDED, UNKNOWN, WORSE, YES
from workflow.report.components import Components, components
from workflow.report.image_share import ImageShare, shares_of
from workflow.report.results import Evidence
from workflow.report.rows import Row, rows_by_id
from workflow.report.stats import Sample, pooled_spread, sample, spread_floor
from workflow.support.known import known

CHAPTER = "central"
ASSAY = "assay"
ALIKE = 0.02  # counts that differ by less than this share are equal


@dataclass(frozen=True)
class Contrast:
    """One comparison, learned minus control. `word`: how it came out, by Holm's p values over its family."""

    answer: Answer
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
    def seeds(self) -> list[float]:
        """The differences of the seeds that both rows have, where the comparison is seed by seed."""
        if not self.answer.paired:
            return []
        a, b = self.own.by_seed, self.other.by_seed
        return [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]

    @property
    def ratios(self) -> str:
        """`×1.36 parameters, ×1.07 MACs`: the control's counts where they are not the learned network's."""
        return ", ".join(f"{text.times(ratio)} {name}" for name, ratio in self._counts if abs(ratio - 1) >= ALIKE)

    @property
    def alike(self) -> str:
        """How the control's counts stand beside the learned network's: `same parameters, ×0.82 MACs`."""
        same = [name for name, ratio in self._counts if abs(ratio - 1) < ALIKE]
        return ", ".join(filter(None, [f"same {' and '.join(same)}" if same else "", self.ratios]))

    @property
    def sizes_apart(self) -> str:
        """In how many layers sizes differ, and in how many seeds both sides train one and the same network."""
        if not self._apart:
            return ""
        words = f"sizes differ in {fmean(self._apart):.2g} of {len(self.own.done[0].sizes)} layers"
        seeds = f"{self.same_networks} of {text.counted(len(self._apart), 'seed')}"
        return f"{words}, in none in {seeds}: there both sides train the same network" if self.same_networks else words

    @property
    def same_networks(self) -> int:
        """In how many seeds both sides have the same sizes: then they train one and the same network, twice."""
        return self._apart.count(0) if len(self._counts) == 2 and not self.ratios else 0

    @property
    def runs(self) -> str:
        """`6 runs, 4 of them different`: how many results are behind it, and of how many seeds where the sides differ in them."""
        words = text.counted(self.answer.runs, "run")
        if self.same_networks:
            words += f", {self.answer.runs - self.same_networks} of them different"
        own, other = self._seeds_a_side
        return words if self.answer.paired or own == other else f"{words}, {self.seeds_words}"

    @property
    def seeds_words(self) -> str:
        """`5 seeds`, or `5 and 3 seeds` where the control has others than the learned network."""
        own, other = self._seeds_a_side
        return text.counted(own, "seed") if own == other else f"{own} and {other} seeds"

    @property
    def _seeds_a_side(self) -> tuple[int, int]:
        return len(self.own.by_seed), len(self.other.by_seed)

    @property
    def _counts(self) -> list[tuple[str, float]]:
        """The control's parameters and MACs over the learned network's."""
        pairs = [("parameters", self.own.parameters, self.other.parameters), ("MACs", self.own.macs, self.other.macs)]
        return [(name, b.mean / a.mean) for name, a, b in pairs if a and b]

    @cached_property
    def _apart(self) -> list[int]:
        """In how many layers sizes differ, a seed that both sides have and whose sizes are known."""
        own, others = ({state.run.seed: state.sizes for state in row.done} for row in (self.own, self.other))
        pairs = [(own[seed], others[seed]) for seed in sorted(own.keys() & others.keys())]
        return [sum(a != b for a, b in zip(*pair, strict=True)) for pair in pairs if len(pair[0]) == len(pair[1]) > 0]

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
        if equal == total:
            return f"Learned kernel sizes are as good as {count}, and no better{rest}"
        rest = (f", equal to {equal}" if equal else "") + rest
        if better and worse:
            return f"Learned kernel sizes beat {better} of {count} and lose to {worse}{rest}"
        if better or worse:
            verb, number, other = ("beat", better, "lose to") if better else ("lose to", worse, "beat")
            if number == total:
                return f"Learned kernel sizes {verb} {'all ' if total > 1 else ''}{count}{rest}"
            named = f"{number} of {count}" if number > 1 else f"1 of {count} ({self._named(verb)})"
            return f"Learned kernel sizes {verb} {named} and {other} none{rest}"
        return f"Learned kernel sizes: no gain over {count} shown{rest}"

    def _named(self, verb: str) -> str:
        """The one control that was won or lost, with its counts where they are not the learned network's."""
        word = BETTER if verb == "beat" else WORSE
        (one,) = (contrast for contrast in self.main[1] if contrast.measured and contrast.word == word)
        return " of ".join(filter(None, [one.label, one.ratios.partition(", ")[0]]))

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
        return [contrast for contrast in self.lines if contrast.answer.interim]

    @cached_property
    def equal_parameters(self) -> tuple[int, float, float, list[float]] | None:
        """The headline's controls of equal parameters: how many, their largest mean difference, how far 95 % intervals reach, and
        the least and greatest of their MACs over the learned network's."""
        alike = [one for one in self.main[1] if one.decided and one.alike.startswith("same parameters")]
        found = [known(one.answer.difference) for one in alike]
        if not found:
            return None
        reach = max(max(-one.low, one.high) for one in found)
        macs = sorted(ratio for one in alike for name, ratio in one._counts if name == "MACs")
        return len(found), max(abs(one.value) for one in found), reach, [macs[0], macs[-1]]

    @cached_property
    def pooled(self) -> tuple[float, int, float] | None:
        """Spread over seeds of all rows taken together (points), its degrees of freedom, and what test sampling alone gives.

        A network that two rows trained, of equal sizes from the same seed, counts once.
        """
        rows = {row.key: row for contrast in self.lines if contrast.measured for row in (contrast.own, contrast.other)}
        seen: set[str] = set()
        spreads: list[tuple[Row, Sample]] = []
        for row in rows.values():
            networks = {str((one.run.training, one.sizes or row.id)): one for one in row.done}
            values = [known(one.result)["accuracy"] for network, one in networks.items() if network not in seen]
            seen |= networks.keys()
            if len(values) > 1:
                spreads.append((row, known(sample(values))))
        found = pooled_spread(one for _, one in spreads)
        if found is None:
            return None
        floor = fmean(spread_floor(known(row.accuracy).mean, known(row.test_images)) for row, _ in spreads)
        return *found, floor

    @property
    def waiting(self) -> list[Row]:
        """The rows that contrasts wait for."""
        sides = [row for contrast in self.lines if not contrast.measured for row in (contrast.own, contrast.other)]
        return list({row.key: row for row in sides if not row.done}.values())


def _contrast(question: Mapping, answer: Answer, rows: Mapping[str, Row]) -> Contrast:
    names = question["row"][0], question["others"][0]
    own, other = (of_protocol(rows[name], answer.protocol) if answer.protocol else rows[name] for name in names)
    return Contrast(answer, own, other)


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
            assay.append(_contrast(question, answer, rows))
        elif not family[:1].isdigit():
            further.append(_contrast(question, answer, rows))
        else:
            families.setdefault(family, []).append(_contrast(question, answer, rows))
    return Central(entry, families, assay, clouds, further, shares_of(rows.values()))
