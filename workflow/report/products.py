"""Records -> runs.csv, summary.csv, tables, figures, chapters, claims and the page, by name.

Every product works on whatever is there: runs that are missing or failed are shown as such. Nothing here imports torch; matplotlib,
SciPy and Jinja2 are imported where they are first needed.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from workflow.plan.plan import Plan
from workflow.support.errors import UserError


def makers(plan: Plan, results: Path, out: Path) -> dict[str, Callable[[], object]]:
    """Name -> what makes it: every table, figure and chapter of the plan, `claims`, `aggregate` (into `results`) and `index`."""
    from workflow.report import chapters, figures
    from workflow.report.claims import files as claims
    from workflow.report.csv_files import write_csv
    from workflow.report.page import page
    from workflow.report.tables import files as tables

    kinds: dict[str, Callable[..., object]] = {"table": tables.write, "chapter": chapters.write}
    named = {name: kinds[entry.kind] for name, entry in plan.tables.items() if entry.kind in kinds}
    named |= {name: figures.write for name in figures.DRAWINGS if name not in named}
    return {
        **{name: partial(write, name, plan, results, out) for name, write in named.items()},
        "claims": lambda: claims.write(plan, results, out),
        "aggregate": lambda: write_csv(plan, results),
        "index": lambda: page.write(plan, results, out),
    }


def write(product: str, plan: Plan, results: Path, out: Path) -> None:
    """Make one product; `page`: all of them, the page last. UserError for a name that is none."""
    found = makers(plan, results, out)
    if product == "page":
        for name, make in found.items():
            if name != "aggregate":
                make()
    elif product in found:
        found[product]()
    elif product in plan.tables:
        raise UserError(
            f"'{product}' of tables.yaml has no drawing: add one of this name to DRAWINGS in workflow/report/figures/__init__.py."
        )
    else:
        raise UserError(f"no product '{product}': choose one of page, {', '.join(found)}.")


def complete(plan: Plan, results: Path) -> bool:
    """Whether every job of what the report shows has ended well."""
    later = set(plan.on_demand)
    rows = {run.id: run.place for run in plan.runs}
    return all(
        (results / "jobs" / stage / f"{job}.json").exists()
        for stage in ("train", "time")
        for job, members in plan.jobs[stage].items()
        if not {rows.get(member, member) for member in members} <= later
    )
