"""One summary a (data set, row): seeds, spread, counts, seconds, and the paper's numbers beside them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from workflow.plan.plan import EntryRow
from workflow.records.state import RunState
from workflow.report.results import NOT_TIMED, Evidence, Key
from workflow.report.stats import Difference, Sample, sample, welch

PAPER_SEEDS = 3


@dataclass(frozen=True)
class Row:
    """One line of a table: what the paper prints of it and what was measured. `entry`: the row as the plan shows it."""

    dataset: str
    entry: EntryRow
    states: tuple[RunState, ...]
    timing: dict | None
    timing_reason: str | None
    timing_stale: bool = False

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
    def done(self) -> list[RunState]:
        return [state for state in self.states if state.result]

    def over_seeds(self, field: str) -> Sample | None:
        """A field of result.json over the finished seeds."""
        return sample(state.result.get(field) for state in self.done)

    @cached_property
    def accuracy(self) -> Sample | None:
        return self.over_seeds("accuracy")

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """The accuracy of each finished seed."""
        return {state.run.seed: state.result["accuracy"] for state in self.done}

    @cached_property
    def top5(self) -> Sample | None:
        return self.over_seeds("top5")

    @cached_property
    def parameters(self) -> Sample | None:
        return self.over_seeds("parameters")

    @cached_property
    def macs(self) -> Sample | None:
        return self.over_seeds("macs")

    @cached_property
    def wrong(self) -> Sample | None:
        """Test images that are classified wrongly."""
        return sample(state.result["test_images"] - state.result["correct"] for state in self.done)

    @property
    def test_images(self) -> int | None:
        return self.done[0].result["test_images"] if self.done else None

    @property
    def seconds(self) -> float | None:
        return self.timing["seconds_per_epoch"] if self.timing else None

    @cached_property
    def seconds_range(self) -> tuple[float, float] | None:
        """Lowest and highest of the timed slices, averaged over the epochs of both stages as seconds per epoch are."""
        if self.timing is None or not self.states:
            return None
        run, ends = self.states[0].run, {"low": 0.0, "high": 0.0}
        epochs = {"search": run.search.epochs if run.search else 0, "train": run.train.epochs}
        for stage, count in epochs.items():
            parts = [part for part in self.timing["segments"] if part["stage"] == stage]
            if count and not all({"low", "high"} <= part.keys() for part in parts):
                return None
            for end in ends:
                weights = math.fsum(part["weight"] for part in parts)
                if parts:
                    ends[end] += count * math.fsum(part["weight"] * part[end] for part in parts) / weights
        total = sum(
            count for stage, count in epochs.items() if any(p["stage"] == stage for p in self.timing["segments"])
        )
        return (ends["low"] / total, ends["high"] / total) if total else None

    def published(self, metric: str = "accuracy") -> Sample | None:
        """The paper's mean and spread; without a printed spread it stands for one run."""
        mean, std = {"accuracy": ("acc", "std"), "top5": ("top5", "top5_std")}[metric]
        if mean not in self.paper:
            return None
        return Sample(self.paper[mean], self.paper.get(std), PAPER_SEEDS if std in self.paper else 1)

    def against_paper(self, metric: str = "accuracy") -> Difference | None:
        """Measured minus published."""
        measured, published = getattr(self, metric), self.published(metric)
        return welch(measured, published) if measured and published else None

    @cached_property
    def sizes(self) -> list[list]:
        """Kernel sizes of the finished (or at least searched) seeds, one list a seed, in forward order."""
        return [state.sizes for state in self.states if state.sizes]

    @property
    def status(self) -> str:
        """measured | n/m seeds | failed | not run | not measured."""
        if not self.entry.system:
            return "not measured"
        if self.done:
            return "measured" if len(self.done) == len(self.states) else f"{len(self.done)}/{len(self.states)} seeds"
        return "failed" if any(state.status in ("failed", "rejected") for state in self.states) else "not run"

    @property
    def stale(self) -> tuple[str, ...]:
        """What has changed since the seeds' results, or the seconds, were measured."""
        changed = {name for state in self.states for name in state.stale}
        return tuple(sorted(changed | ({"seconds per epoch"} if self.timing_stale else set())))

    @property
    def problems(self) -> list[str]:
        """One sentence for each seed, and for the seconds, that are not there for a known reason."""
        found = [f"seed {state.run.seed} {state.status}: {state.reason}" for state in self.states if state.reason]
        timed = self.timing_reason is None or self.timing_reason == NOT_TIMED
        return found if timed else [*found, f"seconds per epoch: {self.timing_reason}"]


def rows_of(evidence: Evidence) -> dict[Key, Row]:
    """Every row of the plan's tables and figures by (data set, row), tables first."""
    if evidence.rows:
        return evidence.rows
    for shown in evidence.plan.tables.values():
        for entry in shown.rows:
            if isinstance(entry, str):
                continue
            key = (shown.dataset, entry.row)
            if key not in evidence.rows:
                states = tuple(evidence.by_row.get(key, ()))
                timing, reason = evidence.timings.get(key), evidence.timing_reasons.get(key)
                evidence.rows[key] = Row(key[0], entry, states, timing, reason, key in evidence.timing_stale)
    return evidence.rows


def rows_in(evidence: Evidence, name: str) -> list[Row]:
    """The rows of one table or figure, in its order."""
    shown, rows = evidence.plan.tables[name], rows_of(evidence)
    return [rows[shown.dataset, row.row] for row in shown.rows if (shown.dataset, row.row) in rows]


def side(size: int | list[int]) -> float:
    """A kernel's size as one number: the side of the square with its area."""
    return math.sqrt(size[0] * size[1]) if isinstance(size, list) else float(size)
