"""The primer's drawings: learning curves of the article's networks; what a size costs in ResNet-20; an untrained predictor."""

from typing import TYPE_CHECKING

from workflow.report import text
from workflow.report.figures.style import MARKERS, SERIES, empty, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

QUANTITIES = {"parameters": "parameters", "macs": "MACs an image", "milliseconds": "ms a step"}


def draw_curves(found: list[dict]) -> "Figure":
    """A line a network with the range of its seeds."""
    if not found:
        return empty("No epoch has been recorded yet.")
    figure, [[axes]] = panels(1, 1, height=2.9)
    for number, row in enumerate(dict.fromkeys(line["row"] for line in found)):
        points = [line for line in found if line["row"] == row]
        epochs, colour = [point["epoch"] for point in points], SERIES[number]
        axes.plot(
            epochs, [p["accuracy"] for p in points], color=colour, marker=MARKERS[number], markersize=4.5, label=points[0]["label"],
        )  # fmt: skip
        axes.fill_between(
            epochs, [p["low"] for p in points], [p["high"] for p in points], color=colour, alpha=0.13, linewidth=0
        )
    axes.set_xlabel("epoch")
    axes.set_ylabel("test accuracy, %")
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]  # a MaxNLocator
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def alt_curves(found: list[dict]) -> str:
    """Where each curve ends."""
    last = {line["label"]: line for line in found}
    ends = [f"{label}: {line['accuracy']:.1f} percent at epoch {line['epoch']}." for label, line in last.items()]
    return "Test accuracy by epoch. " + " ".join(ends) if ends else "No epoch has been recorded yet."


def kinds_of(costs: list[dict]) -> list[dict]:
    """The layers of ResNet-20 by shape: their numbers, a label, and a line of costs for each size."""
    groups: dict[tuple, dict] = {}
    for line in costs:
        key = tuple(line[name] for name in ("in_channels", "out_channels", "stride", "side"))
        group = groups.setdefault(key, {"layers": [], "sizes": {}})
        if line["layer"] not in group["layers"]:
            group["layers"].append(line["layer"])
        group["sizes"][line["size"]] = line
    for (inner, outer, stride, side), group in groups.items():
        out = -(-side // stride)
        group |= {
            "label": f"{inner} → {outer}, {out}x{out}",
            "out": out,
            "stride": stride,
            "numbers": _numbers(group["layers"]),
        }
    return list(groups.values())


def _numbers(layers: list[int]) -> str:
    """1 to 6; 8 to 12; 7."""
    return f"{layers[0]} to {layers[-1]}" if len(layers) > 1 else str(layers[0])


def draw_costs(costs: list[dict]) -> "Figure":
    """Parameters and multiply-accumulates (logarithmic) and time against size; a line a shape of layer."""
    figure, [row] = panels(1, 3, height=2.9)
    for axes, (quantity, label) in zip(row, QUANTITIES.items(), strict=True):
        for number, kind in enumerate(kinds_of(costs)):
            sizes = sorted(kind["sizes"])
            axes.plot(
                sizes, [kind["sizes"][size][quantity] for size in sizes], color=SERIES[number], marker=MARKERS[number],
                markersize=4, linewidth=1.2, label=f"layer{'s' * (len(kind['layers']) > 1)} {kind['numbers']}",
            )  # fmt: skip
        if quantity != "milliseconds":
            axes.set_yscale("log")
        axes.set_xticks(range(1, 8))
        axes.set_xlabel("kernel size")
        axes.set_title(label)
    figure.legend(*row[0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    return figure


def alt_costs(costs: list[dict]) -> str:
    """The costs of sizes 3 and 7 in words."""
    parts = []
    for kind in kinds_of(costs):
        small, large = kind["sizes"][3], kind["sizes"][7]
        parts.append(
            f"Layers {kind['numbers']}: {small['parameters']} parameters at size 3 and {large['parameters']} at size 7, "
            f"{text.significant(small['milliseconds'])} and {text.significant(large['milliseconds'])} ms a step."
        )
    return "Cost of a kernel size in each layer of ResNet-20. " + " ".join(parts)


def spread(lines: list[dict], place: str) -> "DataFrame":
    """Mean, least and greatest change over the seeds (columns mean, min, max) by step, or by size."""
    from pandas import DataFrame

    return DataFrame(lines).groupby(place)["change"].agg(["mean", "min", "max"])


def draw_untrained(untrained: dict) -> "Figure":
    """How far a position of an untrained kernel is from the one before, by step; what a flip of the size does to the kernel."""
    figure, [row] = panels(1, 2, height=2.6)
    parts = (
        ("changes", "step", "position of the kernel, in its order of steps"),
        ("flips", "size", "size before it grows by one"),
    )
    for axes, (part, place, label) in zip(row, parts, strict=True):
        found = spread(untrained[part], place)
        axes.plot(found.index, found["mean"], color=SERIES[0], marker=MARKERS[0], markersize=3.5)
        axes.fill_between(found.index, found["min"], found["max"], color=SERIES[0], alpha=0.13, linewidth=0)
        axes.set_xlabel(label)
        axes.set_ylim(bottom=0)
    row[0].set_title("change from the position before, of its length")
    row[1].set_title("change of the shared pixels, of their length")
    return figure


def alt_untrained(untrained: dict) -> str:
    """The first steps and the flips in words."""
    steps, flips = spread(untrained["changes"], "step")["mean"], spread(untrained["flips"], "size")["mean"]
    words = ", ".join(map(text.number, steps.iloc[:6]))
    grown = ", ".join(f"{size} to {size + 1}: {text.number(change)}" for size, change in flips.items())
    return f"Change between positions from the second on: {words}. Change of the kernel when its size grows, {grown}."
