"""`python -m workflow status`: where every run of the plan stands."""

import time
from pathlib import Path

from workflow.plan.digests import expected_digests
from workflow.plan.names import row_of
from workflow.records.history import last_epoch
from workflow.records.records import BadRecord, read_failure, read_result, run_folder
from workflow.records.state import current
from workflow.support.durations import rounded

ALIVE = 600  # seconds without a new line or checkpoint after which a run that claims to be running is doubted


def state(run: dict, results: Path, running: set[str]) -> tuple[str, str]:
    """(done | stale | running | failed | stopped | waiting, detail) of one run. `running`: ids in jobs that carry a marker."""
    folder = run_folder(results, run["id"])
    try:
        result = read_result(folder / "result.json")
    except BadRecord:
        result = None
    if result:
        if current(read_result, folder / "result.json", expected_digests(run, "train")):
            return "done", f"{result['accuracy']:.2f} %"
        return "stale", f"{result['accuracy']:.2f} % from other code or settings"
    if failure := read_failure(folder / "failure.json"):
        return "failed", f"{failure['stage']}: {failure['reason']}"
    line = last_epoch(folder)
    quiet = _quiet(folder)
    if line is None:
        if run["id"] not in running or quiet is None:
            return "waiting", ""
        if quiet > ALIVE:
            return "stopped", f"no epoch yet; silent for {rounded(quiet)}: it hangs or was killed, run snakemake again"
        return "running", "in its first epoch"
    left = (line["epochs"] - line["epoch"]) * (line["seconds"] + line.get("evaluation_seconds", 0))
    detail = f"{line['stage']} epoch {line['epoch']}/{line['epochs']}, {rounded(left)} left in this stage"
    if run["id"] not in running:
        return "waiting", f"next stage after {line['stage']} epoch {line['epoch']}/{line['epochs']}"
    if quiet > ALIVE + 3 * line["seconds"]:
        return "stopped", f"{detail}; silent for {rounded(quiet)}: it hangs or was killed, run snakemake again"
    return "running", detail


def _quiet(folder: Path) -> float | None:
    """Seconds since a run wrote anything: its description, a line, or a checkpoint, which it does every minute or so."""
    signs = [*folder.glob("*.pt"), *(folder / name for name in ("run.json", "history.jsonl"))]
    times = [path.stat().st_mtime for path in signs if path.exists()]
    return time.time() - max(times) if times else None


def running_members(plan: dict, results: Path) -> set[str]:
    """Ids of runs in jobs that were started and have not ended."""
    return {
        member
        for stage in ("search", "train")
        for job, members in plan["jobs"][stage].items()
        if (results / "jobs" / stage / f"{job}.running").exists()
        for member in members
    }


def print_status(plan: dict, results: Path) -> int:
    """Print a line a run and the counts; exit status 0."""
    running, counts, later = running_members(plan, results), {}, set(plan["on_demand"])
    for run in plan["runs"]:
        if row_of(run) in later and not run_folder(results, run["id"]).exists():
            continue
        what, detail = state(run, results, running)
        if what == "waiting":
            detail = plan["unavailable"].get(run["dataset"], detail)
        counts[what] = counts.get(what, 0) + 1
        print(f"{what:8} {run['id']:45} {detail}".rstrip())
    print(
        f"{sum(counts.values())} runs of preset {plan['preset']}: "
        + ", ".join(f"{n} {what}" for what, n in sorted(counts.items()))
    )
    return 0
