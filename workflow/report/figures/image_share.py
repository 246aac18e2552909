"""How much of the learned sizes images explain, along the search."""

from textwrap import fill
from typing import TYPE_CHECKING

from workflow.plan.plan import Entry
from workflow.report.figures.dynamics import thin
from workflow.report.figures.style import BLUE, MUTED, empty, panels
from workflow.report.image_share import shares_by_step, twins_of
from workflow.report.results import Evidence
from workflow.report.rows import rows_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 40


def lines(name: str, evidence: Evidence) -> list[dict]:
    """dataset, row, label, seeds, step, epoch; percent of the variance of soft sizes: share with its interval, and moved."""
    found = []
    for row, twin in twins_of(rows_of(evidence).values()):
        shares = shares_by_step(row, twin, lambda steps: thin(steps, POINTS))
        # Of the searches that were run: the plan's may be another preset's.
        epochs = next((state.search["epochs"] for state in row.searched if state.search), 0)
        for step, share in shares:
            percent = lambda value: round(100 * value, 2)
            found.append({
                "dataset": row.dataset, "row": row.id, "label": row.name, "seeds": share.seeds, "step": step,
                "epoch": round(step / shares[-1][0] * epochs, 3), "share": percent(share.repeating.value),
                "low": percent(share.repeating.low), "high": percent(share.repeating.high), "moved": percent(share.moved),
            })  # fmt: skip
    return found


def _by_row(found: list[dict]) -> dict[tuple[str, str], list[dict]]:
    """(data set, row) -> its lines."""
    groups: dict[tuple[str, str], list[dict]] = {}
    for line in found:
        groups.setdefault((line["dataset"], line["row"]), []).append(line)
    return groups


def draw(found: list[dict], shown: Entry | None) -> "Figure":
    """A panel a row: the share with its interval, and what differs at all."""
    groups = list(_by_row(found).values())
    if not groups:
        return empty("No search and its image-free twin have been recorded yet.")
    columns = min(3, len(groups))
    figure, grid = panels(-(-len(groups) // columns), columns, height=2.6 * -(-len(groups) // columns), sharey=True)
    cells = [axes for line in grid for axes in line]
    for axes, group in zip(cells, groups, strict=False):
        epochs = [line["epoch"] for line in group]
        axes.fill_between(
            epochs, [p["low"] for p in group], [p["high"] for p in group], color=BLUE, alpha=0.18, linewidth=0
        )
        axes.plot(epochs, [p["share"] for p in group], color=BLUE, label="alike in all seeds")
        axes.plot(
            epochs, [p["moved"] for p in group], "--", color=MUTED, linewidth=1, label="with what differs by seed"
        )
        axes.set_title(fill(f"{group[0]['label']}, {group[0]['seeds']} seeds", 28))
        axes.set_xlabel("search epoch")
        axes.set_ylim(0, 100)
    for axes in cells[len(groups) :]:
        axes.set_axis_off()
    cells[0].set_ylabel("% of the variance of soft sizes")
    cells[0].legend(loc="upper left")
    return figure


def alt(found: list[dict], shown: Entry | None) -> str:
    """Where each curve ends."""
    ends = [group[-1] for group in _by_row(found).values()]
    said = [f"{end['label']}: {end['share']:.0f} % [{end['low']:.0f}, {end['high']:.0f}] at the end." for end in ends]
    return " ".join(said) if said else "No search and its image-free twin have been recorded yet."
