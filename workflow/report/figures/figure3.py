"""Figures 3a and 3b: accuracy and seconds per epoch against depth or budget, in two panels that share the horizontal axis."""

from typing import TYPE_CHECKING

from workflow.plan.plan import Entry
from workflow.report import text
from workflow.report.figures.style import BLUE, INK, MUTED, SURFACE, VERMILION, beside_paper, empty, panels
from workflow.report.results import Evidence
from workflow.report.rows import at_common, rows_in
from workflow.report.seconds import device_of_most

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"accuracy": BLUE, "seconds": VERMILION}
LABELS = {"accuracy": "accuracy, %", "seconds": "seconds per epoch"}


def lines(name: str, evidence: Evidence) -> list[dict]:
    """One line a value: metric, x, row, source (paper, mean, seed N), value, spread, n."""
    shown, found = evidence.plan.tables[name], []
    protocol, rows = at_common(rows_in(evidence, name))
    device = device_of_most(rows)

    def add(metric: str, source: str, value: float | None, std: float | None = None, n: int | None = None) -> None:
        if value is not None:
            made_by = None if source == "paper" else device if metric == "seconds" else protocol
            found.append({
                "metric": metric, "x": x, "row": row.id, "source": source, "value": value, "std": std, "n": n,
                "protocol": made_by if metric == "accuracy" else None, "made_by": made_by,
            })  # fmt: skip

    paper = {float(x): values for x, values in shown.paper.items()}
    for x, row in zip(shown.x, rows, strict=True):
        printed = paper.get(float(x), {})
        add("accuracy", "paper", printed.get("acc"), printed.get("std"))
        add("seconds", "paper", printed.get("sec"))
        if row.accuracy:
            add("accuracy", "mean", row.accuracy.mean, row.accuracy.std, row.accuracy.n)
            for seed, accuracy in row.by_seed.items():
                add("accuracy", f"seed {seed}", accuracy)
        clock = row.clock_of(row.timed_on(device))
        add("seconds", "mean", clock.value if clock else None)
    return found


def _measured(axes: "Axes", points: list[dict], metric: str) -> None:
    means = [line for line in points if line["source"] == "mean"]
    seeds = [line for line in points if line["source"].startswith("seed")]
    colour = COLOURS[metric]
    places, values = [line["x"] for line in means], [line["value"] for line in means]
    axes.plot(places, values, color=colour, marker="o", markersize=5, label="measured, mean", zorder=3)
    spread = [line for line in means if line["std"] is not None]
    if spread:
        low, high = ([line["value"] + sign * line["std"] for line in spread] for sign in (-1, 1))
        places, label = [line["x"] for line in spread], "± standard deviation"
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0, label=label)
    if seeds:
        places, values = [line["x"] for line in seeds], [line["value"] for line in seeds]
        axes.plot(places, values, ".", color=colour, markersize=4, alpha=0.7, label="one seed")


def _paper(axes: "Axes", points: list[dict]) -> None:
    printed = [line for line in points if line["source"] == "paper"]
    if printed:
        axes.errorbar(
            [p["x"] for p in printed], [p["value"] for p in printed], yerr=[p["std"] or 0 for p in printed], fmt="D", color=INK,
            markerfacecolor=SURFACE, markersize=6, elinewidth=0.8, label="paper", zorder=4, linestyle="none",
        )  # fmt: skip


def draw(found: list[dict], shown: Entry) -> "Figure":
    """Both metrics over x; where the numbers are not comparable, the paper's stand in panels of their own."""
    if not found:
        return empty("Nothing measured yet.")
    comparable = beside_paper(found)
    columns = 1 if comparable else 2
    figure, grid = panels(2, columns, height=4.6, sharex=True)
    for axes_row, metric in zip(grid, LABELS, strict=True):
        points = [line for line in found if line["metric"] == metric]
        _paper(axes_row[0], points)
        _measured(axes_row[-1], points, metric)
        if not any(line["source"] == "paper" for line in points) and not comparable:
            axes_row[0].text(0.5, 0.5, "printed nowhere", ha="center", color=MUTED, transform=axes_row[0].transAxes)
            axes_row[0].set_yticks([])
        axes_row[0].set_ylabel(LABELS[metric])
        for axes in axes_row:
            axes.set_xticks(shown.x)
            axes.margins(y=0.15)
    if not comparable:
        grid[0][0].set_title("Paper")
        grid[0][1].set_title("Measured, by a protocol of its own")
    handles = {
        label: handle for axes in grid[0] for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=len(handles))
    for axes in grid[-1]:
        axes.set_xlabel(shown.x_label or "")
    return figure


def alt(found: list[dict], shown: Entry) -> str:
    """The measured values in words."""
    parts = []
    for metric, unit in (("accuracy", "percent"), ("seconds", "seconds per epoch")):
        means = [line for line in found if line["metric"] == metric and line["source"] == "mean"]
        if means:
            values = "; ".join(f"{line['x']:g}: {text.significant(line['value'], 4)}" for line in means)
            parts.append(f"Measured {unit} by {shown.x_label}: {values}.")
    return " ".join(parts) or "Nothing measured yet."
