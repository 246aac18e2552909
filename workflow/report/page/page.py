"""The page: everything in one HTML file that asks nothing of any server; the runs, one line each, in a second one beside it.

Jinja2 with autoescape; style and script are put in; figures are the SVG files of the same run. Times on the page come from the
records, so that the same results give the same bytes.
"""

import html
import json
import re
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workflow.plan.plan import Plan
from workflow.report import badges, text
from workflow.report.chapters import sections
from workflow.report.chapters.central import CHAPTER, central
from workflow.report.claims.claims import judged
from workflow.report.figures import DRAWINGS, alt_of, lines_of, measured
from workflow.report.figures import write as write_figure
from workflow.report.figures.style import TITLES, inline
from workflow.report.page import claim_lines, findings, forest, runs, summary
from workflow.report.results import Evidence, gather
from workflow.report.tables import cells, sparklines
from workflow.support.files import ROOT, read_yaml, write_json, write_text

TEMPLATES = Path(__file__).parents[1] / "templates"
TABLE_LINES = 90  # of a figure's data that the page shows; the CSV has all


@cache
def _environment() -> Any:
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
        "text": text, "datasets": TITLES, "drawings": DRAWINGS, "symbols": claim_lines.GLYPHS, "classes": claim_lines.CLASSES,
        "ways": claim_lines.WAYS, "caps": badges.CAPS, "badges": badges,
        "draw": lambda function, *arguments: Markup(function(*arguments)),
    }  # fmt: skip
    return made


def _tables(evidence: Evidence) -> list[dict]:
    found = []
    for name in (name for name, entry in evidence.plan.tables.items() if entry.kind == "table"):
        table = cells.view(name, evidence)
        found.append({"view": table, "strips": sparklines.strips(table), "caption": cells.caption(table)})
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


def _figures(evidence: Evidence, out: Path, *, published: bool) -> dict[str, dict]:
    """The figures by name, their files under `out`; of one without anything measured only that it is so."""
    from markupsafe import Markup

    found: dict[str, dict] = {}
    for name in DRAWINGS:
        lines = lines_of(name, evidence)
        if not measured(lines):
            found[name] = {"name": name, "svg": None}
            continue
        svg = write_figure(name, evidence.plan, evidence.results, out, evidence).read_text(encoding="utf-8")
        heads, body = _figure_table(lines)
        alt = html.escape(alt_of(name, lines, evidence.plan), quote=True)
        found[name] = {
            "name": name, "svg": Markup(inline(svg, name, alt)), "heads": heads, "lines": body[:TABLE_LINES], "total": len(body),
            "files": not published,
        }  # fmt: skip
    return found


def _options(evidence: Evidence) -> dict[str, str]:
    """Search options as the searches of the paper's own rows used them: name -> value(s); chapters vary them on purpose."""
    found: dict[str, set[str]] = {}
    later = set(evidence.plan.on_demand)
    searches = [run.search for run in evidence.plan.runs if run.place not in later and run.search]
    for search in searches:
        for name, value in search.options.items():
            found.setdefault(name, set()).add(str(value))
    return {name: ", ".join(sorted(values)) for name, values in found.items()}


def _data_address(value: object) -> str:
    """JSON as an address that a browser saves as a file."""
    return "data:application/json," + quote(json.dumps(value, indent=1, sort_keys=True), safe="")


def context(evidence: Evidence, out: Path, drawn: Path, *, published: bool) -> dict:
    """Everything that the templates print. `drawn`: where the figures' files go."""
    from markupsafe import Markup

    plan, claims = evidence.plan, judged(evidence)
    question, environments = central(evidence), summary.environments(evidence)
    settings = {
        key: value
        for key, value in plan.to_json().items()
        if key not in ("runs", "jobs", "tables", "prepare", "why", "unavailable")
    }
    chapters = sections(evidence)
    return {
        "plan": plan, "claims": claims, "groups": claim_lines.lines(evidence, claims), "claim_lines": claim_lines,
        "tally": claim_lines.tally(claims), "central": question, "findings_page": findings, "forest": forest,
        "axis": Markup(forest.scale(findings.axis_of(question), [f"−{question.reach:g}", "0", f"+{question.reach:g}"]))
        if question else "",
        "warnings": summary.warnings(evidence), "latest": summary.latest(evidence), "environments": environments,
        "tables": _tables(evidence), "figures": _figures(evidence, drawn, published=published),
        "chapters": [chapter for chapter in chapters if chapter["name"] != CHAPTER],
        "central_chapter": next((chapter for chapter in chapters if chapter["name"] == CHAPTER), None),
        "protocol": read_yaml(ROOT / "config" / "protocol.yaml")["points"],
        "findings": read_yaml(ROOT / "config" / "findings.yaml")["findings"],
        "options": _options(evidence), "test_sets": summary.test_sets(evidence),
        "selfcheck": summary.selfcheck(evidence), "settings": _data_address(settings),
        "environment_file": _data_address([{"name": one.name, "runs": one.runs, **one.facts} for one in environments]),
        "published": published, "results": evidence.results.as_posix(), "runs_of": runs.lines(evidence, out),
        "complete": summary.completeness(evidence), "refused": evidence.refused,
    }  # fmt: skip


def write(plan: Plan, results: Path, out: Path, *, published: bool = False) -> None:
    """`out`/index.html and runs.html, beside them the plan and the figures' files. `published`: the two pages alone, to be kept."""
    evidence = gather(plan, results)
    with tempfile.TemporaryDirectory() as scratch:
        data = context(evidence, out, Path(scratch) if published else out, published=published)
    for name in ("index", "runs"):
        page = _environment().get_template(f"{name}.html.j2").render(data)
        write_text(
            out / f"{name}.html", re.sub(r"\n\s+", "\n", page)
        )  # a tenth of the bytes is the templates' indentation
    if not published:
        write_json(out / "plan.json", plan.to_json())
