"""The figures: each is a list of lines (its CSV), a drawing of them, and a sentence of alternative text made from them.

A drawing depends on nothing but its lines, so a figure whose lines and code have not changed is not drawn again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from workflow.plan.plan import Entry, Plan
from workflow.report import text
from workflow.report.csv_files import to_csv
from workflow.report.figures import central, dynamics, figure3, kernels, scatter
from workflow.report.results import Evidence, gather
from workflow.support.files import write_bytes, write_text


@dataclass(frozen=True)
class Drawing:
    """How one figure is made. `caption`: what it shows, without the numbers."""

    title: str
    caption: str
    lines: Callable[[str, Evidence], list[dict]]
    draw: Callable
    alt: Callable[[list[dict], Any], str]


DRAWINGS = {
    "contrasts": Drawing(
        "Learned sizes against controls",
        "Each control by its difference in test accuracy, learned minus control. Thin bar: 95 % interval; thick bar: 90 % interval, "
        "which lies within the shaded ±0.3 points where both are equal. Faint dots: single seeds. Bottom: random sizes of equal "
        "parameters and, for comparison, the seeds of the learned ones.",
        central.lines, central.draw, central.alt,
    ),
    "figure2": Drawing(
        "Figure 2. Learned kernel sizes and kernels", "Learned size of each residual layer, by seed, above the kernels themselves.",
        kernels.figure2_lines, kernels.draw_figure2, kernels.alt_sizes,
    ),
    "figure3a": Drawing(
        "Figure 3a. Accuracy and time against depth",
        "EffConv networks of growing depth at one budget. Hollow marks: what the paper prints in its text and tables; the rest of its "
        "curve is printed nowhere and was not traced.",
        figure3.lines, figure3.draw, figure3.alt,
    ),
    "figure3b": Drawing(
        "Figure 3b. Accuracy and time against the budget",
        "EffConv-20 at growing parameter budgets. Hollow marks: what the paper prints.",
        figure3.lines, figure3.draw, figure3.alt,
    ),
    "figure3c": Drawing(
        "Figure 3c. Sizes at two budgets", "Learned sizes of the same network at two budgets, layer by layer.",
        kernels.size_lines, kernels.draw_figure3c, kernels.alt_sizes,
    ),
    "accuracy-time": Drawing(
        "Accuracy against time",
        "CIFAR-10: accuracy and seconds per epoch. The paper's seconds are from its own, unnamed machine and "
        " from other papers; they and the measured ones share an axis, not a machine.",
        scatter.lines, scatter.draw_time, scatter.alt_time,
    ),
    "sizes": Drawing(
        "Kernel sizes by layer", "Mean size over seeds of every learned layer; a line a network.",
        kernels.map_lines, kernels.draw_map, kernels.alt_map,
    ),
    "trajectories": Drawing(
        "How the sizes come about",
        "The search of figure 2's network, one seed: soft sizes (dark: early layers, light: late ones), the parameter count against "
        "its budget, and the mean size of the gradient that reaches a soft size from the classification loss and from the budget.",
        dynamics.trajectory_lines, dynamics.draw_trajectories, dynamics.alt_trajectories,
    ),
    "curves": Drawing(
        "Learning curves", "Test accuracy by epoch of training, mean over the seeds that got there.",
        dynamics.curve_lines, dynamics.draw_curves, dynamics.alt_curves,
    ),
}  # fmt: skip


@cache
def _code() -> bytes:
    return b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))


def shown_by(name: str, plan: Plan) -> Entry | None:
    """The plan's entry of a figure: title, x values; None for figures that are not in the plan."""
    return plan.tables.get(name)


def lines_of(name: str, evidence: Evidence) -> list[dict]:
    """The lines of a figure; none where the plan does not have it."""
    drawing = DRAWINGS[name]
    if name.startswith("figure") and name not in evidence.plan.tables:
        return []
    return drawing.lines(name, evidence)


def alt_of(name: str, found: list[dict], plan: Plan) -> str:
    """Alternative text, from the numbers."""
    return f"{DRAWINGS[name].title}. {text.plain(DRAWINGS[name].alt(found, shown_by(name, plan)))}"


def measured(found: list[dict]) -> bool:
    """Whether the lines of a figure hold anything but the paper's own numbers."""
    return any(line.get("source") != "paper" for line in found)


def write(name: str, plan: Plan, results: Path, out: Path, evidence: Evidence | None = None) -> Path:
    """The files of a figure (SVG, PNG, PDF, CSV); the path of its SVG."""
    from workflow.report.figures.style import pdf_bytes, png_bytes, svg_text

    found = lines_of(name, evidence or gather(plan, results))
    content, base = to_csv(found), out / "figures" / name
    shown = shown_by(name, plan)
    mark = hashlib.sha256(b"\0".join([content.encode(), repr(shown).encode(), _code()])).hexdigest()[:16]
    svg, png, pdf = (base.with_suffix(suffix) for suffix in (".svg", ".png", ".pdf"))
    write_text(base.with_suffix(".csv"), content)
    there = svg.exists() and png.exists() and pdf.exists()
    if there and f"<!-- drawn from {mark} -->" in svg.read_text(encoding="utf-8")[-60:]:
        return svg
    alone = {line.get("protocol") for line in found} <= {
        None,
        "paper",
    }  # the paper's numbers may stand on the same axes
    drawn = DRAWINGS[name].draw(found, alone, shown)
    write_bytes(png, png_bytes(drawn))
    write_bytes(pdf, pdf_bytes(drawn))
    write_text(svg, f"{svg_text(drawn)}<!-- drawn from {mark} -->\n")
    return svg
