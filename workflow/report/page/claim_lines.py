"""The claims as the page lists them: grouped by what they rest on, a group an axis, the paper's interval beside ours."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from workflow.plan.names import parts_of
from workflow.report import badges, text
from workflow.report.claims import claims as written
from workflow.report.claims import protocols, verdicts
from workflow.report.claims.claims import Claim, Part
from workflow.report.claims.rules import rows_read
from workflow.report.costs import Costs
from workflow.report.page import forest
from workflow.report.results import Evidence
from workflow.report.rows import Row, rows_of, side
from workflow.report.stats import Interval
from workflow.support.known import known

TITLES = {
    protocols.SECONDS: "Seconds per epoch, as a ratio", protocols.SIZES: "Kernel sizes", protocols.ACCURACY: "Accuracy, points",
    protocols.COUNTS: "Counts",
}  # fmt: skip
ORDER = (protocols.SECONDS, protocols.SIZES, protocols.ACCURACY, protocols.COUNTS)
AXES = {
    protocols.SECONDS: forest.Axis(0.5, 200, 1.0, (0.5, 1, 10, 100), logarithmic=True),
    protocols.ACCURACY: forest.Axis(-2, 6, 0.0, (-2, 0, 2, 4, 6)),
}
TICKS = {protocols.SECONDS: ("×0.5", "×1", "×10", "×100"), protocols.ACCURACY: ("−2", "0", "+2", "+4", "+6")}
GLYPHS = dict(zip(verdicts.VERDICTS, ("✓", "≈", "?", "✗", "·", "·"), strict=True))
CLASSES = dict(zip(verdicts.VERDICTS, ("holds", "near", "open", "fails", "idle", "idle"), strict=True))
WAYS = {verdicts.SAME: "→", verdicts.OPPOSITE: "←", verdicts.EQUAL: "=", verdicts.OPEN: "?", verdicts.NOT_RUN: "·"}


@dataclass(frozen=True)
class Line:
    """The parts of one claim that rest on one basis. `worst`: the part that decides, `rows`: those that it reads."""

    claim: Claim
    name: str
    basis: str
    parts: tuple[Part, ...]
    rows: tuple[Row, ...]

    @property
    def first(self) -> bool:
        """Whether the claim is listed here and not under an earlier basis."""
        return next(basis for basis in ORDER if any(part.basis == basis for part in self.claim.parts)) == self.basis

    @property
    def measured(self) -> list[Part]:
        return [part for part in self.parts if part.finding.found]

    @property
    def verdict(self) -> str:
        """The verdict on the parts that were measured; not run where none was."""
        found = self.measured or self.parts
        return verdicts.worst(part.finding.verdict for part in found)

    @property
    def glyphs(self) -> str:
        """One sign for each part."""
        return "".join(GLYPHS[part.finding.verdict] for part in self.parts)

    @property
    def way(self) -> str | None:
        """The direction at the short protocol, of the parts that were measured; None where this basis has none."""
        ways = [part.short.direction for part in self.parts if part.short and part.short.direction]
        known = [way for way in ways if way != verdicts.NOT_RUN]
        return verdicts.worst_direction(known or ways) if ways else None

    @property
    def worst(self) -> Part:
        """The part that the drawing shows: the one that decides among those with something to show."""
        shown = [part for part in self.parts if part.finding.ours] or [
            part for part in self.parts if part.short and part.short.ours
        ]
        shown = shown or list(self.parts)
        decides = verdicts.worst(part.finding.verdict for part in shown)
        return next(part for part in shown if part.finding.verdict == decides)

    @property
    def undecided_by_paper(self) -> list[Part]:
        """The accuracies that the paper's own three seeds do not decide: its interval holds zero."""
        judged = [
            part for part in self.parts if part.paper and part.paper.verdict == verdicts.UNDECIDED and part.paper.ours
        ]
        return [part for part in judged if _holds_zero(known(known(part.paper).ours))]

    @property
    def ours(self) -> str:
        """Our figure in a few words."""
        part = self.worst
        found = part.finding if part.finding.ours else part.short
        if self.basis == protocols.SIZES or not (found and found.ours):
            return ""
        if self.basis == protocols.ACCURACY:
            return text.difference(found.ours)
        low, high = found.ours.ends
        value = f"power {text.significant(found.ours.value)}" if found.exponent else text.times(found.ours.value)
        return value + (f" [{text.significant(low)}, {text.significant(high)}]" if low != high else "")

    @property
    def badge(self) -> badges.Badge | None:
        """What the part that is shown rests on."""
        part = self.worst
        if not part.seeds or not any(part.seeds.values()):
            return None
        device = " + ".join(dict.fromkeys(map(badges.device_word, part.devices))) or "unknown device"
        least = min(count for count in part.seeds.values() if count)
        if self.basis == protocols.SECONDS:
            return badges.Badge(protocols.PAPER, f"timed · {device}", None, "")
        if self.basis == protocols.ACCURACY:
            cap = protocols.PAPER if part.finding.found else protocols.SHORT
            return badges.Badge(cap, f"{cap} · {device} · {text.counted(least, 'seed')}", None, "")
        if self.basis != protocols.SIZES:
            return badges.Badge(protocols.PAPER, "counted", None, "")
        marks = tuple(dict.fromkeys(mark for row in self.rows for mark in row.search_marks))
        return badges.Badge(protocols.PAPER, f"searched · {device} · {text.counted(least, 'seed')}", None, "", marks)


def _holds_zero(found: Interval) -> bool:
    return found.decided and found.low <= 0 <= found.high


def _rows(evidence: Evidence, dataset: str, parts: Sequence[Mapping]) -> tuple[Row, ...]:
    names = dict.fromkeys(name for part in parts for name in rows_read(dataset, part, evidence.plan.tables))
    return tuple(rows_of(evidence)[parts_of(name)] for name in names)


def lines(evidence: Evidence, claims: Sequence[Claim]) -> dict[str, list[Line]]:
    """Basis -> its lines, in the order of the file."""
    found: dict[str, list[Line]] = {basis: [] for basis in ORDER}
    for claim, definition in zip(claims, written.definitions(), strict=True):
        for basis in ORDER:
            chosen = [number for number, part in enumerate(claim.parts) if part.basis == basis]
            if chosen:
                rows = _rows(evidence, definition["dataset"], [definition["parts"][number] for number in chosen])
                parts = tuple(claim.parts[number] for number in chosen)
                found[basis].append(Line(claim, definition["name"], basis, parts, rows))
    return {basis: group for basis, group in found.items() if group}


def doubts(findings: Sequence[Mapping]) -> dict[str, list[str]]:
    """Claim -> where the paper prints a figure behind it that does not hold together. `findings`: of config/findings.yaml."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        for claim in finding.get("claims", ()):
            found.setdefault(claim, []).append(finding["where"])
    return found


def _size_strip(line: Line) -> str:
    row = next((row for row in line.rows if row.sizes), None)
    if row is None:
        return ""
    means = [fmean(map(side, layer)) for layer in zip(*row.sizes, strict=True)]
    shown = ", ".join(f"{mean:.1f}" for mean in means)
    return forest.sizes(means, html.escape(f"{row.name}: mean sizes by layer {shown}", quote=True))


def drawing(line: Line) -> str:
    """The line's drawing: the paper's value above ours, or the sizes; empty where there is nothing to draw."""
    if line.basis == protocols.SIZES:
        return _size_strip(line)
    axis, part = AXES.get(line.basis), line.worst
    if axis is None:
        return ""
    marks, words = [], []
    if part.paper and part.paper.ours:
        marks.append(forest.paper_mark(axis, part.paper.ours))
        words.append(f"paper {_figure(line.basis, part.paper.ours)}")
    if part.short and part.short.ours:
        marks.append(forest.our_mark(axis, part.short.ours, "short", 14, square=True))
        words.append(f"short protocol {_figure(line.basis, part.short.ours)}")
    if part.finding.ours and not part.finding.exponent:  # the axis is one of ratios
        marks.append(forest.our_mark(axis, part.finding.ours, "ours", 14))
        words.append(f"ours {_figure(line.basis, part.finding.ours)}")
    return forest.drawing(axis, marks, html.escape("; ".join(words), quote=True)) if marks else ""


def _figure(basis: str, found: Interval) -> str:
    if basis == protocols.ACCURACY:
        return text.difference(found)
    return text.times(found.value)


def waiting(group: Sequence[Line], costs: Costs) -> tuple[str, str] | None:
    """How many lines of a group were not run, with what that takes, and the command that runs them; None where all were."""
    idle = [line for line in group if not line.measured]
    if not idle:
        return None
    if idle[0].basis == protocols.SECONDS:
        return f"{len(idle)} not timed yet, which needs no data set", "python -m workflow times"
    rows = {row.key: row for line in idle for row in line.rows}
    about = costs.about(rows.values(), paper=True)
    words = f"{len(idle)} not run at the paper's protocol" + (f", {about}" if about else "")
    targets = dict.fromkeys(line.claim.link for line in idle)
    return words, f"snakemake {' '.join(targets)} --config preset=paper"


def tally(claims: Sequence[Claim]) -> dict[str, int]:
    """Claims by verdict at the paper's protocol, in words for the bar. A claim of several parts holds when all were measured."""
    words = {
        verdicts.HOLDS: "hold", verdicts.TOLERANCE: "nearly hold", verdicts.UNDECIDED: "open", verdicts.FAILS: "do not hold",
        verdicts.NOT_RUN: "not run", verdicts.NOT_COMPARABLE: "not run",
    }  # fmt: skip
    found = dict.fromkeys(words.values(), 0)
    for claim in claims:
        found[words[claim.finding.verdict]] += 1
    return found


SINGULAR = {"hold": "holds", "nearly hold": "nearly holds", "do not hold": "does not hold"}
BAR_CLASSES = {"hold": "holds", "nearly hold": "near", "open": "open", "do not hold": "fails", "not run": "idle"}
