"""Chapters: rows that answer a question beside the paper's tables, one file of config/chapters each.

A chapter may have a package of its own name, workflow.<name>, whose module `chapter` renders it: `lines(evidence) -> list[dict]` (its
CSV) and `context(evidence) -> dict` (for the package's <name>.html.j2). One that has questions is answered question by question
(`questions.py`); any other is a plain table of its rows.
"""

import importlib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from workflow.plan.plan import Entry, Plan
from workflow.report.chapters import questions
from workflow.report.csv_files import summary_line, to_csv
from workflow.report.results import Evidence, gather
from workflow.report.rows import rows_in, rows_of
from workflow.support.files import write_text


def _module(name: str) -> ModuleType | None:
    package = f"workflow.{name.replace('-', '_')}"
    return importlib.import_module(f"{package}.chapter") if find_spec(package) else None


def lines_of(name: str, evidence: Evidence) -> list[dict]:
    """The lines of a chapter's CSV."""
    if module := _module(name):
        return module.lines(evidence)
    if evidence.plan.tables[name].questions:
        return questions.lines(name, evidence)
    return [summary_line(row) for row in rows_in(evidence, name)]


def write(name: str, plan: Plan, results: Path, out: Path) -> None:
    """`out`/chapters/<name>.csv."""
    write_text(out / "chapters" / f"{name}.csv", to_csv(lines_of(name, gather(plan, results)), ("row",)))


def sections(evidence: Evidence) -> list[dict]:
    """What the page shows: every chapter that has a result of its own, in the plan's order."""
    asked = {row.id for row in rows_of(evidence).values() if row.done}
    found = []
    for name, entry in evidence.plan.tables.items():
        if entry.kind != "chapter":
            continue
        module = _module(name)
        beside = getattr(module, "has_results", None)  # of a chapter that also shows what is no run
        if not (_has_results(name, entry, evidence, asked) or (beside and beside(evidence))):
            continue
        if module:
            template, data = f"{module.NAME}.html.j2", module.context(evidence)
        elif entry.questions:
            template, data = "chapters/questions.html.j2", questions.context(name, evidence)
        else:
            template, data = "chapters/rows.html.j2", {"rows": questions.lines_of_rows(rows_in(evidence, name))}
        found.append({
            "name": name, "title": entry.title, "text": entry.text, "template": template, "data": data,
        })  # fmt: skip
    return found


def _has_results(name: str, entry: Entry, evidence: Evidence, asked: set[str]) -> bool:
    """Whether a row that only chapters have was measured; the tables' rows alone do not make a chapter."""
    others = {
        row.row
        for shown in evidence.plan.tables.values()
        if shown.kind != "chapter" and shown.dataset == entry.dataset
        for row in shown.rows
    }
    own = {row.row for row in entry.rows} - others
    return bool(own & asked)
