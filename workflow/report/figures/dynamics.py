"""How sizes and accuracies come about: soft sizes, parameter count and gradients during the search; accuracy by epoch."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from workflow.plan.plan import Entry
from workflow.report.figures.scatter import family
from workflow.report.figures.style import BLUE, INK, TITLES, VERMILION, empty, panels
from workflow.report.results import Evidence
from workflow.report.rows import Row, at_common, rows_in, rows_of
from workflow.support.known import known

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 60  # of a curve; more cannot be seen


def thin(items: list, most: int = POINTS) -> list:
    """At most `most` items, evenly spread, first and last kept."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def trajectory_lines(name: str, evidence: Evidence) -> list[dict]:
    """kind (soft size, parameters, budget, gradient ...), step, layer, value: the first searched seed of figure 2's row."""
    rows = rows_in(evidence, "figure2") if "figure2" in evidence.plan.tables else []
    state = next((state for row in rows for state in row.searched if state.search), None)
    if state is None:
        return []
    record, found, own = known(state.search)["trajectory"], [], {"row": state.run.row, "seed": state.run.seed}

    def add(kind: str, step: int, layer: int | None, value: float) -> None:
        found.append({"kind": kind, **own, "step": step, "layer": layer, "value": value})

    for index in thin(list(range(len(record["step"])))):
        step = record["step"][index]
        for layer, value in enumerate(record["soft_sizes"][index], 1):
            add("soft size", step, layer, round(value, 4))
        add("parameters", step, None, record["parameters"][index])
        for kind, field in (("gradient of the loss", "gradient_loss"), ("gradient of the budget", "gradient_budget")):
            if index < len(record.get(field, [])):
                values = [abs(value) for value in record[field][index]]
                add(kind, step, None, sum(values) / len(values))
    budget = state.run.search.parameters if state.run.search else None
    if budget and found:
        add("budget", record["step"][-1], None, budget)
    return found


def draw_trajectories(found: list[dict], shown: Entry | None) -> "Figure":
    """Three panels over the search's steps."""
    if not found:
        return empty("No search has been recorded yet.")
    from matplotlib import colormaps

    figure, grid = panels(1, 3, height=2.9)
    soft, count, gradient = grid[0]
    layers = sorted({line["layer"] for line in found if line["kind"] == "soft size"})
    for layer in layers:
        points = [line for line in found if line["kind"] == "soft size" and line["layer"] == layer]
        shade = colormaps["viridis"](0.22 + 0.63 * (layer - 1) / max(1, len(layers) - 1))
        soft.plot([p["step"] for p in points], [p["value"] for p in points], color=shade, linewidth=1.1)
        if layer in (1, layers[-1]):
            end = points[-1]["step"], points[-1]["value"]
            soft.annotate(f"layer {layer}", end, xytext=(2, 0), textcoords="offset points", fontsize=7)
    soft.set_title("Soft sizes")
    soft.set_xmargin(0.16)
    points = [line for line in found if line["kind"] == "parameters"]
    count.plot([p["step"] for p in points], [p["value"] / 1e6 for p in points], color=BLUE)
    for line in (line for line in found if line["kind"] == "budget"):
        count.axhline(line["value"] / 1e6, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="budget")
        count.legend(loc="best")
    count.set_title("Parameters, millions")
    for kind, colour, style in (("gradient of the loss", BLUE, "-"), ("gradient of the budget", VERMILION, "--")):
        points = [line for line in found if line["kind"] == kind and line["value"] > 0]
        if points:
            steps, values = [p["step"] for p in points], [p["value"] for p in points]
            gradient.plot(steps, values, style, color=colour, label=kind.removeprefix("gradient "))
    if gradient.lines:
        gradient.set_yscale("log")
        gradient.legend(loc="best")
    gradient.set_title("Mean |gradient| at v")
    for axes in grid[0]:
        axes.set_xlabel("search step")
    return figure


def alt_trajectories(found: list[dict], shown: Entry | None) -> str:
    """First and last soft sizes, and what the count came to."""
    soft = [line for line in found if line["kind"] == "soft size"]
    if not soft:
        return "No search has been recorded yet."
    last = max(line["step"] for line in soft)
    final = ", ".join(f"{line['value']:.1f}" for line in soft if line["step"] == last)
    count = [line["value"] for line in found if line["kind"] == "parameters"][-1]
    return f"Soft sizes at step {last}, first layer to last: {final}. Parameters then: {count:,.0f}."


def by_epoch(rows: Iterable[Row]) -> list[dict]:
    """dataset, row, label, protocol, epoch; mean, lowest and highest test accuracy of the seeds that got there, and their number."""
    from pandas import DataFrame

    own = lambda row: {"dataset": row.dataset, "row": row.id, "label": row.name, "protocol": row.best.protocol}
    found = DataFrame([
        {**own(row), "epoch": entry["epoch"], "accuracy": entry["accuracy"]}
        for row in rows for state in row.done for entry in state.history
        if entry["stage"] == "train" and entry.get("accuracy") is not None
    ])  # fmt: skip
    if found.empty:
        return []
    grouped = found.groupby(["dataset", "row", "label", "protocol", "epoch"], sort=False)["accuracy"]
    return grouped.agg(accuracy="mean", low="min", high="max", n="count").reset_index().to_dict("records")


def curve_lines(name: str, evidence: Evidence) -> list[dict]:
    """The curves of the rows by the protocol that most of their data set's have, thinned."""
    rows, found = list(rows_of(evidence).values()), []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        for row in at_common(one for one in rows if one.dataset == dataset)[1]:
            found += thin(by_epoch([row]), 16)
    return found


def _joined(lines: list[dict]) -> tuple[tuple[list, list], tuple[list, list]]:
    """Several rows' curves as one with gaps, and their last points."""
    epochs: list[float] = []
    values: list[float] = []
    ends: tuple[list, list] = ([], [])
    for row in dict.fromkeys(line["row"] for line in lines):
        points = [line for line in lines if line["row"] == row]
        epochs += [*(point["epoch"] for point in points), math.nan]
        values += [*(point["accuracy"] for point in points), math.nan]
        ends[0].append(points[-1]["epoch"])
        ends[1].append(points[-1]["accuracy"])
    return (epochs, values), ends


def draw_curves(found: list[dict], shown: Entry | None) -> "Figure":
    """A panel a data set, a line a row, coloured by the kind of network."""
    datasets = list(dict.fromkeys(line["dataset"] for line in found))
    if not datasets:
        return empty("No epoch has been recorded yet.")
    columns = min(2, len(datasets))
    figure, grid = panels(-(-len(datasets) // columns), columns, height=2.5 * -(-len(datasets) // columns))
    cells = [axes for row in grid for axes in row]
    for axes, dataset in zip(cells, datasets, strict=False):
        here = [line for line in found if line["dataset"] == dataset]
        for colour, marker in dict.fromkeys(family(line["label"]) for line in here):
            (epochs, values), ends = _joined([line for line in here if family(line["label"]) == (colour, marker)])
            axes.plot(epochs, values, color=colour, linewidth=1, alpha=0.75)
            axes.plot(*ends, marker, color=colour, markersize=4)
        axes.set_title(TITLES.get(dataset, dataset))
        axes.set_xlabel("epoch")
        axes.set_ylabel("test accuracy, %")
    for axes in cells[len(datasets) :]:
        axes.set_axis_off()
    _key(figure, found)
    return figure


def _key(figure: "Figure", found: list[dict]) -> None:
    from matplotlib.lines import Line2D

    kinds = dict.fromkeys(family(line["label"]) for line in found)
    names = {family(label): label for label in ("WRN", "ResNet", "CKCNN", "FlexNet", "EffConv")}
    handles = [Line2D([], [], color=c, marker=m, markersize=4, label=names.get((c, m), "other")) for c, m in kinds]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))


def alt_curves(found: list[dict], shown: Entry | None) -> str:
    """Where each curve ends."""
    last = {(line["dataset"], line["label"]): line for line in found}
    ends = [
        f"{label} on {dataset}: {end['accuracy']:.1f} at epoch {end['epoch']}."
        for (dataset, label), end in last.items()
    ]
    return (
        f"Test accuracy in percent at the last epoch. {' '.join(ends)}" if ends else "No epoch has been recorded yet."
    )
