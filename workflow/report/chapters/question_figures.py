"""The figures of chapters that ask questions: every answer with its interval; a row in a cloud of others, or beside each of them;
pairs joined by seed; the front of accuracy against arithmetic and time. Each is drawn only where there is something to see."""

from collections.abc import Iterator, Mapping, Sequence

from workflow.plan.plan import Entry
from workflow.report import text
from workflow.report.chapters.answers import Answer
from workflow.report.chapters.decisions import NO, UNDECIDED, UNKNOWN, YES
from workflow.report.figures.style import BLUE, GREEN, MUTED, SURFACE, VERMILION, Picture, panels, picture
from workflow.report.rows import Row
from workflow.support.known import known

CLASSES = {YES: "holds", NO: "fails", UNDECIDED: "open", UNKNOWN: "idle"}
COLOURS = {YES: GREEN, NO: VERMILION, UNDECIDED: MUTED}
FAMILIES = (("ours", "ours", VERMILION, "D"), ("effconv", "EffConv", BLUE, "o"), ("", "others", MUTED, "s"))


def drawings(name: str, entry: Entry, rows: Mapping[str, Row], given: Sequence[Answer]) -> Iterator[Picture]:
    """The figures of a chapter (its entry in the plan) for which there are numbers."""
    if shown := [answer for answer in given if answer.difference and not answer.beside_row]:
        yield _differences(name, shown)
    for question, answer in zip(entry.questions, given, strict=True):
        if question["rule"] == "cloud" and answer.compared >= 2:
            yield _cloud(name, question, answer, rows)
        if len(answer.beside_row) >= 2:
            yield _beside(name, answer, rows[question["row"][0]])
    for question in entry.questions:
        if question["id"] == "order" and (found := _joined(question, rows)):
            yield _pairs(name, found)
    own = [rows[row.row] for row in entry.rows if row.row in rows and rows[row.row].accuracy]
    if len(own) >= 2:
        yield _front(name, own)


def _differences(name: str, shown: Sequence[Answer]) -> Picture:
    figure, [[axes]] = panels(1, 1, height=0.9 + 0.27 * len(shown))
    for place, answer in enumerate(reversed(shown)):
        gap, colour = known(answer.difference), COLOURS[answer.holm]
        if gap.decided:
            axes.plot([gap.low, gap.high], [place, place], color=colour, linewidth=1.6)
        face = colour if gap.decided else SURFACE
        axes.plot([gap.value], [place], marker="o", markersize=5, color=colour, markerfacecolor=face)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [answer.id for answer in reversed(shown)])
    axes.set_xlabel("difference of accuracies, points")
    words = " ".join(f"{answer.id}: {text.difference(answer.difference)}, {answer.holm}." for answer in shown)
    caption = "Mean difference of each question with its 95% interval; hollow: no interval yet. "
    caption += "Right of zero the row asked about is better."
    return picture(f"{name}-answers", "The answers", caption, figure, words)


def _cloud(name: str, question: Mapping, answer: Answer, rows: Mapping[str, Row]) -> Picture:
    own = rows[question["row"][0]]
    others = [rows[other] for other in question["others"] if other in rows and rows[other].accuracy]
    figure, [[axes]] = panels(1, 1, height=2.9)
    levels, level = [known(other.accuracy).mean for other in others], known(own.accuracy)
    axes.plot([known(r.macs).mean / 1e6 for r in others], levels, "s", color=MUTED, markersize=4.5,
              markerfacecolor=SURFACE, label="random draws")  # fmt: skip
    axes.errorbar([known(own.macs).mean / 1e6], [level.mean], yerr=[level.std or 0], fmt="o", color=BLUE, markersize=6,
                  label=own.name)  # fmt: skip
    axes.axhline(level.mean, color=BLUE, linewidth=0.6, linestyle="--")
    axes.set_xlabel("multiply-accumulates an image, millions")
    axes.set_ylabel("accuracy, %")
    axes.legend(loc="best")
    share, low, high = known(answer.below)
    caption = (
        f"{own.name} (mean ± standard deviation of {level.n} seeds) among {len(others)} draws of its parameters: "
        f"{share:.0f}% lie below it (95% interval {low:.0f} to {high:.0f}%)."
    )
    words = f"{caption} Draws lie between {text.number(min(levels))} and "
    words += f"{text.number(max(levels))} percent."
    return picture(
        f"{name}-cloud-{question['id']}", f"Where {own.name} lies among random sizes", caption, figure, words
    )


def _beside(name: str, answer: Answer, common: Row) -> Picture:
    """Each of many rows less the common one, best first."""
    shown = answer.beside_row
    figure, [[axes]] = panels(1, 1, height=0.9 + 0.33 * len(shown))
    places = range(len(shown) - 1, -1, -1)
    for place, one in zip(places, shown, strict=True):
        colour = BLUE if one.chosen else MUTED
        if one.gap.decided:
            axes.plot([one.gap.low, one.gap.high], [place, place], color=colour, linewidth=1.6)
        axes.plot([one.gap.value], [place], marker="o", markersize=5, color=colour)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(places, [f"{one.row.entry.label}\n{text.times(one.macs)} MACs" for one in shown], fontsize=7.5)
    axes.set_xlabel(f"points of accuracy more than {common.entry.label}")
    caption = (
        f"Networks of about the parameters of {common.name}, shared out otherwise: their accuracy less its own, with 95% intervals "
        "that hold together for all, and one spread for all rows. Blue: sizes that images chose. MACs are over its own."
    )
    return picture(
        f"{name}-{answer.id}", "Ways of sharing out the same parameters", caption, figure, f"{caption} {answer.because}"
    )


def _joined(question: Mapping, rows: Mapping[str, Row]) -> list[tuple[int, float, float]]:
    """(seed, accuracy, accuracy of the other) of every seed that both rows of a pair have."""
    found = []
    for name, other in zip(question["row"], question["others"], strict=True):
        if name in rows and other in rows:
            first, second = rows[name].by_seed, rows[other].by_seed
            found += [(seed, first[seed], second[seed]) for seed in sorted(first.keys() & second.keys())]
    return found


def _pairs(name: str, found: Sequence[tuple[int, float, float]]) -> Picture:
    """Each seed's learned sizes and their permutations, joined."""
    figure, [[axes]] = panels(1, 1, height=2.6)
    for _, before, after in found:
        axes.plot([0, 1], [before, after], marker="o", markersize=4.5, linewidth=1, color=BLUE)
    axes.set_xticks([0, 1], ["as learned", "permuted within stages"])
    axes.set_xlim(-0.4, 1.4)
    axes.set_ylabel("accuracy, %")
    better = sum(before > after for _, before, after in found)
    caption = (
        f"The same sizes in the learned order and in another one within each stage: parameters and multiply-accumulates are equal. "
        f"A line a seed and permutation; the learned order is better in {better} of {len(found)}."
    )
    words = " ".join(f"Seed {seed}: {text.number(a)} learned, {text.number(b)} permuted." for seed, a, b in found)
    return picture(f"{name}-permutations", "Learned order and permuted order", caption, figure, words)


def _family(name: str) -> tuple[str, str, str]:
    return next((label, colour, marker) for start, label, colour, marker in FAMILIES if name.startswith(start))


def _front(name: str, own: Sequence[Row]) -> Picture:
    """Accuracy against multiply-accumulates and, where they were timed, against seconds per epoch."""
    timed = [row for row in own if row.seconds]
    figure, [grid] = panels(1, 2 if len(timed) >= 2 else 1, height=2.9, sharey=True)
    sides = [(lambda row: row.macs.mean / 1e6, own, "multiply-accumulates an image, millions")]
    sides += [(lambda row: row.seconds, timed, "seconds per epoch")] if len(timed) >= 2 else []
    for axes, (cost, points, label) in zip(grid, sides, strict=True):
        seen = set()
        for row in points:
            (family, colour, marker), level = _family(row.id), known(row.accuracy)
            axes.errorbar([cost(row)], [level.mean], yerr=[level.std or 0], fmt=marker, color=colour, markersize=4.5,
                          elinewidth=0.8, label=None if family in seen else family)  # fmt: skip
            seen.add(family)
        axes.set_xlabel(label)
        axes.locator_params(axis="x", nbins=5)
        axes.legend(loc="best")
    grid[0].set_ylabel("accuracy, %")
    best = front(own)
    caption = "Every row of the chapter. Not beaten in accuracy by any row of fewer multiply-accumulates: "
    caption += ", ".join(row.name for row in best) + "."
    words = " ".join(
        f"{row.name}: {text.number(known(row.accuracy).mean)} percent at {text.millions(known(row.macs).mean)}."
        for row in best
    )
    return picture(f"{name}-front", "Accuracy against arithmetic and time", caption, figure, words)


def front(own: Sequence[Row]) -> list[Row]:
    """The rows that no row of at most as many multiply-accumulates beats, by rising cost."""
    best: list[Row] = []
    for row in sorted(own, key=lambda row: (known(row.macs).mean, -known(row.accuracy).mean)):
        if not best or known(row.accuracy).mean > known(best[-1].accuracy).mean:
            best.append(row)
    return best
