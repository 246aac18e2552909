"""The page: everything in one HTML file that asks nothing of any server; the runs, one line each, in a second one beside it.

Jinja2 with autoescape; style and script are put in; figures are the SVG files of the same run. Times on the page come from the
records, so that the same results give the same bytes.
"""

import base64
import hashlib
import json
import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from workflow.plan.plan import Plan
from workflow.report import badges, text
from workflow.report.chapters import sections, waiting_chapters
from workflow.report.chapters.central import CHAPTER, central
from workflow.report.claims.claims import judged
from workflow.report.costs import costs_of
from workflow.report.figures import DRAWINGS, on_page
from workflow.report.figures.style import TITLES
from workflow.report.page import claim_lines, findings, forest, runs, summary
from workflow.report.results import Evidence, gather
from workflow.report.tables import cells, sparklines
from workflow.support.files import ROOT, read_yaml, write_json, write_text

TEMPLATES = Path(__file__).parents[1] / "templates"


def _unindented(page: str) -> str:
    """Without the templates' indentation, which is a tenth of it."""
    return re.sub(r"\n\s+", "\n", page)


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
    script = _unindented((TEMPLATES / "page.js").read_text(encoding="utf-8"))
    made.globals |= {
        "style": Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")), "script": Markup(script),
        "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "text": text, "datasets": TITLES, "symbols": claim_lines.GLYPHS, "classes": claim_lines.CLASSES,
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


def context(evidence: Evidence, out: Path, *, published: bool) -> dict:
    """Everything that the templates print."""
    from markupsafe import Markup

    plan, claims = evidence.plan, judged(evidence)
    question, environments = central(evidence), summary.environments(evidence)
    left_out = ("runs", "jobs", "tables", "prepare", "why", "unavailable")
    settings = {key: value for key, value in plan.to_json().items() if key not in left_out}
    chapters, published_wrong = sections(evidence), read_yaml(ROOT / "config" / "findings.yaml")["findings"]
    return {
        "plan": plan, "claims": claims, "groups": claim_lines.lines(evidence, claims), "claim_lines": claim_lines,
        "tally": claim_lines.tally(claims), "central": question, "findings_page": findings, "forest": forest,
        "axis": Markup(forest.scale(findings.axis_of(question), [f"−{question.reach:g}", "0", f"+{question.reach:g}"]))
        if question else "",
        "measured_on": summary.measured_on(evidence),
        "warnings": summary.warnings(evidence), "latest": summary.latest(evidence), "environments": environments,
        "tables": _tables(evidence), "figures": {name: on_page(name, evidence, None if published else out) for name in DRAWINGS},
        "chapters": [chapter for chapter in chapters if chapter["name"] != CHAPTER],
        "central_chapter": next((chapter for chapter in chapters if chapter["name"] == CHAPTER), None),
        "protocol": read_yaml(ROOT / "config" / "protocol.yaml")["points"],
        "findings": published_wrong, "doubts": claim_lines.doubts(published_wrong),
        "options": _options(evidence), "test_sets": summary.test_sets(evidence),
        "costs": costs_of(evidence), "waiting_chapters": waiting_chapters(evidence),
        "selfcheck": summary.selfcheck(evidence), "settings": _data_address(settings),
        "environment_file": _data_address([{"name": one.name, "runs": one.runs, **one.facts} for one in environments]),
        "published": published, "results": evidence.results.as_posix(), "runs_of": runs.lines(evidence, out),
        "refused": evidence.refused,
    }  # fmt: skip


def write(plan: Plan, results: Path, out: Path, *, published: bool = False) -> None:
    """`out`/index.html and runs.html, beside them the plan and the figures' files. `published`: the two pages alone, to be kept."""
    evidence = gather(plan, results)
    data = context(evidence, out, published=published)
    for name in ("index", "runs"):
        page = _environment().get_template(f"{name}.html.j2").render(data)
        write_text(out / f"{name}.html", _unindented(page))
    if not published:
        write_json(out / "plan.json", plan.to_json())
