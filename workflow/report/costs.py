"""How long what was not run would take: epochs times seconds per epoch, all of them timed on one device.

A row that was not timed there takes the seconds of one that was, of the same data set, system and batch and the nearest size.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from workflow.protocol.recipes import recipe
from workflow.protocol.runs import Run
from workflow.report.badges import device_word
from workflow.report.claims import protocols
from workflow.report.results import Evidence
from workflow.report.rows import PAPER_SEEDS, Row, rows_of
from workflow.report.seconds import device_of_most
from workflow.support.durations import rounded

NEAR = 2.0  # sizes that differ by a larger factor say nothing of each other


@dataclass(frozen=True)
class Costs:
    """`device`: the one on which most of the plan's `rows` were timed; None where none was."""

    device: str | None
    rows: tuple[Row, ...]

    def _timing(self, row: Row, run: Run) -> dict | None:
        kind = lambda one: (one.dataset, one.planned.system, one.planned.train.batch_size) if one.planned else None
        near = [one for one in self.rows if kind(one) == kind(row) and _apart(one, row) <= NEAR]
        near.sort(key=lambda one: (one.key != row.key, _apart(one, row)))
        found = (timing for one in near if (timing := one.timed_on(self.device)))
        return next((timing for timing in found if not run.search or timing.get("search_seconds")), None)

    def seconds(self, row: Row, *, paper: bool = False) -> float | None:
        """Of the seeds that a row lacks, one after the other, by the plan or by the paper's protocol; None where it cannot be told."""
        run = row.planned
        timing = self._timing(row, run) if run and self.device else None
        if run is None or timing is None:
            return None
        if paper:
            lacking = PAPER_SEEDS - len(row.at(protocols.PAPER))
            epochs = protocols.train_epochs(recipe(run.train.recipe.name, run.dataset))
        else:
            lacking, epochs = row.seeds - len(row.done), run.train.epochs
        trains_faster = run.arguments.get("backend", "direct") != "direct" and timing.get("faster_seconds")
        total = lacking * epochs * run.train.recipe.passes * (trains_faster or timing["train_seconds"])
        if run.search and not run.search.image_free:
            searches = protocols.search_epochs(run.dataset) if paper else run.search.epochs
            total += max(0, lacking - len(row.searched)) * searches * timing["search_seconds"]
        return max(0.0, total)

    def time(self, rows: Iterable[Row], *, paper: bool = False) -> str:
        """`3.1 h` for all of the rows of which it can be told; empty where it can of none."""
        total = sum(self._each(rows, paper=paper))
        return rounded(total) if total else ""

    def _each(self, rows: Iterable[Row], *, paper: bool) -> list[float]:
        """Seconds of those rows of which it can be told."""
        return [seconds for row in rows if (seconds := self.seconds(row, paper=paper)) is not None]

    def about(self, rows: Iterable[Row], *, paper: bool = False) -> str:
        """`about 3.1 h on EPYC`, and for how many of the rows where it cannot be told of all."""
        rows = [row for row in rows if row.planned]
        each = self._each(rows, paper=paper)
        some = f" for {len(each)} of {len(rows)}" if len(each) < len(rows) else ""
        return f"about {rounded(sum(each))} on {device_word(self.device)}{some}" if any(each) else ""


def _apart(one: Row, other: Row) -> float:
    """By what factor the sizes of two rows differ, which their labels give in millions of parameters."""
    if one.entry.size == other.entry.size:
        return 1.0
    given = [re.fullmatch(r"(\d*\.?\d+)M", row.entry.size or "") for row in (one, other)]
    small, large = sorted(float(size[1]) if size else math.nan for size in given)
    return large / small if small > 0 else math.inf


def costs_of(evidence: Evidence) -> Costs:
    """The costs of a plan's rows; none of made-up images."""
    rows = tuple(rows_of(evidence).values())
    return Costs(device_of_most(rows) if evidence.real_data else None, rows)
