"""The first screen's list of contrasts, drawn: learned minus control, with the positive controls and the random sizes on one axis."""

import html
import math

from workflow.report import text
from workflow.report.chapters.central import Central, Cloud, Contrast
from workflow.report.chapters.decisions import BETTER, EQUAL, UNDECIDED, UNKNOWN, WORSE
from workflow.report.image_share import ImageShare
from workflow.report.page import forest
from workflow.report.stats import Interval
from workflow.support.known import known

CLASSES = {BETTER: "holds", WORSE: "fails", EQUAL: "near", UNDECIDED: "open", UNKNOWN: "idle"}


def axis_of(found: Central) -> forest.Axis:
    """Points, learned minus control."""
    return forest.Axis(-found.reach, found.reach, 0.0, (-found.reach, 0.0, found.reach))


def contrast_svg(found: Central, contrast: Contrast) -> str:
    """A contrast on the list's axis."""
    gap = contrast.answer.difference
    words = filter(None, [text.difference(gap) if gap else "not run", contrast.answer.open_words, contrast.word])
    label = html.escape(f"{contrast.label}: {', '.join(words)}", quote=True)
    marks = []
    if gap:
        css = CLASSES[contrast.word]
        marks = [forest.dots(axis_of(found), contrast.seeds, css, 10), forest.our_mark(axis_of(found), gap, css, 10)]
    return forest.drawing(axis_of(found), marks, label, band=contrast.answer.within)


def share_words(share: ImageShare) -> str:
    """The part of the variance of soft sizes that images explain, with its interval: `46 % [25, 100]`."""
    value, low, high = (
        f"{100 * one:.0f}" for one in (share.repeating.value, share.repeating.low, share.repeating.high)
    )
    return f"{value} % [{low}, {high}]"


def cloud_svgs(found: Central, cloud: Cloud) -> list[tuple[str, str]]:
    """The random draws, and the seeds of the learned sizes, each less the mean of the learned ones: (label, drawing)."""
    mean, made = known(cloud.own.accuracy).mean, []
    seeds = list(cloud.own.by_seed.values())
    for name, values in ((f"{len(cloud.draws)} random vectors", cloud.draws), (f"{len(seeds)} seeds alone", seeds)):
        shifts = [mean - value for value in values]
        label = f"{name}: accuracies from {text.number(min(values))} to {text.number(max(values))} percent"
        middle = Interval(math.fsum(shifts) / len(shifts))
        marks = [forest.dots(axis_of(found), shifts, "ours", 10), forest.our_mark(axis_of(found), middle, "ours", 10)]
        made.append((name, forest.drawing(axis_of(found), marks, label)))
    return made
