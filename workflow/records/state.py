"""Where a run stands."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workflow.plan.digests import expected_digests
from workflow.plan.names import row_of
from workflow.plan.steps import Step, steps
from workflow.records.history import _read, read_history
from workflow.records.records import (
    BadRecord,
    read_failure,
    read_result,
    read_search,
    read_timing,
    run_folder,
    timing_path,
)


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


def expected(run: dict, stage: str) -> dict[str, str]:
    """The digests that a current record of `stage` carries."""
    from workflow.plan.digests import expected_digests

    return expected_digests(run, stage)


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


def current(read: Callable[[Path], dict], path: Path, expected: dict[str, str]) -> dict | None:
    """The record at `path` if it is sound and was made by this code from this description, else None."""
    try:
        record = read(path)
    except BadRecord:
        return None
    return record if all(record["digests"].get(key) == value for key, value in expected.items()) else None


def reason(run: dict, results: Path) -> str | None:
    """Why a run would run, None where its result is there and current."""
    folder = run_folder(results, run["id"])
    try:
        record = read_result(folder / "result.json")
    except BadRecord as error:
        failure = read_failure(folder / "failure.json")
        if failure:
            return f"failed before: {failure['reason']}"
        return "interrupted" if any(folder.glob("*.pt")) else "no result yet" if "missing" in str(error) else str(error)
    changed = [
        f"{name} {record['digests'].get(name, 'new')} -> {digest}"
        for name, digest in expected_digests(run, "train").items()
        if record["digests"].get(name) != digest
    ]
    return "changed: " + ", ".join(changed) if changed else None


def done_steps(plan: dict, results: Path) -> set[Step]:
    """Steps of a plan whose records are there and current."""
    found, first = set(), {}
    for run in plan["runs"]:
        row, folder = row_of(run), run_folder(results, run["id"])
        if current(read_result, folder / "result.json", expected_digests(run, "train")):
            found |= {Step("train", run["id"]), Step("search", run["id"])}
        elif run["search"] and current(read_search, folder / "search.json", expected_digests(run, "search")):
            found.add(Step("search", run["id"]))
        if first.setdefault(row, run) is run:
            path = timing_path(results, run["dataset"], run["row"])
            if current(read_timing, path, expected_digests(run, "time")):
                found.add(Step("time", row))
    return found & set(steps(plan))
