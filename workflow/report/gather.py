"""Reads the records of the planned runs and says of each run how it stands.

done: a sound result.json · failed: failure.json, with its sentence · rejected: a record that does not pass its checks ·
unfinished: epochs in the history but no result · not run. A result made by other code or settings than the plan's is *stale*: it is
shown, with a warning.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from workflow.records import (
    BadRecord,
    read_failure,
    read_result,
    read_search,
    read_timing,
    row_of,
    run_folder,
    timing_path,
)

Key = tuple[str, str]  # data set, row
NOT_TIMED = "not timed yet"


@dataclass(frozen=True)
class RunState:
    """One planned run and what there is of it. `stale`: names whose digests differ from the plan's."""

    run: dict
    folder: Path
    status: str
    reason: str | None = None
    result: dict | None = None
    search: dict | None = None
    stale: tuple[str, ...] = ()

    @property
    def history(self) -> list[dict]:
        """The epochs so far, search before train."""
        return read_history(self.folder)


@dataclass(frozen=True)
class Evidence:
    """Everything that the report rests on. `timing_reasons`: why a row that is planned has no seconds per epoch."""

    plan: dict
    results: Path
    states: tuple[RunState, ...]
    timings: dict[Key, dict]
    timing_reasons: dict[Key, str]
    timing_stale: frozenset[Key] = frozenset()
    rows: dict = field(default_factory=dict, compare=False)

    @cached_property
    def by_row(self) -> dict[Key, list[RunState]]:
        """The runs of each (data set, row), in the order of the plan."""
        found: dict[Key, list[RunState]] = {}
        for state in self.states:
            found.setdefault((state.run["dataset"], state.run["row"]), []).append(state)
        return found

    @property
    def real_data(self) -> bool:
        """Whether the runs see the real data sets; seconds per epoch mean something only then."""
        return self.plan.get("source", "synthetic" if self.plan["preset"] == "smoke" else "real") == "real"


def expected(run: dict, stage: str) -> dict[str, str]:
    """The digests that a current record of `stage` carries."""
    from workflow.plan import expected_digests

    return expected_digests(run, stage)


@cache
def _cached(reader: Callable[[Path], dict], path: Path, modified: int, size: int) -> dict | str:
    try:
        return reader(path)
    except BadRecord as error:
        return str(error)


def _read(reader: Callable[[Path], dict], path: Path) -> dict | str | None:
    """The record, or the reason why it is refused, or None where there is no file. Read once a process unless it changes."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _cached(reader, path, status.st_mtime_ns, status.st_size)


def _lines(path: Path) -> dict:
    epochs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a process that was killed while it wrote
            continue
        if isinstance(entry, dict) and {"stage", "epoch"} <= entry.keys():
            epochs.append(entry)
    return {"epochs": epochs}


def read_history(folder: Path) -> list[dict]:
    """The epochs recorded in a run's folder; an epoch done twice (a killed process) counts as done last."""
    found = _read(_lines, folder / "history.jsonl")
    latest = {(entry["stage"], entry["epoch"]): entry for entry in (found["epochs"] if isinstance(found, dict) else [])}
    return [latest[key] for key in sorted(latest, key=lambda key: (key[0] != "search", key[1]))]


def _stale(record: dict, run: dict, stage: str, check: bool) -> tuple[str, ...]:
    if not check:
        return ()
    return tuple(name for name, digest in expected(run, stage).items() if record["digests"].get(name) != digest)


def _state(run: dict, results: Path, check: bool) -> RunState:
    folder = run_folder(results, run["id"])
    search = _read(read_search, folder / "search.json") if run["search"] else None
    learned = search if isinstance(search, dict) else None
    result = _read(read_result, folder / "result.json")
    if isinstance(result, dict) and result["run"].get("id", run["id"]) != run["id"]:
        result = f"{folder / 'result.json'} belongs to run {result['run']['id']}"
    if isinstance(result, dict):
        stale = _stale(result, run, "train", check)
        return RunState(run, folder, "done", result=result, search=learned, stale=stale)
    if failure := read_failure(folder / "failure.json"):
        epoch = f", epoch {failure['epoch']}" if failure.get("epoch") is not None else ""
        return RunState(run, folder, "failed", f"{failure['stage']}{epoch}: {failure['reason']}", search=learned)
    refused = next((reason for reason in (result, search) if isinstance(reason, str)), None)
    if refused:
        return RunState(run, folder, "rejected", _relative(refused, results), search=learned)
    if history := read_history(folder):
        last = history[-1]
        reason = f"{last['stage']} epoch {last['epoch']} of {last.get('epochs', '?')}"
        return RunState(run, folder, "unfinished", reason, search=learned)
    return RunState(run, folder, "not run", search=learned)


def _relative(reason: str, results: Path) -> str:
    return reason.replace(f"{results}/", "")


def gather(plan: dict, results: Path, *, check_digests: bool = True) -> Evidence:
    """The evidence of a plan: rows that wait to be asked for count once a seed of theirs has a folder.

    `check_digests`: mark results of other code as stale (not meant for recorded results).
    """
    later = set(plan.get("on_demand", ()))  # absent from plans of recorded results
    asked = {row_of(run) for run in plan["runs"] if row_of(run) not in later or run_folder(results, run["id"]).exists()}
    runs = [run for run in plan["runs"] if row_of(run) in asked]
    states = tuple(_state(run, results, check_digests) for run in runs)
    timings, reasons, stale = {}, {}, set()
    for run in runs:
        key = (run["dataset"], run["row"])
        if key in timings or key in reasons:
            continue
        path = timing_path(results, *key)
        found = _read(read_timing, path)
        if isinstance(found, dict):
            timings[key] = found
            if _stale(found, run, "time", check_digests):
                stale.add(key)
        else:
            failure = read_failure(path.with_suffix(".failure.json"))
            reasons[key] = _relative(found or (failure["reason"] if failure else NOT_TIMED), results)
    return Evidence(plan, results, states, timings, reasons, frozenset(stale))
