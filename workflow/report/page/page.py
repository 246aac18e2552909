"""The page: everything in one HTML file that asks nothing of any server.

Jinja2 with autoescape; style and script are put in; figures are the SVG files of the same run. Times on the page come from the
records, so the same results give the same bytes.
"""

import html
import os
import re
from functools import cache
from pathlib import Path

from workflow.plan.plan import Plan
from workflow.records.state import RunState
from workflow.report import text
from workflow.report.chapters import sections
from workflow.report.claims import verdicts
from workflow.report.claims.claims import counts, judged
from workflow.report.figures import DRAWINGS, alt_of, lines_of
from workflow.report.figures import write as write_figure
from workflow.report.figures.style import TITLES, inline
from workflow.report.page import summary
from workflow.report.results import Evidence, gather
from workflow.report.tables import cells, sparklines
from workflow.support.durations import rounded
from workflow.support.files import ROOT, read_yaml, write_text

TEMPLATES = Path(__file__).parents[1] / "templates"
SYMBOLS = dict(zip(verdicts.VERDICTS, ("✓", "≈", "?", "✗", "○", "⊘"), strict=True))
CLASSES = dict(zip(verdicts.VERDICTS, ("holds", "near", "open", "fails", "idle", "idle"), strict=True))
TABLE_LINES = 90  # of a figure's data that the page shows; the CSV has all


@cache
def _environment() -> object:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=FileSystemLoader([TEMPLATES, ROOT / "workflow" / "primer"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {
        "style": Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        "script": Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
        "text": text, "symbols": SYMBOLS, "classes": CLASSES, "datasets": TITLES, "drawings": DRAWINGS,
    }  # fmt: skip
    return made


def _tables(evidence: Evidence) -> list[dict]:
    from markupsafe import Markup

    found = []
    for name in (name for name, entry in evidence.plan.tables.items() if entry.kind == "table"):
        table = cells.view(name, evidence)
        strips = {}
        span = sparklines.strip_range(list(table.rows), evidence.plan.comparable)
        for row in table.rows:
            if span and row.accuracy:
                published = row.published() if evidence.plan.comparable else None
                strips[row.id] = Markup(sparklines.strip(row.accuracy, published, span))
        groups: list[list] = []
        for column in table.columns:
            if groups and column.group and groups[-1][0] == column.group:
                groups[-1][1] += 1
            else:
                groups.append([column.group, 1])
        found.append({"view": table, "strips": strips, "groups": groups, "caption": cells.caption(table)})
    return found


def _figure_table(found: list[dict]) -> tuple[list[str], list[list[str]]]:
    """A figure's lines as a table; sizes by layer are put in one cell a network and seed."""

    def shown(value: object) -> str:
        return "" if value is None else text.significant(value, 5) if isinstance(value, float) else str(value)

    sizes = [line for line in found if "layer" in line and "size" in line and line.get("kind", "size") == "size"]
    if not sizes:
        return (list(found[0]) if found else []), [[shown(value) for value in line.values()] for line in found]
    heads = [key for key in ("dataset", "label", "seed") if key in sizes[0]]
    groups: dict[tuple, list[str]] = {}
    for line in sizes:
        groups.setdefault(tuple(str(line[key]) for key in heads), []).append(f"{line['size']:.1f}".removesuffix(".0"))
    return [*heads, "sizes, first layer to last"], [[*key, " ".join(values)] for key, values in groups.items()]


def _figures(evidence: Evidence, plan: Plan, results: Path, out: Path) -> list[dict]:
    from markupsafe import Markup

    found = []
    for name in DRAWINGS:
        lines = lines_of(name, evidence)
        svg = write_figure(name, plan, results, out, evidence).read_text(encoding="utf-8")
        heads, body = _figure_table(lines)
        alt = html.escape(alt_of(name, lines, plan), quote=True)
        found.append(
            {
                "name": name,
                "svg": Markup(inline(svg, name, alt)),
                "heads": heads,
                "lines": body[:TABLE_LINES],
                "total": len(body),
            }
        )
    return found


def _link(path: Path, out: Path) -> str | None:
    """A relative address from the page to a file that is there."""
    return Path(os.path.relpath(path, out)).as_posix() if path.exists() else None


def _run(state: RunState, out: Path, environment: str, jobs: dict[str, str], results: Path) -> dict:
    from markupsafe import Markup

    history, result = state.history, state.result
    curve = [entry["accuracy"] for entry in history if entry["stage"] == "train" and entry.get("accuracy") is not None]
    sizes = state.sizes
    if sizes and not state.run.search and len({str(size) for size in sizes}) == 1:
        sizes = []
    log = results / "logs" / "train" / f"{jobs.get(state.run.id, state.run.id)}.log"
    return {
        "state": state, "run": state.run, "result": result, "spark": Markup(sparklines.spark(curve)),
        "sizes": " ".join(map(text.size, sizes)), "environment": environment,
        "history": _link(state.folder / "history.jsonl", out), "log": _link(log, out),
        "seconds": _elapsed(history), "system": state.run.system, "arithmetic": summary.arithmetic(state.run),
    }  # fmt: skip


def _elapsed(history: list[dict]) -> float | None:
    total = sum(entry.get("seconds", 0) + (entry.get("evaluation_seconds") or 0) for entry in history)
    return total or None


def duration(seconds: float | None) -> str:
    """45 s, 12 min, 3.4 h; a dash where there is none."""
    return text.NONE if seconds is None else rounded(seconds)


def _options(plan: Plan) -> dict[str, str]:
    """Search options as the runs of the paper's own rows use them: name -> value(s); chapters vary them on purpose."""
    found: dict[str, set[str]] = {}
    later = set(plan.on_demand)
    for run in (run for run in plan.runs if run.place not in later):
        for name, value in (run.search.options if run.search else {}).items():
            found.setdefault(name, set()).add(str(value))
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def context(evidence: Evidence, results: Path, out: Path, recorded: Path) -> dict:
    """Everything that the template prints."""
    plan = evidence.plan
    claims = judged(evidence)
    environments, of_run = summary.environments(evidence)
    jobs = {member: job for job, members in plan.jobs.get("train", {}).items() for member in members}
    return {
        "plan": plan, "claims": claims, "tally": counts(claims), "outcome": summary.outcome(claims),
        "complete": summary.completeness(evidence), "warnings": summary.warnings(evidence), "latest": summary.latest(evidence),
        "environments": environments, "arithmetics": summary.arithmetics(evidence),
        "tables": _tables(evidence), "figures": _figures(evidence, plan, results, out),
        "chapters": sections(evidence),
        "protocol": read_yaml(ROOT / "config" / "protocol.yaml")["points"],
        "findings": read_yaml(ROOT / "config" / "findings.yaml")["findings"],
        "options": _options(plan), "test_sets": summary.test_sets(evidence), "cost": duration(summary.cost(evidence)),
        "runs": [_run(state, out, of_run.get(state.run.id, ""), jobs, results) for state in evidence.states],
        "recorded": [], "duration": duration, "results": results.as_posix(),
    }  # fmt: skip


def write(plan: Plan, results: Path, out: Path, recorded: Path) -> None:
    """`out`/index.html."""
    evidence = gather(plan, results)
    page = _environment().get_template("page.html.j2").render(context(evidence, results, out, recorded))
    write_text(out / "index.html", re.sub(r"\n\s+", "\n", page))  # a tenth of the bytes is the templates' indentation
