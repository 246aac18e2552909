"""The record of a search: sizes, counts, and how strongly the images and the budget pull at each layer's size; and its figure.

A trajectory is a dict of equally long lists: step, soft_sizes, sizes (one list a layer each), parameters, macs; gradient_loss and
gradient_budget: the absolute gradient that reaches each soft size from the classification loss and from lambda times the budget loss;
pull_sum_loss and pull_sum_budget: the pull (minus the gradient, positive upwards) summed over all steps since the entry before, this
one included.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

FIELDS = (
    "step",
    "soft_sizes",
    "sizes",
    "parameters",
    "macs",
    "gradient_loss",
    "gradient_budget",
    "pull_sum_loss",
    "pull_sum_budget",
)


def empty_trajectory() -> dict[str, list[Any]]:
    """A trajectory without entries."""
    return {field: [] for field in FIELDS}


def gradient_share(trajectory: Mapping[str, Any], *, last: float = 0.5) -> list[float]:
    """Each layer's |gradient from the loss| / (that + |gradient from the budget|), averaged over the last part of the steps."""
    first = int(len(trajectory["step"]) * (1 - last))
    loss, budget = (list(zip(*trajectory[f"gradient_{source}"][first:], strict=True)) for source in ("loss", "budget"))
    return [sum(a) / ((sum(a) + sum(b)) or 1.0) for a, b in zip(loss, budget, strict=True)]


def net_pull(trajectory: Mapping[str, Any], *, last: float = 0.5) -> dict[str, list[tuple[float, float]]]:
    """(mean, standard error) of each layer's pull a step, by source ("loss", "budget"), over the last part of the steps.

    Once the budget is met its term pulls up and down in turn: large at every step, it may come to little in sum. The mean is over all
    steps, recorded or not; its error is that of batch means, one batch an entry of the trajectory. ValueError where there are fewer
    than two entries, or none with sums (written before version 1.0).
    """
    first = max(
        int(len(trajectory["step"]) * (1 - last)), 1
    )  # the first entry stands for one step, the others for `record_every`
    lengths = [b - a for a, b in zip(trajectory["step"][first - 1 :], trajectory["step"][first:], strict=False)]
    if len(lengths) < 2 or "pull_sum_loss" not in trajectory:
        raise ValueError("The trajectory holds too few sums of pulls: search again, for more steps.")
    net = {}
    for source in ("loss", "budget"):
        layers = zip(*trajectory[f"pull_sum_{source}"][first:], strict=True)
        net[source] = [_batch_mean(sums, lengths) for sums in layers]
    return net


def _batch_mean(sums: Sequence[float], lengths: Sequence[int]) -> tuple[float, float]:
    """(mean a step, its standard error) of batches of steps, given each batch's sum and number of steps."""
    steps, batches = sum(lengths), len(lengths)
    mean = sum(sums) / steps
    squares = sum((total - length * mean) ** 2 for total, length in zip(sums, lengths, strict=True))
    return mean, math.sqrt(squares * batches / (batches - 1)) / steps


def draw_trajectory(record: Mapping[str, Any], path: str | Path) -> None:
    """Draw a search's record (of `LearnedSizes.to_dict()`: keys trajectory and, where present, layers and budget) to a file.

    Three panels over the steps: soft sizes, one line a layer, early layers dark; the count over its budget; the mean gradient that
    reaches the sizes from the loss and from the budget. The file's suffix chooses the format. ValueError for an empty trajectory.
    """
    trajectory = record["trajectory"]
    if not trajectory["step"]:
        raise ValueError(
            "The trajectory has no entries to draw: search.after_backward(), called after each backward(), makes them."
        )
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 1, figsize=(8, 8), sharex=True, height_ratios=(3, 1, 1.5), layout="constrained")
    steps = trajectory["step"]
    _draw_sizes(axes[0], steps, trajectory["soft_sizes"], plt.get_cmap("viridis"))
    _draw_counts(axes[1], trajectory, record.get("budget") or {})
    for source, label in (("loss", "classification loss"), ("budget", "budget")):
        means = [sum(row) / len(row) for row in trajectory[f"gradient_{source}"]]
        axes[2].plot(steps, means, label=label, linewidth=1)
    axes[2].set_yscale("log", nonpositive="clip")
    axes[2].set(ylabel="mean |gradient|\nat a size", xlabel="step")
    axes[2].legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2, borderpad=0)
    metadata = {"Date": None} if str(path).endswith(".svg") else None
    with plt.rc_context({"svg.hashsalt": "effconv"}):
        figure.savefig(path, metadata=metadata)
    plt.close(figure)


def _draw_sizes(axes: "Axes", steps: list[int], soft_sizes: list[list[float]], colours: "Colormap") -> None:
    lines = list(zip(*soft_sizes, strict=True))
    low, high = min(map(min, lines)), max(map(max, lines))
    for edge in range(math.floor(low), math.ceil(high)):
        axes.axhline(edge + 0.5, color="0.85", linewidth=0.6, zorder=0)  # where rounding flips
    for layer, values in enumerate(lines):
        axes.plot(steps, values, color=colours(layer / max(len(lines) - 1, 1)), linewidth=1.1)
    axes.set(
        ylabel="soft size", title=f"{len(lines)} layers, first dark to last bright; grey lines: where rounding flips"
    )


def _draw_counts(axes: "Axes", trajectory: Mapping[str, Any], budget: Mapping[str, Any]) -> None:
    steps, unit = trajectory["step"], "macs" if budget.get("macs") and trajectory.get("macs") else "parameters"
    axes.plot(steps, [count / 1e6 for count in trajectory[unit]], linewidth=1, color="tab:blue")
    if budget.get(unit):
        axes.axhline(budget[unit] / 1e6, color="black", linewidth=0.8, linestyle="--")
    axes.set(ylabel="MACs / million" if unit == "macs" else "million\nparameters")
