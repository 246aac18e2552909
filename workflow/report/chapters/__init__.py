"""Chapters: rows that answer a question beside the paper's tables, one file of config/chapters each.

A chapter may have a package of its own name, workflow.<name>, whose module `chapter` renders it: `lines(evidence) -> list[dict]` (its
CSV) and `context(evidence) -> dict` (for the package's <name>.html.j2). One that has questions is answered question by question
(`questions.py`); any other is a plain table of its rows.
"""

import importlib
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from workflow.plan.plan import Plan
from workflow.report.chapters import questions
from workflow.report.chapters.central import CHAPTER
from workflow.report.csv_files import summary_line, to_csv
from workflow.report.results import Evidence, gather
from workflow.report.rows import Row, rows_in, rows_of
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


def _shown(name: str, evidence: Evidence) -> bool:
    """Whether a chapter has a result of its own; the tables' rows alone do not make one."""
    tables = evidence.plan.tables
    others = {place for entry in tables.values() if entry.kind != "chapter" for place in entry.places}
    measured = {f"{row.dataset}/{row.id}" for row in rows_of(evidence).values() if row.done}
    beside = getattr(_module(name), "has_results", None)  # of a chapter that also shows what is no run
    return bool(measured & set(tables[name].places) - others) or bool(beside and beside(evidence))


def _section(name: str, evidence: Evidence) -> dict[str, Any]:
    entry = evidence.plan.tables[name]
    if module := _module(name):
        template, data = f"{module.NAME}.html.j2", module.context(evidence)
    elif entry.questions:
        template, data = "chapters/questions.html.j2", questions.context(name, evidence)
    else:
        template, data = "chapters/rows.html.j2", {"rows": questions.lines_of_rows(rows_in(evidence, name))}
    return {"name": name, "title": entry.title, "text": entry.text, "template": template, "data": data}


def sections(evidence: Evidence) -> list[dict]:
    """What the page shows: every chapter that has a result of its own, in the plan's order."""
    return [_section(name, evidence) for name in _chapters(evidence) if _shown(name, evidence)]


def waiting_chapters(evidence: Evidence) -> list[tuple[str, str, list[Row]]]:
    """(name, title, rows that were not run) of the chapters without a result; the central question has a place of its own."""
    names = [name for name in _chapters(evidence) if name != CHAPTER and not _shown(name, evidence)]
    rows = {name: [row for row in rows_in(evidence, name) if row.planned and not row.done] for name in names}
    return [(name, evidence.plan.tables[name].title, rows[name]) for name in names if rows[name]]


def _chapters(evidence: Evidence) -> list[str]:
    return [name for name, entry in evidence.plan.tables.items() if entry.kind == "chapter"]
