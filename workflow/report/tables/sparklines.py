"""The small drawings inside tables: a strip of seeds on a table's common scale, a learning curve."""

import html

from workflow.report import text
from workflow.report.page import forest
from workflow.report.tables.cells import Measured, TableView

SPARK = (72, 18)


def strips(table: TableView) -> dict[tuple[str, str], str]:
    """(row, protocol) -> its strip: one scale a table and protocol, with the paper's values on that of its own protocol alone."""
    found = {}
    for protocol in dict.fromkeys(one.group.protocol for line in table.lines for one in line.measured):
        own = [(line.row, one) for line in table.lines for one in line.measured if one.group.protocol == protocol]
        printed = {row.id: row.published() if protocol == "paper" else None for row, _ in own}
        values = [value for _, one in own for value in one.accuracy.values]
        values += [paper.mean for paper in printed.values() if paper]
        low, high = min(values), max(values)
        axis = forest.Axis(low, high) if high > low else forest.Axis(low - 0.5, high + 0.5)
        for row, one in own:
            mean = paper.mean if (paper := printed[row.id]) else None
            found[row.id, protocol] = forest.strip(one.accuracy.values, mean, axis, _label(one, mean))
    return found


def _label(one: Measured, paper: float | None) -> str:
    words = f"seeds {', '.join(text.number(value) for value in one.accuracy.values)}"
    return html.escape(words + (f"; paper {text.number(paper)}" if paper is not None else ""), quote=True)


def spark(values: list[float]) -> str:
    """A curve of at most a dozen points over its own range."""
    if len(values) < 2:
        return ""
    width, height = SPARK
    count = min(len(values), 12)
    kept = [values[round(i * (len(values) - 1) / (count - 1))] for i in range(count)]
    low, high = min(kept), max(kept)
    span = high - low or 1
    points = " ".join(
        f"{i * width / (count - 1):.0f},{height - 2 - (height - 4) * (v - low) / span:.0f}" for i, v in enumerate(kept)
    )
    label = f"{values[0]:.1f} to {values[-1]:.1f} percent in {len(values)} epochs"
    return f'<svg class="spark" viewBox="0 0 {width} {height}" role="img" aria-label="{label}"><polyline points="{points}"/></svg>'
