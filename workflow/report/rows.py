"""One line of a table: the best evidence for a (data set, row), what it rests on, and the paper's numbers beside it.

Accuracies are those of one group (`groups.py`), never averaged over two. Seconds per epoch are of one device each and are never mixed.
"""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from workflow.plan.plan import EntryRow
from workflow.protocol.runs import Run
from workflow.records.state import RunState
from workflow.report.claims import protocols
from workflow.report.groups import Group, alike, groups_of
from workflow.report.results import NOT_TIMED, Evidence, Key, Timing
from workflow.report.stats import Difference, Interval, Sample, sample, welch
from workflow.support.known import known

PAPER_SEEDS = 3
PRINTED_AS = {"accuracy": ("acc", "std"), "top5": ("top5", "top5_std")}


def as_published(printed: Mapping[str, float], metric: str) -> Sample | None:
    """A printed mean and spread; without a spread it stands for one run."""
    mean, std = PRINTED_AS[metric]
    return Sample(printed[mean], printed.get(std), PAPER_SEEDS if std in printed else 1) if mean in printed else None


@dataclass(frozen=True)
class Row:
    """One line of a table. `entry`: the row as the plan shows it; `states`: every run of it; `timings`: best first; `planned`: one
    of the planned runs; `seeds`: how many are planned."""

    dataset: str
    entry: EntryRow
    states: tuple[RunState, ...]
    timings: tuple[Timing, ...] = ()
    timing_reason: str | None = None
    planned: Run | None = None
    seeds: int = 0

    @property
    def key(self) -> Key:
        return self.dataset, self.entry.row

    @property
    def id(self) -> str:
        return self.entry.row

    @property
    def name(self) -> str:
        """Label with the size where a budget tells rows of one label apart."""
        return self.entry.name

    @property
    def paper(self) -> Mapping[str, float]:
        return self.entry.paper

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        return groups_of(self.states)

    @property
    def best(self) -> Group | None:
        return self.groups[0] if self.groups else None

    def at(self, protocol: str, kind: str = "protocol") -> tuple[RunState, ...]:
        """The results of the best group of a protocol. `kind`: protocol (of the accuracy), or training (of the training alone)."""
        return next((group.states for group in self.groups if getattr(group, kind) == protocol), ())

    @property
    def done(self) -> tuple[RunState, ...]:
        """The results that the row's own figures are made of."""
        return self.best.states if self.best else ()

    def over_seeds(self, field: str) -> Sample | None:
        """A field of result.json over the seeds of the best group."""
        return sample(known(state.result).get(field) for state in self.done)

    @cached_property
    def accuracy(self) -> Sample | None:
        return self.over_seeds("accuracy")

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """The accuracy of each finished seed."""
        return {state.run.seed: known(state.result)["accuracy"] for state in self.done}

    @cached_property
    def top5(self) -> Sample | None:
        return self.over_seeds("top5")

    @cached_property
    def parameters(self) -> Sample | None:
        return self.over_seeds("parameters") or self._counted("parameters")

    @cached_property
    def macs(self) -> Sample | None:
        return self.over_seeds("macs") or self._counted("macs")

    def _counted(self, field: str) -> Sample | None:
        """A count of the network that was timed, where none was trained."""
        return sample(timing.record.get(field) for timing in self.timings[:1])

    @cached_property
    def wrong(self) -> Sample | None:
        """Test images that are classified wrongly."""
        return wrong_of(self.done)

    @property
    def test_images(self) -> int | None:
        return known(self.done[0].result)["test_images"] if self.done else None

    @property
    def run(self) -> Run | None:
        """A run of the row: a planned one, else one that was found, or that was timed."""
        if self.planned or self.states:
            return self.planned or self.states[0].run
        return Run.from_json(self.timings[0].record["run"]) if self.timings else None

    @property
    def timing(self) -> dict | None:
        """The record of the best timing."""
        return self.timings[0].record if self.timings else None

    def timed_on(self, device: str | None) -> dict | None:
        """The record of the best timing on a device: the first that nothing disturbed, if there is one."""
        found = [timing.record for timing in self.timings if protocols.device_of(timing.record) == device]
        return next(filter(protocols.alone, found), found[0] if found else None)

    @cached_property
    def clock(self) -> Interval | None:
        """Seconds per epoch with the range of the timed slices, over the epochs that the paper's protocol gives each stage."""
        return self.clock_of(self.timing)

    def clock_of(self, timing: dict | None) -> Interval | None:
        """The same by a timing record of this row."""
        return protocols.seconds_of(self.run.to_json(), timing) if timing and self.run else None

    @property
    def seconds(self) -> float | None:
        return self.clock.value if self.clock else None

    def published(self, metric: str = "accuracy") -> Sample | None:
        """The paper's mean and spread."""
        return as_published(self.paper, metric)

    def against_paper(self, metric: str = "accuracy") -> Difference | None:
        """Measured minus published, where the paper's protocol was followed."""
        measured = sample(known(state.result).get(metric) for state in self.at(protocols.PAPER))
        published = self.published(metric)
        return welch(measured, published) if measured and published else None

    @cached_property
    def searched(self) -> tuple[RunState, ...]:
        """The runs whose kernel sizes count, one a seed, all searched alike: by the paper's search before others, with more seeds
        before fewer, in float32 before other arithmetic, here before elsewhere."""
        searches: dict[tuple[bool, bool, str], dict[int, RunState]] = {}
        for state in (state for state in self.states if state.sizes):
            record = sizes_record(state)["run"]
            settings = {"search": record["search"], "precision": record["precision"]} if state.search else alike(state)
            worse = not protocols.paper_sizes(record), record["precision"] != "fp32"
            key = *worse, json.dumps(settings, sort_keys=True, default=str)
            searches.setdefault(key, {}).setdefault(state.run.seed, state)
        if not searches:
            return ()
        found = searches[min(searches, key=lambda key: (key[0], -len(searches[key]), key[1]))]
        return tuple(found[seed] for seed in sorted(found))

    @cached_property
    def sizes(self) -> list[list]:
        """Kernel sizes of the seeds that were at least searched, one list a seed, in forward order."""
        return [state.sizes for state in self.searched]

    @property
    def status(self) -> str:
        """measured | n/m seeds | failed | not run | not measured (the suite has no system for it)."""
        if not self.entry.system:
            return "not measured"
        if self.best:
            some = len(self.done) < self.seeds and "" in self.best.places
            return f"{len(self.done)}/{self.seeds} seeds" if some else "measured"
        return "failed" if any(state.status in ("failed", "rejected") for state in self.states) else "not run"

    @property
    def stale(self) -> tuple[str, ...]:
        """What has changed since the seeds' results, or the seconds, were measured."""
        timed = {"seconds per epoch"} if self.timings and self.timings[0].stale else set()
        searched = {"kernel sizes"} if self._earlier_search else set()
        return tuple(sorted({*(self.best.stale if self.best else ()), *timed, *searched}))

    @property
    def search_marks(self) -> tuple[str, ...]:
        """What sets the searches that count apart: arithmetic other than float32, earlier code."""
        kinds = {state.search["run"]["precision"] for state in self.searched if state.search} - {"fp32"}
        return (*sorted(kinds), *(["earlier code"] if self._earlier_search else []))

    @cached_property
    def _earlier_search(self) -> bool:
        """Whether a search that counts was made by earlier code."""
        return any(state.stale_search for state in self.searched)

    @property
    def problems(self) -> list[str]:
        """One sentence for each seed, and for the seconds, that are not there for a known reason."""
        found = [f"seed {state.run.seed} {state.status}: {state.reason}" for state in self.states if state.reason]
        timed = self.timings or self.timing_reason in (None, NOT_TIMED)
        return found if timed else [*found, f"seconds per epoch: {self.timing_reason}"]


def sizes_record(state: RunState) -> dict:
    """The record that the kernel sizes of a run are from: its search's, else its result."""
    return state.search or known(state.result)


def wrong_of(states: Iterable[RunState]) -> Sample | None:
    """Test images that finished runs classify wrongly."""
    return sample(known(state.result)["test_images"] - known(state.result)["correct"] for state in states)


def at_common(rows: Iterable[Row]) -> tuple[str | None, list[Row]]:
    """The protocol by which most of the rows were measured (the nearer of equals), and the rows with their results by it alone."""
    rows = list(rows)
    counts = {protocol: sum(bool(row.at(protocol)) for row in rows) for protocol in protocols.PROTOCOLS}
    protocol = max(counts, key=lambda name: counts[name])
    return protocol if counts[protocol] else None, [replace(row, states=row.at(protocol)) for row in rows]


def rows_of(evidence: Evidence) -> dict[Key, Row]:
    """Every row of the plan's tables and figures by (data set, row), tables first."""
    if evidence.rows:
        return evidence.rows
    seeds = Counter((run.dataset, run.row) for run in evidence.plan.runs)
    for shown in evidence.plan.tables.values():
        for entry in shown.rows:
            key = (shown.dataset, entry.row)
            if key not in evidence.rows:
                evidence.rows[key] = Row(
                    shown.dataset, entry, tuple(evidence.by_row.get(key, ())), tuple(evidence.timings.get(key, ())),
                    evidence.timing_reasons.get(key), evidence.planned.get(key), seeds[key],
                )  # fmt: skip
    return evidence.rows


def rows_by_id(evidence: Evidence, dataset: str) -> dict[str, Row]:
    """The rows of a data set."""
    return {row.id: row for row in rows_of(evidence).values() if row.dataset == dataset}


def rows_in(evidence: Evidence, name: str) -> list[Row]:
    """The rows of one table or figure, in its order."""
    shown, rows = evidence.plan.tables[name], rows_of(evidence)
    return [rows[shown.dataset, row.row] for row in shown.rows]


def side(size: int | list[int]) -> float:
    """A kernel's size as one number: the side of the square with its area."""
    return math.sqrt(size[0] * size[1]) if isinstance(size, list) else float(size)
