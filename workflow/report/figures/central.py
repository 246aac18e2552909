"""The central figure: contrasts, positive controls and random sizes on one axis, learned minus control."""

from typing import TYPE_CHECKING

from workflow.plan.plan import Entry
from workflow.report import text
from workflow.report.chapters.central import Central, Contrast, central
from workflow.report.figures.style import BLUE, GREEN, INK, MUTED, ORANGE, RULE, SURFACE, VERMILION, empty, panels
from workflow.report.results import Evidence
from workflow.report.stats import NARROW
from workflow.support.known import known

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"better": GREEN, "worse": VERMILION, "equal": BLUE, "undecided": ORANGE}


def _contrast(part: str, contrast: Contrast) -> dict:
    """A line of the CSV."""
    gap = contrast.answer.difference
    narrow = gap.at(NARROW) if gap and gap.decided else None
    return {
        "part": part, "control": contrast.label, "alike": contrast.alike, "answer": contrast.word,
        "difference": gap and gap.value, "low": gap and gap.ends[0], "high": gap and gap.ends[1],
        "low90": narrow and narrow.low, "high90": narrow and narrow.high, "within": contrast.answer.within or None,
        "open": contrast.answer.open_words, "paired": contrast.answer.paired, "p_holm": contrast.answer.adjusted,
        "runs": contrast.answer.runs, "protocol": contrast.answer.protocol,
        "values": " ".join(f"{value:.2f}" for value in contrast.seeds),
    }  # fmt: skip


def lines(name: str, evidence: Evidence) -> list[dict]:
    """part (budget, assay, draws, seeds), control, answer, difference with both intervals, and the single values."""
    found = central(evidence)
    if found is None or not any(contrast.measured for contrast in found.lines):
        return []
    groups = {**found.families, "assay": found.assay}
    made = [_contrast(part, contrast) for part, group in groups.items() for contrast in group if contrast.measured]
    blank = dict.fromkeys(made[0])
    for cloud in found.clouds:
        mean = known(cloud.own.accuracy).mean
        for part, values in (("draws", cloud.draws), ("seeds", tuple(cloud.own.by_seed.values()))):
            shifts = [mean - value for value in values]
            made.append({
                **blank, "part": part, "control": f"{len(values)} {'random vectors' if part == 'draws' else 'seeds alone'}",
                "alike": cloud.words if part == "draws" else "", "difference": sum(shifts) / len(shifts), "runs": len(values),
                "values": " ".join(f"{shift:.2f}" for shift in shifts), "answer": _blind(found),
            })  # fmt: skip
    return made


def _blind(found: Central) -> str:
    return "blind" if found.blind else ""


def _row(axes: "Axes", place: float, line: dict, reach: float, blind: bool) -> None:
    colour = MUTED if blind else COLOURS.get(line["answer"], INK)
    if line["within"]:
        within = line["within"]
        axes.barh(place, 2 * within, left=-within, height=0.9, color=RULE, alpha=0.6, linewidth=0, zorder=0)
    values = [float(value) for value in (line["values"] or "").split()]
    axes.plot(values, [place] * len(values), "o", color=colour, alpha=0.35, markersize=3.5, linewidth=0, zorder=2)
    if line["low"] is not None:
        axes.plot([line["low"], line["high"]], [place, place], color=colour, linewidth=1)
        axes.plot([line["low90"], line["high90"]], [place, place], color=colour, linewidth=3.2, solid_capstyle="butt")
    face = colour if line["low"] is not None or line["part"] in ("draws", "seeds") else SURFACE
    gap = line["difference"]
    marker = "o" if abs(gap) <= reach else ">" if gap > 0 else "<"  # an arrowhead on the edge for what lies beyond
    at = min(max(gap, -reach), reach)
    axes.plot([at], [place], marker, color=colour, markerfacecolor=face, markersize=5.5, zorder=3, clip_on=False)
    words = line["answer"] if line["part"] not in ("draws", "seeds") else ""
    if line["open"] and words == "undecided":
        words += f"\n{line['open']}"
    axes.annotate(
        words,
        (reach, place),
        xytext=(6, 0),
        textcoords="offset points",
        va="center",
        fontsize=7.5,
        annotation_clip=False,
    )


def draw(found: list[dict], shown: Entry | None) -> "Figure":
    """A line a contrast; groups under their names."""
    if not found:
        return empty("Nothing of the central question has been measured yet.")
    reach = max(1.0, max(abs(v) for line in found for v in (line["difference"], line["low"] or 0, line["high"] or 0)))
    reach = min(5.0, 1.05 * reach)
    groups = list(dict.fromkeys(line["part"] for line in found if line["part"] != "seeds"))
    titles = {
        "assay": "Positive controls: a gap must be seen here",
        "draws": "Random sizes of equal parameters, and seeds alone",
    }
    figure, [[axes]] = panels(1, 1, height=0.7 + 0.24 * (len(found) + len(groups)))
    blind, place, labels = any(line["answer"] == "blind" for line in found), 0.0, []
    for group in groups:
        title = titles.get(group, f"{group} parameters")
        axes.text(-reach, -place, title, fontsize=7.5, fontweight="bold", va="center")
        place += 1
        for line in [line for line in found if line["part"] == group or (group == "draws" and line["part"] == "seeds")]:
            _row(axes, -place, line, reach, blind)
            alike = f"\n{line['alike']}" if line["alike"] and group not in titles else ""
            labels.append((-place, line["control"] + alike))
            place += 1
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-place + 0.3, 0.7)
    axes.set_yticks([at for at, _ in labels], [label for _, label in labels], fontsize=7.2)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("test accuracy, points: learned sizes minus control")
    return figure


def alt(found: list[dict], shown: Entry | None) -> str:
    """Every contrast with its numbers."""
    parts = []
    for line in found:
        numbers = [text.signed(line["difference"]), text.interval(line["low"], line["high"]), line["answer"]]
        parts.append(f"{line['part']}, {line['control']}: {' '.join(filter(None, numbers))}.")
    return " ".join(parts) or "Nothing of the central question has been measured yet."
