"""The figures: each is a list of lines (its CSV), a drawing of them, and a sentence of alternative text made from them.

A drawing depends on nothing but its lines and its entry in the plan, so a figure that has not changed is not drawn again.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workflow.plan.plan import Plan
from workflow.report import text
from workflow.report.csv_files import to_csv
from workflow.report.figures import central, dynamics, figure3, image_share, kernels, scatter
from workflow.report.figures.style import Picture, inline, pdf_bytes, png_bytes, svg_text
from workflow.report.results import Evidence, gather
from workflow.support.files import write_bytes, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TABLE_LINES = 90  # of a figure's data that the page shows; the CSV has all


@dataclass(frozen=True)
class Drawing:
    """How one figure is made. `caption`: what it shows, without the numbers; `draw` and `alt` get its lines and its entry."""

    title: str
    caption: str
    lines: Callable[[str, Evidence], list[dict]]
    draw: Callable[[list[dict], Any], "Figure"]
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
        "Figure 2. Learned kernel sizes and kernels",
        "Learned size of each residual layer, by seed, above squares to scale, which are filled where the weights were kept.",
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
        "CIFAR-10: accuracy and seconds per epoch. The paper's seconds are from its own, unnamed machine and from other papers; "
        "they and the measured ones stand in panels of their own.",
        scatter.lines, scatter.draw, scatter.alt,
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
    "image-share": Drawing(
        "What images have to do with the sizes",
        "Searches beside image-free ones from the same seeds: the share of the variance of soft sizes over layers that images explain "
        "alike in every seed, with a 95 % interval over layers like these (the variance that it is a share of counts as known), and "
        "all that differs from the image-free searches, chance included.",
        image_share.lines, image_share.draw, image_share.alt,
    ),
    "curves": Drawing(
        "Learning curves", "Test accuracy by epoch of training, mean over the seeds that got there.",
        dynamics.curve_lines, dynamics.draw_curves, dynamics.alt_curves,
    ),
}  # fmt: skip


@cache
def _code() -> bytes:
    return b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))


def lines_of(name: str, evidence: Evidence) -> list[dict]:
    """The lines of a figure; none where the plan does not have it."""
    if name.startswith("figure") and name not in evidence.plan.tables:
        return []
    return DRAWINGS[name].lines(name, evidence)


def alt_of(name: str, found: list[dict], plan: Plan) -> str:
    """Alternative text, from the numbers."""
    return f"{DRAWINGS[name].title}. {text.plain(DRAWINGS[name].alt(found, plan.tables.get(name)))}"


def draw(name: str, found: list[dict], plan: Plan, out: Path) -> str:
    """The files of a figure (SVG, PNG, PDF, CSV) from its lines; the text of its SVG."""
    content, base, shown = to_csv(found), out / "figures" / name, plan.tables.get(name)
    mark = hashlib.sha256(b"\0".join([content.encode(), repr(shown).encode(), _code()])).hexdigest()[:16]
    svg, png, pdf = (base.with_suffix(suffix) for suffix in (".svg", ".png", ".pdf"))
    write_text(base.with_suffix(".csv"), content)
    kept = svg.read_text(encoding="utf-8") if svg.exists() and png.exists() and pdf.exists() else ""
    if f"<!-- drawn from {mark} -->" in kept[-60:]:
        return kept
    drawn = DRAWINGS[name].draw(found, shown)
    made = svg_text(drawn)  # first: where things stand depends on what a figure was written as before
    write_bytes(png, png_bytes(drawn))
    write_bytes(pdf, pdf_bytes(drawn))
    write_text(svg, f"{made}<!-- drawn from {mark} -->\n")
    return made


def write(name: str, plan: Plan, results: Path, out: Path) -> None:
    """The files of a figure."""
    draw(name, lines_of(name, gather(plan, results)), plan, out)


def on_page(name: str, evidence: Evidence, out: Path | None) -> Picture:
    """A figure for the page; without a drawing where there are only the paper's own numbers. `out`: where its files go, or None."""
    made, lines = Picture(name, DRAWINGS[name].title, DRAWINGS[name].caption), lines_of(name, evidence)
    if all(line.get("source") == "paper" for line in lines):
        return made
    plan = evidence.plan
    drawn = draw(name, lines, plan, out) if out else svg_text(DRAWINGS[name].draw(lines, plan.tables.get(name)))
    svg = inline(drawn, name, alt_of(name, lines, plan))
    heads, numbers = _numbers(lines)
    return replace(made, svg=svg, heads=heads, lines=numbers[:TABLE_LINES], total=len(numbers), files=out is not None)


def _numbers(found: list[dict]) -> tuple[list[str], list[list[str]]]:
    """A figure's lines as a table; sizes by layer are put in one cell a network and seed."""

    def shown(value: object) -> str:
        return "" if value is None else text.significant(value, 5) if isinstance(value, float) else str(value)

    sizes = [line for line in found if "layer" in line and "size" in line and line.get("kind", "size") == "size"]
    if not sizes:
        return list(found[0]), [[shown(value) for value in line.values()] for line in found]
    heads = [key for key in ("dataset", "label", "seed") if key in sizes[0]]
    groups: dict[tuple, list[str]] = {}
    for line in sizes:
        groups.setdefault(tuple(str(line[key]) for key in heads), []).append(f"{line['size']:.1f}".removesuffix(".0"))
    return [*heads, "sizes, first layer to last"], [[*key, " ".join(values)] for key, values in groups.items()]
