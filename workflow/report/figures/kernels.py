"""Figures 2 and 3c and the map of sizes: learned kernel sizes by layer.

A run's folder may hold `kernels.npz`: one array a learned layer, in forward order, (..., s, s); figure 2 then shows the root mean
square over the leading axes. Without it the layers' squares are drawn to scale, empty.
"""

import math
from typing import TYPE_CHECKING

from workflow.plan.plan import Entry
from workflow.records.records import BadRecord, read_kernels
from workflow.records.state import RunState
from workflow.report.figures.style import BLUE, INK, MARKERS, MUTED, SERIES, SURFACE, TITLES, empty, panels
from workflow.report.results import Evidence
from workflow.report.rows import rows_in, rows_of, side
from workflow.support.known import known

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAP_ROWS = 40  # networks in the map of sizes; all are in its CSV


def size_lines(name: str, evidence: Evidence) -> list[dict]:
    """row, seed, layer (from 1), size: every learned size of a figure's rows."""
    return [
        {"row": row.id, "label": row.name, "seed": state.run.seed, "layer": layer, "size": side(size)}
        for row in rows_in(evidence, name)
        for state in row.searched
        for layer, size in enumerate(state.sizes, 1)
    ]


def figure2_lines(name: str, evidence: Evidence) -> list[dict]:
    """The sizes, and the kernels of the first seed that has them (kind: size, kernel)."""
    found = [{"kind": "size", **line, "i": None, "j": None, "value": None} for line in size_lines(name, evidence)]
    for row in rows_in(evidence, name):
        for state in row.searched:
            found += _kernel_lines(row.id, row.name, state)
            if found and found[-1]["kind"] == "kernel":
                return found
    return found


def _kernel_lines(row: str, label: str, state: RunState) -> list[dict]:
    import numpy

    try:
        kernels = read_kernels(state.folder / "kernels.npz")
    except BadRecord:  # most runs have none
        return []
    lines = []
    for layer, kernel in enumerate(kernels, 1):
        image = numpy.sqrt((kernel.astype(float) ** 2).mean(axis=tuple(range(kernel.ndim - 2))))
        for (i, j), value in numpy.ndenumerate(image):
            lines.append({"kind": "kernel", "row": row, "label": label, "seed": state.run.seed, "layer": layer,
                          "size": float(image.shape[0]), "i": i, "j": j, "value": round(float(value), 6)})  # fmt: skip
    return lines


def _means(found: list[dict]) -> dict[int, float]:
    """Layer -> mean size."""
    from pandas import DataFrame

    return DataFrame(found).groupby("layer")["size"].mean().to_dict()


def _bars(axes: "Axes", found: list[dict]) -> None:
    means = _means(found)
    axes.bar(list(means), list(means.values()), width=0.72, color=BLUE, alpha=0.35, label="mean over seeds")
    seeds = sorted({line["seed"] for line in found})
    for index, seed in enumerate(seeds):
        points = [line for line in found if line["seed"] == seed]
        shift = 0.16 * (index - (len(seeds) - 1) / 2)
        axes.plot([p["layer"] + shift for p in points], [p["size"] for p in points], MARKERS[index % 5], color=BLUE, markersize=3.2,
                  label=f"seed {seed}")  # fmt: skip
    axes.axhline(3, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="size 3 of the original network")
    axes.set_xticks(list(means))
    axes.set_yticks(range(0, 8))
    axes.set_ylabel("kernel size")
    axes.grid(axis="x", visible=False)
    axes.legend(ncols=5, loc="lower center", bbox_to_anchor=(0.5, 1.0), columnspacing=1.2, handletextpad=0.5)


def _squares(axes: "Axes", found: list[dict], kernels: list[dict]) -> None:
    """Each layer's kernel to scale; filled with its weights where they are known."""
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Rectangle

    unit = 0.88 / 7
    top = max((line["value"] for line in kernels), default=1) or 1
    first = min((line["seed"] for line in (kernels or found)), default=0)
    for line in (line for line in found if line["seed"] == first):
        half = line["size"] * unit / 2
        corner = (line["layer"] - half, 0.5 - half)
        axes.add_patch(Rectangle(corner, 2 * half, 2 * half, facecolor=SURFACE, edgecolor=MUTED, linewidth=0.7))
    for line in kernels:
        half = line["size"] * unit / 2
        corner = (line["layer"] - half + line["j"] * unit, 0.5 + half - (line["i"] + 1) * unit)
        axes.add_patch(Rectangle(corner, unit, unit, facecolor=to_rgba(BLUE, line["value"] / top), linewidth=0))
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    what = "root mean square weight" if kernels else "extent to scale; weights were not kept"
    axes.set_xlabel(f"residual layer, input to output; squares: kernels of seed {first} ({what})")


def draw_figure2(found: list[dict], shown: Entry | None) -> "Figure":
    """Bars of sizes above the kernels."""
    sizes = [line for line in found if line["kind"] == "size"]
    if not sizes:
        return empty("No sizes have been learned yet.")
    figure, grid = panels(2, 1, height=3.4, sharex=True, height_ratios=[4, 1])
    _bars(grid[0][0], sizes)
    _squares(grid[1][0], sizes, [line for line in found if line["kind"] == "kernel"])
    return figure


def draw_figure3c(found: list[dict], shown: Entry | None) -> "Figure":
    """Sizes of several budgets side by side."""
    if not found:
        return empty("No sizes have been learned yet.")
    figure, [[axes]] = panels(1, 1, height=2.8)
    rows = list(dict.fromkeys(line["row"] for line in found))
    width = 0.8 / len(rows)
    for index, row in enumerate(rows):
        lines = [line for line in found if line["row"] == row]
        shift = width * (index - (len(rows) - 1) / 2)
        means = _means(lines)
        colour, marker, label = SERIES[index % 5], MARKERS[index % 5], f"{lines[0]['label']}, mean"
        places = [layer + shift for layer in means]
        axes.bar(places, list(means.values()), width=0.92 * width, color=colour, alpha=0.45, label=label)
        places = [line["layer"] + shift for line in lines]
        axes.plot(places, [line["size"] for line in lines], marker, color=colour, markersize=3, label="one seed")
    axes.set_xticks(sorted({line["layer"] for line in found}))
    axes.set_yticks(range(0, 8))
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("residual layer, input to output")
    axes.set_ylabel("kernel size")
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def alt_sizes(found: list[dict], shown: Entry | None) -> str:
    """Mean sizes of each row, layer by layer."""
    parts = []
    for row in dict.fromkeys(line["row"] for line in found):
        lines = [line for line in found if line["row"] == row and line.get("kind", "size") == "size"]
        means = ", ".join(f"{value:.1f}".removesuffix(".0") for value in _means(lines).values())
        parts.append(f"{lines[0]['label']}: {means}.")
    said = "Mean learned kernel sizes from the first residual layer to the last. " + " ".join(parts)
    return said if parts else "No sizes yet."


def map_lines(name: str, evidence: Evidence) -> list[dict]:
    """dataset, row, layer, mean size over seeds: every row whose sizes are learned, EffConv's and FlexNet's."""
    from pandas import DataFrame

    place = {dataset: number for number, dataset in enumerate(TITLES)}
    found = []
    for row in sorted(rows_of(evidence).values(), key=lambda row: place.get(row.dataset, len(place))):
        seeds = [sizes for sizes in row.sizes if len(set(map(str, sizes))) > 1 or row.entry.learn]
        means = DataFrame([[side(size) for size in sizes] for sizes in seeds]).mean()
        own = {"dataset": row.dataset, "row": row.id, "label": row.name}
        found += [{**own, "layer": layer, "size": float(mean)} for layer, mean in enumerate(means, 1)]
    return found


def _cells(found: list[dict], keys: list[tuple[str, str]]) -> dict[float, tuple[list, list]]:
    """Ends of the map's bars by size to the nearest quarter, with gaps between them; neighbours of one size are one bar."""
    cells: dict[float, tuple[list, list]] = {}
    for position, key in enumerate(keys):
        sizes = [round(4 * line["size"]) / 4 for line in found if (line["dataset"], line["row"]) == key]
        start = 0
        for end in range(1, len(sizes) + 1):
            if end == len(sizes) or sizes[end] != sizes[start]:
                across, down = cells.setdefault(sizes[start], ([], []))
                across += [start + 0.53, end + 0.47, math.nan]
                down += [position, position, math.nan]
                start = end
    return cells


def draw_map(found: list[dict], shown: Entry | None) -> "Figure":
    """A line a network, a cell a layer, shade by size."""
    if not found:
        return empty("No sizes have been learned yet.")
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    keys = list(dict.fromkeys((line["dataset"], line["row"]) for line in found))[:MAP_ROWS]
    scale = ScalarMappable(Normalize(1, max(7, *(line["size"] for line in found))),
                           LinearSegmentedColormap.from_list("sizes", ["#dcebf7", "#6baed6", "#2171b5", "#0b4a8f"]))  # fmt: skip
    figure, [[axes]] = panels(1, 1, height=0.9 + 0.19 * len(keys))
    title = lambda line: f"{TITLES.get(line['dataset'], line['dataset'])}, {line['label']}"
    labels = {(line["dataset"], line["row"]): title(line) for line in found}
    for size, (across, down) in _cells(found, keys).items():
        axes.plot(across, down, color=scale.to_rgba(size), linewidth=10, solid_capstyle="butt")  # type: ignore[arg-type]  # one number will do
    axes.set_yticks(range(len(keys)), [labels[key] for key in keys], fontsize=7.5)
    axes.grid(visible=False)
    axes.set_xlabel("learned layer, input to output")
    axes.set_ylim(len(keys) - 0.4, -0.6)
    bar = figure.colorbar(scale, ax=axes, shrink=0.7, aspect=30, pad=0.01, label="kernel size (mean over seeds)")
    bar.outline.set_visible(False)
    known(bar.solids).set_rasterized(False)
    return figure


def alt_map(found: list[dict], shown: Entry | None) -> str:
    """For each network, its smallest and largest mean size and where the largest is."""
    parts = []
    for key in dict.fromkeys((line["dataset"], line["row"]) for line in found):
        lines = [line for line in found if (line["dataset"], line["row"]) == key]
        sizes_of = [line["size"] for line in lines]
        largest = [str(line["layer"]) for line in lines if line["size"] == max(sizes_of)]
        layers = f"layer{'' if len(largest) == 1 else 's'} {', '.join(largest)}"
        sizes = f"{min(sizes_of):.1f} to {max(sizes_of):.1f}, largest in {layers}"
        parts.append(f"{lines[0]['label']} on {key[0]}: {sizes}.")
    return " ".join(parts) or "No sizes yet."
