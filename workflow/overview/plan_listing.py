"""`python -m workflow plan`: every run, why it would run, what it would cost, and the sums, by table and on disk."""

from pathlib import Path

from workflow.overview.estimates import Estimates, disk
from workflow.plan.plan import Entry, Plan
from workflow.plan.steps import Step
from workflow.protocol.runs import Run
from workflow.records.state import state_of
from workflow.support.durations import rounded


def run_seconds(estimates: Estimates, run: Run) -> tuple[float, str]:
    """Seconds of all stages of a run, and what they rest on."""
    stages = ["search", "train"] if run.search else ["train"]
    found = [estimates.seconds(Step(stage, run.id)) for stage in stages]
    return sum(seconds for seconds, _ in found), found[-1][1]


LONGEST = 3  # rows that are named as those that take longest


def costs(plan: Plan, results: Path, estimates: Estimates) -> dict[str, tuple[float, str]]:
    """Run -> (seconds, what they rest on), of the runs to do whose data can be had."""
    wanted = (run for run in plan.runs if run.dataset not in plan.unavailable)
    return {run.id: run_seconds(estimates, run) for run in wanted if state_of(run, results).why}


def summary(plan: Plan, cost: dict[str, tuple[float, str]], estimates: Estimates) -> list[str]:
    """What the plain report still takes, and its longest rows: a few lines."""
    rows = {run.id: run.place for run in plan.runs if run.place in plan.report_rows}
    due: dict[str, float] = {}
    for run in rows.keys() & cost.keys():
        due[rows[run]] = due.get(rows[run], 0.0) + cost[run][0]
    longest = sorted(due, key=lambda row: (-due[row], row))[:LONGEST]
    return [
        f"{len(rows.keys() & cost.keys())} of {len(rows)} runs to do on {estimates.kind}: "
        f"about {rounded(sum(due.values()))} one after the other, without the timing stage.",
        *([f"Longest: {', '.join(f'{row} {rounded(due[row])}' for row in longest)}."] if longest else []),
        estimates.basis(),
    ]


def print_brief(plan: Plan, results: Path, *, device: str | None = None) -> int:
    """What a pipeline says before it starts; exit status 0."""
    estimates = Estimates(plan, results, device=device)
    print("\n".join(summary(plan, costs(plan, results, estimates), estimates)))
    return 0


def print_plan(plan: Plan, results: Path, *, device: str | None = None) -> int:
    """Print a line a run, the sums, hours by table, and disk; exit status 0."""
    estimates = Estimates(plan, results, device=device)
    later, cost = set(plan.on_demand), costs(plan, results, estimates)
    print(f"Preset {plan.preset} ({plan.why}). {plan.banner} Another: --preset smoke, short or paper.")
    for run in plan.runs:
        if run.place in later:
            continue
        why = state_of(run, results).why
        if why is None:
            print(f"{'done':>9}  {run.id}")
        elif run.id not in cost:
            print(f"{'waits':>9}  {run.id:45} {plan.unavailable[run.dataset]}")
        else:
            seconds, basis = cost[run.id]
            print(f"{rounded(seconds):>9}  {run.id:45} {why} ({basis})")
    print("\n".join(summary(plan, cost, estimates)))
    rows = {run.id: run.place for run in plan.runs}
    for name in plan.tables:
        members = plan.rows_of(name)
        wanted = {run for run, row in rows.items() if row in members}
        if not wanted:  # left out by the configuration's `only`
            continue
        asked = wanted & set(cost)
        total = sum(cost[run][0] for run in asked)
        own = f", {sum(rows[run] in later for run in asked)} of them run for it alone" if later & members else ""
        print(f"{rounded(total):>9}  snakemake {name}: {len(asked)} of {len(wanted)} runs to do{own}")
        waits = plan.tables[name].dataset in plan.unavailable
        for seconds, asks in sorted(questions(plan, plan.tables[name], {run: cost[run][0] for run in asked})):
            print(f"{'waits' if waits else rounded(seconds) if seconds else 'done':>13}  {asks}")
    sizes = {name: f"{size / 1e9:.2f} GB" for name, size in disk(plan).items()}
    print(
        f"On disk: {sizes['data']} of prepared data and {sizes['kept']} of results; while they run, checkpoints of up to "
        f"{sizes['search']} a search and {sizes['train']} a training job."
    )
    return 0


def questions(plan: Plan, entry: Entry, missing: dict[str, float]) -> list[tuple[float, str]]:
    """(seconds, question) of a chapter: those of the missing runs of every row that it compares, shared ones counted for each.

    A question of which one side is not in the plan is left out.
    """
    found: list[tuple[float, str]] = []
    planned: dict[str, list[str]] = {}
    for run in plan.runs:
        if run.dataset == entry.dataset:
            planned.setdefault(run.row, []).append(run.id)
    for question in entry.questions:
        sides = [[row for row in question[side] if row in planned] for side in ("row", "others")]
        if all(sides):
            runs = [run for row in {*sides[0], *sides[1]} for run in planned[row]]
            found.append((sum(missing.get(run, 0.0) for run in runs), question["asks"]))
    return found
