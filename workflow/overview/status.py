"""`python -m workflow status`: where every run of the plan stands."""

import time
from pathlib import Path

from workflow.plan.plan import Plan
from workflow.protocol.runs import Run
from workflow.records.history import last_epoch
from workflow.records.records import run_folder
from workflow.records.state import state_of
from workflow.support.durations import rounded

ALIVE = 600  # seconds without a new line or checkpoint after which a run that claims to be running is doubted


def progress_of(run: Run, results: Path, running: set[str]) -> tuple[str, str]:
    """(done | stale | failed | rejected | running | stopped | waiting, detail) of a run. `running`: ids in jobs with a marker."""
    state = state_of(run, results)
    if state.result:
        other = " from other code or settings" if state.status == "stale" else ""
        return state.status, f"{state.result['accuracy']:.2f} %{other}"
    if state.status in ("failed", "rejected"):
        return state.status, state.reason or ""
    line, quiet = last_epoch(state.folder), _quiet(state.folder)
    if run.id not in running or quiet is None:
        return "waiting", f"next stage after {state.reason}" if line else ""
    if line is None:
        detail, patience = "in its first epoch", float(ALIVE)
    else:
        left = (line["epochs"] - line["epoch"]) * (line["seconds"] + line.get("evaluation_seconds", 0))
        detail, patience = f"{state.reason}, {rounded(left)} left in this stage", ALIVE + 3 * line["seconds"]
    if quiet > patience:
        return "stopped", f"{detail}; silent for {rounded(quiet)}: it hangs or was killed, run snakemake again"
    return "running", detail


def _quiet(folder: Path) -> float | None:
    """Seconds since a run wrote anything: its description, a line, or a checkpoint, which it does every minute or so."""
    signs = [*folder.glob("*.pt"), *(folder / name for name in ("run.json", "history.jsonl"))]
    times = [path.stat().st_mtime for path in signs if path.exists()]
    return time.time() - max(times) if times else None


def running_members(plan: Plan, results: Path) -> set[str]:
    """Ids of runs in jobs that were started and have not ended."""
    return {
        member
        for stage in ("search", "train")
        for job, members in plan.jobs[stage].items()
        if (results / "jobs" / stage / f"{job}.running").exists()
        for member in members
    }


def print_status(plan: Plan, results: Path) -> int:
    """Print a line a run and the counts; exit status 0."""
    running, later = running_members(plan, results), set(plan.on_demand)
    counts: dict[str, int] = {}
    for run in plan.runs:
        if run.place in later and not run_folder(results, run.id).exists():
            continue
        what, detail = progress_of(run, results, running)
        if what == "waiting":
            detail = plan.unavailable.get(run.dataset, detail)
        counts[what] = counts.get(what, 0) + 1
        print(f"{what:8} {run.id:45} {detail}".rstrip())
    print(
        f"{sum(counts.values())} runs of preset {plan.preset}: "
        + ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    )
    return 0
