"""What the report rests on: where the planned runs stand, and every record there is of their rows, measured here or recorded.

Records lie in folders laid out like results/<preset>: those of the presets and of `times` beside the plan's own, and those under
results/recorded. A record says itself how it was made; it counts for the row of its name. Those of made-up images are none: they only
show that the suite works.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from workflow.plan.digests import expected_digests
from workflow.plan.plan import Plan
from workflow.protocol.runs import Run
from workflow.records.records import (
    read_cached,
    read_failure,
    read_result,
    read_search,
    read_timing,
    run_folder,
    timing_path,
)
from workflow.records.state import RunState, changed_digests, recorded_folders, state_of
from workflow.support.errors import UserError

Key = tuple[str, str]  # data set, row
NOT_TIMED = "not timed yet"
RECORDED = "recorded"
BESIDE = ("paper", "short", "times")  # folders with records of real images, or of seconds, which do not hang on pixels


@dataclass(frozen=True)
class Timing:
    """A row's seconds per epoch on one device. `place`: where the record lies; `stale`: whether other code made it."""

    record: dict
    place: Path
    stale: bool = False


@dataclass(frozen=True)
class Evidence:
    """Everything that the report rests on. `states`: the planned runs, here; `found`: finished runs and searches elsewhere;
    `timing_reasons`: why a planned row has no seconds per epoch here; `refused`: a sentence on each record that was not read;
    `counts`: parameters of rows that have no result."""

    plan: Plan
    results: Path
    states: tuple[RunState, ...]
    found: tuple[RunState, ...]
    timings: dict[Key, list[Timing]]
    timing_reasons: dict[Key, str]
    refused: tuple[str, ...] = ()
    counts: dict[Key, int] = field(default_factory=dict)
    rows: dict = field(default_factory=dict, compare=False)

    @cached_property
    def by_row(self) -> dict[Key, list[RunState]]:
        """What counts for each (data set, row): the planned runs, unless their images are made up, and what was found elsewhere."""
        by_row: dict[Key, list[RunState]] = {}
        for state in (*(map(_as_recorded, self.states) if self.real_data else ()), *self.found):
            by_row.setdefault((state.run.dataset, state.run.row), []).append(state)
        return by_row

    @cached_property
    def planned(self) -> dict[Key, Run]:
        """One planned run of each row."""
        return {(run.dataset, run.row): run for run in self.plan.runs}

    @property
    def real_data(self) -> bool:
        """Whether the planned runs see the real data sets."""
        return self.plan.source == "real"


def _as_recorded(state: RunState) -> RunState:
    """A planned run's state, with the run as its result describes it, which another plan may have made."""
    return replace(state, run=Run.from_json(state.result["run"])) if state.result else state


def place_of(folder: Path) -> str | None:
    """The name of the folder under results/recorded that a run's folder lies in; None for one measured here."""
    root = folder.parents[3]
    return root.name if root.parent.name == RECORDED else None


def sources(results: Path) -> list[Path]:
    """The other folders with records, nearest first: those of BESIDE, then results/recorded/*.

    `results` may be results/recorded itself: then there is nothing but what is recorded.
    """
    recorded = results if results.name == RECORDED else results.parent / RECORDED
    beside = [] if results.name == RECORDED else [results.parent / name for name in BESIDE]
    return [folder for folder in (*beside, *recorded_folders(recorded)) if folder != results and folder.is_dir()]


def _run_in(folder: Path) -> Run | str | None:
    """The run whose records lie in a folder; the reason where one of them cannot be read; None where there is none."""
    records = [read_cached(read_result, folder / "result.json"), read_cached(read_search, folder / "search.json")]
    if reason := next((record for record in records if isinstance(record, str)), None):
        return reason
    try:
        return next((Run.from_json(record["run"]) for record in records if isinstance(record, dict)), None)
    except UserError as error:
        return f"{folder}: {error}"


def _records_in(folder: Path) -> Iterator[RunState | str]:
    """The finished runs and searches of a folder; a sentence for each that is refused."""
    for seed in sorted(path for path in (folder / "runs").glob("*/*/*") if path.is_dir()):
        run = _run_in(seed)
        if isinstance(run, str):
            yield run
        elif run and not Path(run.data).name.startswith("synthetic-"):
            try:
                state = state_of(run, folder)
            except UserError as error:  # its system or its search is no longer there
                yield f"{seed}: {error}"
                continue
            if state.folder == seed and (state.result or state.search):
                yield state


def _timings_in(folder: Path, planned: dict[Key, Run], *, own: bool) -> Iterator[tuple[Key, Timing]]:
    """The timings in a folder. `own`: its records must have been made from the planned descriptions. A row that the plan's preset
    leaves out is held against the code alone, by its record's own description."""
    for path in sorted((folder / "timings").glob("*/*.json")):
        key, record = (path.parent.name, path.stem), read_cached(read_timing, path)
        if isinstance(record, dict) and (key in planned or not own):
            try:
                expected = expected_digests(planned.get(key) or Run.from_json(record["run"]), "time")
            except UserError:  # its system is no longer there
                continue
            stale = changed_digests(record, expected if own else {k: v for k, v in expected.items() if k != "run"})
            yield key, Timing(record, folder, bool(stale))


def gather(plan: Plan, results: Path) -> Evidence:
    """The evidence of a plan: rows that wait to be asked for count once a seed of theirs has a folder."""
    later = set(plan.on_demand)
    asked = {run.place for run in plan.runs if run.place not in later or run_folder(results, run.id).exists()}
    states = tuple(state_of(run, results) for run in plan.runs if run.place in asked)
    found = [item for folder in sources(results) for item in _records_in(folder)]
    planned = {(run.dataset, run.row): run for run in plan.runs}
    timings: dict[Key, list[Timing]] = {}
    for folder in ([results] if plan.source == "real" else []) + sources(results):
        for key, timing in _timings_in(folder, planned, own=folder == results):
            timings.setdefault(key, []).append(timing)
    reasons = {(s.run.dataset, s.run.row): _why_not_timed(s.run, results) for s in states}
    return Evidence(
        plan, results, states, tuple(item for item in found if isinstance(item, RunState)), timings,
        {key: reason for key, reason in reasons.items() if reason}, tuple(item for item in found if isinstance(item, str)),
    )  # fmt: skip


def _why_not_timed(run: Run, results: Path) -> str | None:
    path = timing_path(results, run.dataset, run.row)
    record = read_cached(read_timing, path)
    if isinstance(record, dict):
        return None
    failure = read_failure(path.with_suffix(".failure.json"))
    return (record or (failure["reason"] if failure else NOT_TIMED)).replace(f"{results}/", "")
