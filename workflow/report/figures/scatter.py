"""Accuracy against time: what a point of accuracy costs, on CIFAR-10."""

from typing import TYPE_CHECKING

from workflow.plan.plan import Entry
from workflow.report import text
from workflow.report.figures.style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    PURPLE,
    SURFACE,
    VERMILION,
    beside_paper,
    empty,
    panels,
)
from workflow.report.results import Evidence
from workflow.report.rows import Row, at_common, rows_by_id
from workflow.report.seconds import device_of_most
from workflow.support.known import known

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAMILIES = (
    ("EffConv", BLUE, "o"), ("FlexNet", VERMILION, "s"), ("CKC", PURPLE, "D"), ("ResNet", GREEN, "^"), ("WRN", GREEN, "v"),
)  # fmt: skip
DATASET = "cifar10"
# Where a name may stand: offset from its point in points, and alignment.
CANDIDATES = (
    (7, 0, "left"), (-7, 0, "right"), (0, 9, "center"), (0, -9, "center"), (6, 7, "left"), (6, -7, "left"),
    (-6, 7, "right"), (-6, -7, "right"),
)  # fmt: skip


def family(label: str) -> tuple[str, str]:
    """Colour and marker of a system, by its name."""
    return next(((colour, marker) for name, colour, marker in FAMILIES if name in label), (MUTED, "P"))


def lines(name: str, evidence: Evidence) -> list[dict]:
    """row, source (paper, measured), accuracy, spread, and the costs that the source gives."""
    protocol, rows = at_common(row for row in rows_by_id(evidence, DATASET).values() if _of_tables(row, evidence))
    device, found = device_of_most(rows), []
    for row in rows:
        if "acc" in row.paper:
            found.append({
                "row": row.id, "label": row.name, "source": "paper", "accuracy": row.paper["acc"], "std": row.paper.get("std"),
                "seconds": row.paper.get("sec"), "parameters": row.paper.get("params"), "macs": None, "protocol": None,
            })  # fmt: skip
        clock = row.clock_of(row.timed_on(device))
        if row.accuracy:
            found.append({
                "row": row.id, "label": row.name, "source": "measured", "accuracy": row.accuracy.mean, "std": row.accuracy.std,
                "seconds": clock and clock.value, "parameters": known(row.parameters).mean / 1e6, "macs": known(row.macs).mean / 1e6,
                "protocol": protocol,
            })  # fmt: skip
    return found


def _of_tables(row: Row, evidence: Evidence) -> bool:
    """Whether a row is one of the tables' or figures'; the chapters' controls have figures of their own."""
    shown = [entry for entry in evidence.plan.tables.values() if entry.kind != "chapter"]
    return any(f"{row.dataset}/{row.id}" in entry.places for entry in shown)


def _floor(points: list[dict]) -> float | None:
    """Where the vertical axis ends when a few points lie far below the rest; None where it can show all."""
    values = sorted(point["accuracy"] for point in points)
    quarter, top = values[len(values) // 4], values[-1]
    floor = top - 3.5 * max(top - quarter, 0.5)
    return floor if values[0] < floor else None


def _height(point: dict, floor: float | None) -> float:
    """Where a point stands: on the floor if its accuracy lies below."""
    return point["accuracy"] if floor is None else max(point["accuracy"], floor)


def _cloud(axes: "Axes", points: list[dict], floor: float | None) -> None:
    for point in points:
        colour, marker = family(point["label"])
        height = _height(point, floor)
        face = SURFACE if point["source"] == "paper" else colour
        axes.errorbar(
            point["seconds"], height, yerr=point["std"] if height == point["accuracy"] else None, fmt=marker, color=colour,
            markersize=6, elinewidth=0.8, markerfacecolor=face, markeredgewidth=1.1, clip_on=False, zorder=3,
        )  # fmt: skip


def _label(axes: "Axes", points: list[dict], floor: float | None) -> None:
    """Each network's name once, beside its measured point or else the paper's, wherever it covers nothing; else it goes without."""
    from matplotlib.transforms import Bbox

    scale = axes.figure.dpi / 72
    spots = [axes.transData.transform((point["seconds"], _height(point, floor))) for point in points]
    taken = [Bbox.from_bounds(x - 4 * scale, y - 4 * scale, 8 * scale, 8 * scale) for x, y in spots]
    room = axes.bbox
    chosen = {point["row"]: point for point in sorted(points, key=lambda point: point["source"] == "measured")}
    for point in sorted(chosen.values(), key=lambda point: -point["accuracy"]):
        below = f": {point['accuracy']:.1f} (below)" if _height(point, floor) > point["accuracy"] else ""
        for dx, dy, align in CANDIDATES:
            note = axes.annotate(
                f"{point['label']}{below}", (point["seconds"], _height(point, floor)), xytext=(dx, dy), textcoords="offset points",
                fontsize=6.8, color=INK, ha=align, va="center",
            )  # fmt: skip
            note.set_in_layout(False)
            box = note.get_window_extent()
            inside = room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 - 2 <= box.y0 and box.y1 <= room.y1 + 6 * scale
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            note.remove()


def _key(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    kinds = [(name.replace("CKC", "CKCNN, CKConv"), colour, marker, colour) for name, colour, marker in FAMILIES[:4]]
    kinds += [("other", MUTED, "P", MUTED), ("paper (hollow)", INK, "o", SURFACE), ("measured (filled)", INK, "o", INK)]
    handles = [
        Line2D([], [], color=colour, marker=marker, markerfacecolor=face, linestyle="none", markersize=5, label=name)
        for name, colour, marker, face in kinds
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=7, columnspacing=1.1, handletextpad=0.3)


def draw(found: list[dict], shown: Entry | None) -> "Figure":
    """Accuracy against seconds per epoch; the paper's in a panel of its own where what was measured followed another protocol."""
    found = [point for point in found if point["seconds"] is not None]
    if not found:
        return empty("Nothing to show yet.")
    titles = {"paper": "Paper", "measured": "Measured, by a protocol of its own"}
    panes = {title: [point for point in found if point["source"] == source] for source, title in titles.items()}
    if beside_paper(found):
        panes = {"": found}
    panes = {title: points for title, points in panes.items() if points}
    figure, grid = panels(len(panes), 1, height=0.4 + 3.1 * len(panes))
    for (title, points), [axes] in zip(panes.items(), grid, strict=True):
        seconds, floor, top = [p["seconds"] for p in points], _floor(points), max(p["accuracy"] for p in points)
        logarithmic = max(seconds) > 12 * min(seconds)
        if logarithmic:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(lambda value, _: "")
        if floor is not None:
            axes.set_ylim(floor, top + 0.06 * (top - floor))
        _cloud(axes, points, floor)
        axes.set_xlabel("seconds per epoch" + (" (logarithmic)" if logarithmic else ""))
        axes.set_ylabel("accuracy, %")
        axes.margins(x=0.06)
        if floor is None:
            axes.margins(y=0.12)
        axes.set_title(title)
    _key(figure)
    figure.draw_without_rendering()
    for points, [axes] in zip(panes.values(), grid, strict=True):
        _label(axes, points, _floor(points))
    return figure


def alt(found: list[dict], shown: Entry | None) -> str:
    """Every measured point."""
    points = [point for point in found if point["source"] == "measured" and point["seconds"] is not None]
    parts = [
        f"{point['label']}: {text.number(point['accuracy'])} percent at {text.significant(point['seconds'])}."
        for point in sorted(points, key=lambda point: point["seconds"])
    ]
    return f"Measured accuracy by seconds per epoch. {' '.join(parts)}" if parts else "Nothing measured yet."
