"""Accuracy against time: what a point of accuracy costs, on CIFAR-10."""

from typing import TYPE_CHECKING

from workflow.plan.plan import Entry
from workflow.report import text
from workflow.report.figures.style import BLUE, GREEN, INK, MUTED, PURPLE, SURFACE, VERMILION, empty, panels
from workflow.report.results import Evidence
from workflow.report.rows import Row, at_common, device_of_most, rows_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAMILIES = (
    ("EffConv", BLUE, "o"),
    ("FlexNet", VERMILION, "s"),
    ("CKC", PURPLE, "D"),
    ("ResNet", GREEN, "^"),
    ("WRN", GREEN, "v"),
)
LABELS = {
    "seconds": "seconds per epoch",
    "parameters": "parameters, millions",
    "macs": "multiply-accumulates an image, millions",
}
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
    protocol, rows = at_common(
        row for row in rows_of(evidence).values() if row.dataset == DATASET and _of_tables(row, evidence)
    )
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
                "seconds": clock and clock.value, "parameters": row.parameters.mean / 1e6, "macs": row.macs.mean / 1e6,
                "protocol": protocol,
            })  # fmt: skip
    return found


def _of_tables(row: Row, evidence: Evidence) -> bool:
    """Whether a row is one of the tables' or figures'; the chapters' controls have figures of their own."""
    return any(
        row.id in [one.row for one in entry.rows] for entry in evidence.plan.tables.values() if entry.kind != "chapter"
    )


def _floor(points: list[dict]) -> float | None:
    """Where the vertical axis ends when a few points lie far below the rest; None where it can show all."""
    values = sorted(point["accuracy"] for point in points)
    quarter, top = values[len(values) // 4], values[-1]
    floor = top - 3.5 * max(top - quarter, 0.5)
    return floor if values[0] < floor else None


def _cloud(axes: "Axes", points: list[dict], cost: str, floor: float | None) -> None:
    for point in points:
        colour, marker = family(point["label"])
        paper, below = point["source"] == "paper", floor is not None and point["accuracy"] < floor
        axes.errorbar(
            point[cost], floor if below else point["accuracy"], yerr=None if below else point["std"] or None, fmt=marker, color=colour,
            markersize=6, elinewidth=0.8, markerfacecolor=SURFACE if paper else colour, markeredgewidth=1.1, clip_on=False, zorder=3,
        )  # fmt: skip


def _name(point: dict, floor: float | None) -> str:
    below = floor is not None and point["accuracy"] < floor
    return f"{point['label']}: {point['accuracy']:.1f} (below)" if below else point["label"]


def _label(axes: "Axes", points: list[dict], cost: str, floor: float | None) -> None:
    """Each network's name once, beside its measured point or else the paper's, wherever it covers nothing; else it goes without."""
    scale = axes.figure.dpi / 72
    spots = [axes.transData.transform((p[cost], max(p["accuracy"], floor or p["accuracy"]))) for p in points]
    boxes = [(x - 4 * scale, y - 4 * scale, x + 4 * scale, y + 4 * scale) for x, y in spots]
    chosen = {
        point["row"]: index
        for index, point in sorted(enumerate(points), key=lambda pair: pair[1]["source"] == "measured")
    }
    for index in sorted(chosen.values(), key=lambda index: -points[index]["accuracy"]):
        words, (x, y) = _name(points[index], floor), spots[index]
        width, height = 3.9 * len(words) * scale, 8.5 * scale
        for dx, dy, align in CANDIDATES:
            left = x + dx * scale - {"left": 0, "center": width / 2, "right": width}[align]
            box = (left, y + dy * scale - height / 2, left + width, y + dy * scale + height / 2)
            inside = (
                axes.bbox.x0 <= box[0]
                and box[2] <= axes.bbox.x1
                and axes.bbox.y0 - 2 <= box[1]
                and box[3] <= axes.bbox.y1 + 6 * scale
            )
            if inside and not any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in boxes):
                boxes.append(box)
                place = (points[index][cost], max(points[index]["accuracy"], floor or 0))
                note = axes.annotate(
                    words,
                    place,
                    xytext=(dx, dy),
                    textcoords="offset points",
                    fontsize=6.8,
                    color=INK,
                    ha=align,
                    va="center",
                )
                note.set_in_layout(False)
                break


def _key(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], marker=m, color=c, linestyle="none", markersize=5, label=n.replace("CKC", "CKCNN, CKConv"))
               for n, c, m in FAMILIES[:4]]  # fmt: skip
    handles.append(Line2D([], [], marker="P", color=MUTED, linestyle="none", markersize=5, label="other"))
    handles.append(
        Line2D(
            [],
            [],
            marker="o",
            color=INK,
            markerfacecolor=SURFACE,
            linestyle="none",
            markersize=5,
            label="paper (hollow)",
        )
    )
    handles.append(Line2D([], [], marker="o", color=INK, linestyle="none", markersize=5, label="measured (filled)"))
    figure.legend(handles=handles, loc="outside upper center", ncols=7, columnspacing=1.1, handletextpad=0.3)


def _draw(found: list[dict], comparable: bool, costs: tuple[str, ...]) -> "Figure":
    found = [point for point in found if any(point[cost] is not None for cost in costs)]
    if not found:
        return empty("Nothing to show yet.")
    sources = [("paper", "measured")] if comparable else [("paper",), ("measured",)]
    titles: dict[tuple[str, ...], str] = {("paper",): "Paper", ("measured",): "Measured, by a protocol of its own"}
    wanted = [(cost, source) for cost in costs for source in sources]
    wanted = [(c, s) for c, s in wanted if any(p[c] is not None and p["source"] in s for p in found)]
    figure, grid = panels(len(wanted), 1, height=0.4 + 3.1 * len(wanted))
    floors: dict[tuple, float | None] = {}
    for (cost, source), [axes] in zip(wanted, grid, strict=True):
        points = [point for point in found if point[cost] is not None and point["source"] in source]
        if cost != "parameters" and max(p[cost] for p in points) > 12 * min(p[cost] for p in points):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(lambda value, _: "")
        floor = floors[cost, source] = _floor(points)
        if floor is not None:
            axes.set_ylim(
                floor, max(p["accuracy"] for p in points) + 0.06 * (max(p["accuracy"] for p in points) - floor)
            )
        _cloud(axes, points, cost, floor)
        axes.set_xlabel(LABELS[cost] + (" (logarithmic)" if axes.get_xscale() == "log" else ""))
        axes.set_ylabel("accuracy, %")
        axes.margins(0.06, 0.12 if floor is None else None)
        axes.set_title(titles.get(source, ""))
    _key(figure)
    figure.draw_without_rendering()
    for (cost, source), [axes] in zip(wanted, grid, strict=True):
        _label(
            axes,
            [point for point in found if point[cost] is not None and point["source"] in source],
            cost,
            floors[cost, source],
        )
    return figure


def draw_time(found: list[dict], comparable: bool, shown: Entry) -> "Figure":
    """Accuracy against seconds per epoch."""
    return _draw(found, comparable, ("seconds",))


def _alt(found: list[dict], cost: str) -> str:
    parts = []
    for point in sorted(found, key=lambda point: point[cost] or 0):
        if point["source"] == "measured" and point[cost] is not None:
            parts.append(
                f"{point['label']}: {text.number(point['accuracy'])} percent at {text.significant(point[cost])}."
            )
    return f"Measured accuracy by {LABELS[cost]}. " + " ".join(parts) if parts else "Nothing measured yet."


def alt_time(found: list[dict], shown: Entry) -> str:
    """Every measured point."""
    return _alt(found, "seconds")
