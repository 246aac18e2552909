"""Where a run stands: the one answer, for jobs, Snakemake's rules, the overview, campaigns and the report.

done: a sound result.json of this description and code · stale: a sound one of another · failed: failure.json, with its sentence ·
rejected: a record that does not pass its checks · unfinished: epochs or a checkpoint, but no result · not run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from workflow.plan.digests import expected_digests, present
from workflow.plan.plan import Plan
from workflow.plan.steps import Step, steps
from workflow.protocol.runs import Run
from workflow.records.history import read_history
from workflow.records.records import (
    read_cached,
    read_failure,
    read_result,
    read_search,
    read_timing,
    run_folder,
    timing_path,
)
from workflow.support.files import ROOT


@dataclass(frozen=True)
class RunState:
    """One run and what there is of it. `stale`: names whose digests differ from the expected ones."""

    run: Run
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

    @property
    def stale_search(self) -> tuple[str, ...]:
        """Names whose digests in the search's record are not the expected ones."""
        return changed_digests(self.search, expected_digests(self.run, "search")) if self.search else ()

    @property
    def sizes(self) -> list:
        """Kernel sizes in forward order, ints or [height, width]: the learned ones, else the trained network's; may be empty."""
        if self.search:
            return self.search["sizes"]
        return (self.result or {}).get("kernel_sizes") or []

    @property
    def dilations(self) -> list[int]:
        """Dilations that a search found, in forward order; empty for methods that find none."""
        return (self.search or {}).get("dilations", [])

    @property
    def why(self) -> str | None:
        """Why the run would run in words; None where its result is there and current."""
        return {
            "done": None, "stale": f"changed: {', '.join(self.stale)}", "failed": f"failed before: {self.reason}",
            "rejected": self.reason, "unfinished": "interrupted", "not run": "no result yet",
        }[self.status]  # fmt: skip


def changed_digests(record: Mapping, expected: Mapping[str, str]) -> tuple[str, ...]:
    """The names whose digests in a record are not the expected ones, amendments allowed for."""
    found = present(record["digests"])
    return tuple(name for name, digest in expected.items() if found.get(name) != digest)


def read_if_current(read: Callable[[Path], dict], path: Path, expected: Mapping[str, str]) -> dict | None:
    """The record at `path` if it is sound and was made by this code from this description, else None."""
    record = read_cached(read, path)
    return record if isinstance(record, dict) and not changed_digests(record, expected) else None


def state_of(run: Run, results: Path) -> RunState:
    """Where a run stands in `results`, a folder laid out like results/<preset>."""
    folder = run_folder(results, run.id)
    search = read_cached(read_search, folder / "search.json") if run.search else None
    learned = search if isinstance(search, dict) else None
    result = read_cached(read_result, folder / "result.json")
    if isinstance(result, dict) and result["run"].get("id", run.id) != run.id:
        result = f"{folder / 'result.json'} belongs to run {result['run']['id']}"
    if isinstance(result, dict) and not isinstance(
        search, str
    ):  # of sizes that cannot be read, it is an accuracy of nothing
        stale = changed_digests(result, expected_digests(run, "train"))
        return RunState(run, folder, "stale" if stale else "done", result=result, search=learned, stale=stale)
    if failure := read_failure(folder / "failure.json"):
        epoch = f", epoch {failure['epoch']}" if failure.get("epoch") is not None else ""
        return RunState(run, folder, "failed", f"{failure['stage']}{epoch}: {failure['reason']}", search=learned)
    if refused := next((reason for reason in (result, search) if isinstance(reason, str)), None):
        return RunState(run, folder, "rejected", refused.replace(f"{results}/", ""), search=learned)
    if history := read_history(folder):
        last = history[-1]
        reason = f"{last['stage']} epoch {last['epoch']} of {last.get('epochs', '?')}"
        if learned and last["stage"] == "search":
            reason = "kernel sizes learned, not trained yet"
        return RunState(run, folder, "unfinished", reason, search=learned)
    status = "unfinished" if any(folder.glob("*.pt")) else "not run"
    return RunState(run, folder, status, "in its first epoch" if status == "unfinished" else None, search=learned)


def done_steps(plan: Plan, *folders: Path) -> set[Step]:
    """Steps of a plan whose records are there and current, in one of the folders laid out like results/<preset>."""
    return set().union(*(_done_steps(plan, folder) for folder in folders))


def recorded_folders(recorded: Path | None = None) -> list[Path]:
    """Those under results/recorded, of this checkout unless another is given."""
    return sorted(path for path in (recorded or ROOT / "results" / "recorded").glob("*") if path.is_dir())


def _done_steps(plan: Plan, results: Path) -> set[Step]:
    found: set[Step] = set()
    timed: set[str] = set()
    for run in plan.runs:
        state = state_of(run, results)
        if state.status == "done":
            found |= {Step("train", run.id), Step("search", run.id)}
        elif state.search and not changed_digests(state.search, expected_digests(run, "search")):
            found.add(Step("search", run.id))
        if run.place not in timed:
            timed.add(run.place)
            path = timing_path(results, run.dataset, run.row)
            if read_if_current(read_timing, path, expected_digests(run, "time")):
                found.add(Step("time", run.place))
    return found & set(steps(plan))
