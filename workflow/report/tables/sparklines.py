"""The small drawings inside tables: a strip of seeds, a learning curve. SVG by hand, a few hundred bytes each."""

from workflow.report import text
from workflow.report.rows import Row
from workflow.report.stats import Sample

STRIP, SPARK = (104, 18), (72, 18)


def strip_range(rows: list[Row], comparable: bool) -> tuple[float, float] | None:
    """The common scale of a table's strips; the paper's values are on it only where they can be compared."""
    measured = [row for row in rows if row.accuracy]
    values = [value for row in measured for value in row.accuracy.values]
    if comparable:
        values += [row.published().mean for row in measured if row.published()]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if not values:
        return None
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def strip(found: Sample, published: Sample | None, span: tuple[float, float]) -> str:
    """A dot a seed and, where given, a hollow diamond for the paper, on a common scale."""
    width, height = STRIP

    def place(value: float) -> str:
        return f"{6 + (width - 12) * (value - span[0]) / (span[1] - span[0]):.1f}"

    middle = height / 2
    parts = [f'<path class="axis" d="M2 {middle:g}H{width - 2}"/>']
    if published and span[0] <= published.mean <= span[1]:
        parts.append(f'<path class="paper" d="M{place(published.mean)} {middle - 5:g}l5 5l-5 5l-5 -5z"/>')
    parts += [f'<circle cx="{place(value)}" cy="{middle:g}" r="3"/>' for value in found.values]
    label = f"seeds {', '.join(text.number(value) for value in found.values)}" + (
        f"; paper {text.number(published.mean)}" if published else ""
    )
    return f'<svg class="strip" viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


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
