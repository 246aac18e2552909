"""Records -> runs.csv, summary.csv, tables, figures, claims and the page.

Every function takes the plan and the folder of its results and works on whatever is there: runs that are missing or failed are shown
as such. Nothing here imports torch; matplotlib, SciPy and Jinja2 are imported where they are first needed.
"""

from pathlib import Path

from workflow.plan.plan import Plan


def aggregate(plan: Plan, results: Path) -> None:
    """Write `results`/runs.csv (one row a seed) and `results`/summary.csv (one a data set and row) from the planned runs' records."""
    from workflow.report.csv_files import write_csv

    write_csv(plan, results)


def write_table(name: str, plan: Plan, results: Path, out: Path) -> None:
    """Write `out`/tables/<name>.csv, .md and .tex; `name`: table1 to table4."""
    from workflow.report.tables.files import write

    write(name, plan, results, out)


def write_figure(name: str, plan: Plan, results: Path, out: Path) -> None:
    """Write `out`/figures/<name>.svg, .png and .csv; `name`: one of figures.DRAWINGS."""
    from workflow.report.figures import write

    write(name, plan, results, out)


def write_chapter(name: str, plan: Plan, results: Path, out: Path) -> None:
    """Write `out`/chapters/<name>.csv; `name`: a file of config/chapters."""
    from workflow.report.chapters import write

    write(name, plan, results, out)


def write_claims(plan: Plan, results: Path, out: Path) -> None:
    """Write `out`/claims.csv and claims.json: each of the paper's claims with its verdict."""
    from workflow.report.claims.files import write

    write(plan, results, out)


def write_page(plan: Plan, results: Path, out: Path, recorded: Path) -> None:
    """Write `out`/index.html, complete in itself. `recorded`: results kept with the code; may be absent."""
    from workflow.report.page.page import write

    write(plan, results, out, recorded)
