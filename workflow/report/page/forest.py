"""The small drawings of the page's lists: an interval on an axis, a strip of seeds, a row of kernel sizes. SVG by hand, in the page's
own colours; what they show stands beside them in words, and in their label."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workflow.report.stats import Difference, Interval

WIDTH, HEIGHT = 320, 20
STRIP = (104, 18)


@dataclass(frozen=True)
class Axis:
    """A horizontal axis that all drawings of a list share. `zero`: where nothing differs; `ticks`: labelled values."""

    low: float
    high: float
    zero: float = 0.0
    ticks: tuple[float, ...] = ()
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Horizontal position in the drawing; values beyond the ends lie on them."""
        scale = math.log if self.logarithmic else float
        value = min(max(value, self.low), self.high)
        return 8 + (WIDTH - 16) * (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def _line(axis: Axis, low: float, high: float, css: str, y: float) -> str:
    """A line from low to high, with an arrowhead at an end that lies beyond the axis."""
    a, b = axis.place(low), axis.place(high)
    parts = [f'<path class="{css}" d="M{a:.1f} {y:g}H{b:.1f}"/>']
    if low < axis.low:
        parts.append(f'<path class="{css} head" d="M{a:.1f} {y:g}l5 -4v8z"/>')
    if high > axis.high:
        parts.append(f'<path class="{css} head" d="M{b:.1f} {y:g}l-5 -4v8z"/>')
    return "".join(parts)


def _beyond(axis: Axis, value: float, css: str, y: float) -> str:
    """An arrowhead in place of a value that lies beyond the axis."""
    x, way = axis.place(value), 1 if value > axis.high else -1
    return f'<path class="{css} head" d="M{x + 4 * way:.1f} {y:g}l{-9 * way} -5v10z"/>'


def paper_mark(axis: Axis, found: Interval, y: float = 6) -> str:
    """The paper's value: a hollow diamond, with a thin line where it has an interval."""
    line = _line(axis, found.low, found.high, "paper", y) if found.decided and found.low < found.high else ""
    if not axis.holds(found.value):
        return line + _beyond(axis, found.value, "paper diamond", y)
    return f'{line}<path class="paper diamond" d="M{axis.place(found.value):.1f} {y - 4.5:g}l4.5 4.5l-4.5 4.5l-4.5 -4.5z"/>'


def our_mark(axis: Axis, found: Interval, css: str = "ours", y: float = 14, *, square: bool = False) -> str:
    """A measured value: a filled dot (or square) with its 95 % interval and, where it has one, the thicker 90 % interval."""
    parts = []
    if found.decided:
        parts.append(_line(axis, found.low, found.high, css, y))
        if isinstance(found, Difference):
            narrow = found.at(0.90)
            parts.append(_line(axis, narrow.low, narrow.high, f"{css} thick", y))
    if not axis.holds(found.value):
        return _beyond(axis, found.value, css, y)
    x, hollow = axis.place(found.value), "" if found.decided else " hollow"
    shape = (
        f'<rect x="{x - 3.5:.1f}" y="{y - 3.5:g}" width="7" height="7"'
        if square
        else f'<circle cx="{x:.1f}" cy="{y:g}" r="4"'
    )
    return "".join([*parts, f'{shape} class="{css} dot{hollow}"/>'])


def dots(axis: Axis, values: Iterable[float], css: str, y: float) -> str:
    """Faint dots, one a value."""
    return "".join(f'<circle cx="{axis.place(v):.1f}" cy="{y:g}" r="2.6" class="{css} faint"/>' for v in values)


def drawing(axis: Axis, marks: Sequence[str], label: str, *, band: float | None = None, height: int = HEIGHT) -> str:
    """Marks on the axis. `band`: shade zero give or take so much; `label`: what it shows, already escaped."""
    parts = []
    if band:
        a, b = axis.place(axis.zero - band), axis.place(axis.zero + band)
        parts.append(f'<rect class="band" x="{a:.1f}" y="0" width="{b - a:.1f}" height="{height}"/>')
    if axis.holds(axis.zero):
        parts.append(f'<path class="zero" d="M{axis.place(axis.zero):.1f} 0V{height}"/>')
    return f'<svg class="bar" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{"".join([*parts, *marks])}</svg>'


def scale(axis: Axis, words: Sequence[str]) -> str:
    """The axis itself, with its ticks in words."""
    marks = []
    for value, word in zip(axis.ticks, words, strict=True):
        x = axis.place(value)
        anchor = "start" if x < 20 else "end" if x > WIDTH - 20 else "middle"
        x = min(max(x, 0), WIDTH)
        marks.append(
            f'<path class="tick" d="M{x:.1f} 0v4"/><text x="{x:.1f}" y="14" text-anchor="{anchor}">{word}</text>'
        )
    rule = f'<path class="tick" d="M8 .5H{WIDTH - 8}"/>'
    return f'<svg class="bar scale" viewBox="0 0 {WIDTH} 18" aria-hidden="true">{rule}{"".join(marks)}</svg>'


def sizes(means: Sequence[float], label: str, *, largest: float = 7) -> str:
    """Kernel sizes by layer: a cell a layer, as high as its size."""
    step = min(16.0, (WIDTH - 16) / max(1, len(means)))
    cells = []
    for index, size in enumerate(means):
        high = max(1.5, (HEIGHT - 2) * size / largest)
        top = " top" if size == max(means) and len(set(means)) > 1 else ""
        cells.append(
            f'<rect class="cell{top}" x="{8 + index * step:.1f}" y="{HEIGHT - high:.1f}" width="{step - 2:.1f}" height="{high:.1f}"/>'
        )
    return f'<svg class="bar" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(cells)}</svg>'


def strip(values: Sequence[float], paper: float | None, axis: Axis, label: str) -> str:
    """A table's strip: a dot a seed and, where it lies on the scale, a hollow diamond for the paper."""
    across = lambda value: STRIP[0] * axis.place(value) / WIDTH
    marks = [f'<path class="zero" d="M2 9H{STRIP[0] - 2}"/>']
    if paper is not None and axis.holds(paper):
        marks.append(f'<path class="diamond" d="M{across(paper):.1f} 4l5 5l-5 5l-5 -5z"/>')
    marks += [f'<circle cx="{across(value):.1f}" cy="9" r="3" class="ours"/>' for value in values]
    return (
        f'<svg class="strip" viewBox="0 0 {STRIP[0]} {STRIP[1]}" role="img" aria-label="{label}">{"".join(marks)}</svg>'
    )
