"""What the rules of the claims have in common: how a rule is registered, what it reads, and where its numbers come from.

A rule states what its numbers rest on (`counts`, `seconds`, `sizes`, `accuracy`) and, by the types of its arguments, which rows it
reads: a `RowId`, a list of them, or a `TableId` for every row of a table that the paper has. The same rule judges three sources: what
was measured by the paper's protocol, what was measured by the short one, and what the paper prints.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NewType

from workflow.plan.catalogue import check_name
from workflow.plan.plan import Entry
from workflow.records.state import RunState
from workflow.report import text
from workflow.report.claims import protocols
from workflow.report.claims.verdicts import NOT_COMPARABLE, NOT_RUN, Finding
from workflow.report.results import Evidence
from workflow.report.rows import Row, as_published, rows_of, side, sizes_record
from workflow.report.seconds import device_shared, seconds_by_round, seconds_ratio
from workflow.report.stats import Interval, Sample, sample, with_floor
from workflow.support.errors import UserError
from workflow.support.known import known

PUBLISHED = "published"
RowId = NewType("RowId", str)
TableId = NewType("TableId", str)
Reads = Callable[
    [str, Mapping, Mapping], Iterable[str]
]  # (data set, part of a claim, the plan's tables) -> "dataset/row"


class Missing(Exception):
    """A row that a rule needs has not been measured, or not so that it can be compared; the text says which and why."""

    def __init__(self, reason: str, verdict: str = NOT_RUN):
        super().__init__(reason)
        self.verdict = verdict


@dataclass(frozen=True)
class Setting:
    """What a rule sees. `source`: paper, short or published; `delta`: points that count as equal; `floor`: raise printed spreads."""

    evidence: Evidence
    dataset: str
    source: str = protocols.PAPER
    delta: float = 0.3
    floor: bool = False

    def row(self, name: str) -> Row:
        """A row of the data set by its id."""
        return rows_of(self.evidence)[self.dataset, name]

    def runs(self, row: Row) -> list[RunState]:
        """The finished runs of a row that were made by this source's protocol."""
        return list(row.at(self.source))

    def metric(self, name: str, metric: str = "accuracy") -> Sample:
        """The accuracy (or top-5) of a row."""
        row = self.row(name)
        if self.source == PUBLISHED:
            return self._published(row, metric)
        found = sample(known(state.result).get(metric) for state in self.runs(row))
        if found is None and row.done and self.source == protocols.PAPER:
            raise Missing(f"{row.name}: {len(row.done)} runs, none by the paper's protocol", NOT_COMPARABLE)
        if found is None:
            raise Missing(f"{row.name}: {'not run' if row.done else row.status}")
        return found

    def printed(self, row: Row) -> dict:
        """What the paper prints of a row: in its table, else beside its point of a figure."""
        found = dict(row.paper)
        for shown in self.evidence.plan.tables.values():
            ids = [entry.row for entry in shown.rows]
            if shown.dataset == self.dataset and row.id in ids and shown.x:
                points = {float(x): point for x, point in shown.paper.items()}
                found = {**points.get(float(shown.x[ids.index(row.id)]), {}), **found}
        return found

    def _published(self, row: Row, metric: str) -> Sample:
        found = as_published(self.printed(row), metric)
        if found is None:
            raise Missing(f"{row.name}: not printed")
        return with_floor(found, protocols.DATASETS[self.dataset].test_images) if self.floor else found

    def seconds(self, *names: str) -> list[Interval]:
        """Seconds per epoch of rows that were timed alike, with the lowest and highest of their slices."""
        rows = [self.row(name) for name in names]
        if self.source == PUBLISHED:
            return [self._printed_seconds(row) for row in rows]
        device = device_shared(rows)
        timed = [self._timed(row, row.timed_on(device) if device else row.timing) for row in rows]
        if not device:
            devices = sorted(protocols.device_of(timing) or "a device without a name" for timing in timed)
            raise Missing(f"timed on different devices: {', '.join(dict.fromkeys(devices))}", NOT_COMPARABLE)
        return [known(row.clock_of(timing)) for row, timing in zip(rows, timed, strict=True)]

    def ratio(self, name: str, other: str) -> Interval:
        """Seconds per epoch of one row over another's; both were found by `seconds` to be there."""
        rows = self.row(name), self.row(other)
        if self.source == PUBLISHED:
            a, b = map(self._printed_seconds, rows)
            return a.over(b)
        return known(seconds_ratio(*rows, device_shared(rows)))

    def by_round(self, *names: str) -> list[list[float]]:
        """Seconds per epoch of rows that `seconds` finds, round by round; in one round where they have no equal number of them."""
        seconds, rows = self.seconds(*names), [self.row(name) for name in names]
        found = None if self.source == PUBLISHED else seconds_by_round(rows, device_shared(rows))
        return found or [[one.value] for one in seconds]

    def timing_remarks(self, slow: str, fast: str) -> str:
        """What a reader must know of two timings: the ratio by the slow row's fastest convolution, and sizes that no image chose."""
        if self.source == PUBLISHED:
            return ""
        rows = self.row(slow), self.row(fast)
        of_slow, of_fast = timed = [known(row.timed_on(device_shared(rows))) for row in rows]
        said = ""
        if faster := of_slow.get("faster_seconds"):
            ratio = faster / known(rows[1].clock_of(of_fast)).value
            said = f", {text.times(ratio)} by the fastest convolution of {rows[0].name}"
        by_budget = [(one.get("sizes_from") or "").startswith("the budget") for one in timed]
        sized = [row.name for row, alone in zip(rows, by_budget, strict=True) if alone]
        return said + (f"; {' and '.join(sized)} timed at the sizes of the budget alone" if sized else "")

    def _printed_seconds(self, row: Row) -> Interval:
        seconds = self.printed(row).get("sec")
        if seconds is None:
            raise Missing(f"{row.name}: not printed")
        return Interval(seconds, seconds, seconds)

    def _timed(self, row: Row, timing: dict | None) -> dict:
        """A row's timing, which may stand beside others."""
        if timing is None:
            raise Missing(f"{row.name}: {row.timing_reason or row.status}")
        if why := protocols.why_not_timed_alike(known(row.run).to_json(), timing):
            raise Missing(f"{row.name}: {why}", NOT_COMPARABLE)
        return timing

    def sizes(self, name: str) -> list[list[float]]:
        """Kernel sizes of every seed of a row, in forward order."""
        row = self.row(name)
        searched = row.searched if self.source != PUBLISHED else ()
        of_paper = [state for state in searched if protocols.paper_sizes(sizes_record(state)["run"])]
        found = [[side(size) for size in state.sizes] for state in of_paper]
        if not found and searched:
            raise Missing(f"{row.name}: sizes of {len(searched)} runs, none by the paper's protocol", NOT_COMPARABLE)
        if not found:
            raise Missing(f"{row.name}: no sizes have been learned ({row.status})")
        return found

    def kernel_positions(self, name: str) -> tuple[float, float]:
        """At how many positions a row's network evaluates a kernel: as training starts, and with a trained network's sizes."""
        from workflow.overview.kernel_positions import evaluated_positions

        row = self.row(name)
        if self.source == PUBLISHED or not row.run:
            raise Missing(f"{row.name}: {'not printed' if self.source == PUBLISHED else row.status}")
        found = evaluated_positions(row.run)
        if found is None:
            raise Missing(f"{row.name}: its kernels are not generated, or do not grow")
        return found

    def parameters(self, name: str) -> float:
        """Parameters of a row."""
        row = self.row(name)
        if self.source == PUBLISHED and "params" in row.paper:
            return 1e6 * row.paper["params"]
        if self.source != PUBLISHED and row.parameters:
            return row.parameters.mean
        if self.source != PUBLISHED and row.key in self.evidence.counts:
            return self.evidence.counts[row.key]
        raise Missing(f"{row.name}: {'not printed' if self.source == PUBLISHED else row.status}")


@dataclass(frozen=True)
class Rule:
    """A rule of claims.yaml: what it rests on, the function, and the rows that it reads."""

    basis: str
    judge: Callable[..., Finding]
    reads: Reads


RULES: dict[str, Rule] = {}


def rule(basis: str, reads: Reads | None = None) -> Callable[[Callable[..., Finding]], Callable[..., Finding]]:
    """Register a rule under its function's name. `reads`: the rows it looks at, where its arguments do not name them."""

    def register(function: Callable[..., Finding]) -> Callable[..., Finding]:
        RULES[function.__name__] = Rule(basis, function, reads or _named_by(function))
        return function

    return register


def paper_rows(table: Entry) -> list[RowId]:
    """The rows of a table that the paper has."""
    return [RowId(row.row) for row in table.rows if row.in_paper]


def _named_by(function: Callable[..., Finding]) -> Reads:
    kinds = {name: parameter.annotation for name, parameter in inspect.signature(function).parameters.items()}

    def reads(dataset: str, part: Mapping, tables: Mapping[str, Entry]) -> Iterable[str]:
        for name, value in part.items():
            kind: Any = kinds.get(name)
            rows = [value] if kind is RowId else value if kind == list[RowId] else []
            yield from (f"{dataset}/{row}" for row in (paper_rows(tables[value]) if kind is TableId else rows))

    return reads


def rule_of(part: Mapping) -> Rule:
    """The rule that a part of a claim names."""
    from workflow.report.claims import accuracy_rules, seconds_rules, size_rules  # noqa: F401, they register their rules

    if part["rule"] not in RULES:
        raise UserError(f"claims.yaml: unknown rule '{part['rule']}'; the rules are {', '.join(RULES)}.")
    return RULES[part["rule"]]


def rows_read(dataset: str, part: Mapping, tables: Mapping[str, Entry]) -> list[str]:
    """The rows, as "dataset/row", that a part of a claim reads, whether they were measured or not.

    Raises UserError for arguments that the rule does not take and for a table or row that config/tables.yaml does not have.
    """
    named = rule_of(part)
    arguments = {key: value for key, value in part.items() if key != "rule"}
    try:
        inspect.signature(named.judge).bind(None, **arguments)
        rows = list(dict.fromkeys(named.reads(dataset, part, tables)))
    except TypeError as error:
        raise UserError(
            f"claims.yaml: rule '{part['rule']}' and its arguments do not fit ({error}): correct them."
        ) from None
    except KeyError as error:
        raise UserError(f"claims.yaml: config/tables.yaml has no table {error}: correct one of them.") from None
    there = {f"{entry.dataset}/{row.row}" for entry in tables.values() for row in entry.rows}
    for row in rows:
        check_name("row", row, there, f"claims.yaml, rule '{part['rule']}'")
    return rows


def rests_on(claim: Mapping, tables: Mapping[str, Entry]) -> set[tuple[str, str]]:
    """(basis, "dataset/row") of everything that a claim looks at; `tables`: the plan's."""
    found = set()
    for part in claim["parts"]:
        named = rule_of(part)
        found |= {(named.basis, row) for row in rows_read(claim["dataset"], part, tables)}
    return found
