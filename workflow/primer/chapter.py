"""The primer's chapter: statements with their verdicts, the article's two experiments, the cost of a size in ResNet-20.

Rests on results/<preset>/primer.json and on the runs of the chapter's rows; each part is shown as soon as it is there.
"""

import math
from collections import Counter
from pathlib import Path

from workflow.primer import figures as drawings
from workflow.primer.readings import EXPERIMENTS, readings, time_ratios
from workflow.primer.record import FILE, read
from workflow.primer.statement import (  # fmt: skip
    CONDITION,
    CUT,
    LIMIT,
    MACHINE,
    RIGHT,
    ROUNDED,
    SOURCES,
    UNCHECKED,
    VERDICTS,
    WRONG,
    Statement,
    shown,
)
from workflow.records.records import BadRecord
from workflow.records.state import changed_digests
from workflow.report import text
from workflow.report.figures.dynamics import by_epoch
from workflow.report.figures.style import Picture, picture
from workflow.report.results import Evidence, sources
from workflow.report.rows import Row, rows_in

NAME = "primer"
FEW = 7  # positions after which an untrained kernel hardly changes
SYMBOLS = {
    RIGHT: "✓", ROUNDED: "≈", CUT: "≈", LIMIT: "→", CONDITION: "!", WRONG: "✗", MACHINE: "↔", UNCHECKED: "○",
}  # fmt: skip
CLASSES = {
    RIGHT: "holds", ROUNDED: "near", CUT: "near", LIMIT: "near", CONDITION: "open", WRONG: "fails", MACHINE: "idle", UNCHECKED: "idle",
}  # fmt: skip
_SHAPE = ("layer", "in_channels", "out_channels", "stride", "size", "parameters", "macs", "milliseconds")


def _path(evidence: Evidence) -> Path:
    """The nearest record there is: that of the preset, else one that lies beside it or is kept with the code."""
    own = evidence.results / FILE
    others = (folder / FILE for folder in sources(evidence.results))
    return own if own.exists() else next((path for path in others if path.exists()), own)


def record_of(evidence: Evidence) -> dict | str:
    """The record of the statements, or the sentence that says why there is none."""
    try:
        return read(_path(evidence))
    except BadRecord as error:
        return str(error)


def has_results(evidence: Evidence) -> bool:
    """Whether there is something to show beside the runs of the rows."""
    return _path(evidence).exists()


def _stale(record: dict) -> tuple[str, ...]:
    """Modules that have changed since the statements were computed."""
    from workflow.primer.record import primer_digests

    return tuple(sorted(changed_digests(record, primer_digests())))


def lines(evidence: Evidence) -> list[dict]:
    """A line a statement, a line a part of the article's readings, a line a layer and size of ResNet-20."""
    record = record_of(evidence)
    empty = dict.fromkeys(_SHAPE)
    found = []
    if isinstance(record, dict):
        for s in record["statements"]:
            found.append(_line(s.key, s.topic, s.text, s.source, s.printed, s.computed, s.verdict, s.note) | empty)
    for part in readings(evidence):
        found.append(
            _line(
                f"{part.experiment.key}-{part.key}", part.experiment.title, part.says, "article", None,
                text.plain(part.finding.measured), part.finding.verdict, None,
            ) | empty
        )  # fmt: skip
    if isinstance(record, dict):
        for line in record["costs"]:
            key = f"layer{line['layer']:02}-size{line['size']}"
            words = f"Cost of size {line['size']} in layer {line['layer']} of ResNet-20"
            cost = _line(key, "Bridge to EffConv", words, None, None, None, None, None)
            found.append(cost | {name: line[name] for name in _SHAPE})
    return found


def _line(*values: object) -> dict:
    return dict(
        zip(("row", "topic", "statement", "source", "printed", "computed", "verdict", "note"), values, strict=True)
    )


def _curves(rows: list[Row]) -> Picture:
    """The learning curves of the article's networks."""
    found = by_epoch(rows)
    caption = "Test accuracy by epoch, mean over the seeds that got there; the band is their range."
    cells = lambda line: [
        line["label"],
        line["epoch"],
        *(text.number(line[name]) for name in ("accuracy", "low", "high")),
        line["n"],
    ]
    numbers = {
        "heads": ("Blocks of", "Epoch", "Mean", "Lowest", "Highest", "n"),
        "lines": [cells(line) for line in found],
    }
    figure, words = drawings.draw_curves(found), drawings.alt_curves(found)
    return picture("primer-curves", "Learning curves", caption, figure, words, **numbers, total=len(found))


def _costs(costs: list[dict]) -> Picture:
    caption = "Parameters and MACs on logarithmic scales; layers of equal shape share a line, MACs coincide where strides are equal."
    figure, words = drawings.draw_costs(costs), drawings.alt_costs(costs)
    return picture("primer-costs", "Cost of a kernel size by layer", caption, figure, words)


def _untrained(untrained: dict) -> Picture:
    """The objection to predicted kernels that an untrained predictor shows."""
    most = max(line["change"] for line in untrained["changes"] if line["step"] >= FEW)
    moved = [line["moved"] for line in untrained["flips"] if line["size"] > 1]
    caption = (
        f"Predictors as they start, mean of {len({line['seed'] for line in untrained['changes']})} with their range. The input of "
        f"EffConv's recurrent predictor never changes, so that its state nears a fixed point: from the {FEW}th position of a kernel "
        f"on a position differs from the one before by less than {math.ceil(100 * most)} % of its length. And where a size flips, "
        f"{100 * min(moved):.0f} to {100 * max(moved):.0f} % of the pixels that both kernels share get another step's values."
    )
    figure, words = drawings.draw_untrained(untrained), drawings.alt_untrained(untrained)
    return picture("primer-untrained", "An untrained kernel predictor", caption, figure, words)


def _topics(statements: tuple[Statement, ...]) -> list[tuple[str, list[Statement]]]:
    found: dict[str, list[Statement]] = {}
    for statement in statements:
        found.setdefault(statement.topic, []).append(statement)
    return list(found.items())


def _bridge(costs: list[dict]) -> dict:
    """The costs by shape of layer, and what the reader should see in them, in figures."""
    kinds = [kind for kind in drawings.kinds_of(costs) if kind["stride"] == 1]
    first, last = kinds[0]["sizes"], kinds[-1]["sizes"]
    sizes = sorted(first)
    low, high = sizes[sizes.index(3)], sizes[-1]
    grown = [(at[high]["parameters"] - at[low]["parameters"]) for at in (first, last)]
    work = [(at[high]["macs"] - at[low]["macs"]) / 1e6 for at in (first, last)]
    time = [at[high]["milliseconds"] - at[low]["milliseconds"] for at in (first, last)]
    return {
        "kinds": drawings.kinds_of(costs), "sizes": sizes, "low": low, "high": high,
        "layers": (kinds[0]["numbers"], kinds[-1]["numbers"]),
        "parameters": grown, "macs": work, "milliseconds": time, "batch": costs[0]["batch"],
        "uses": [round(at[low]["macs"] / at[low]["parameters"]) for at in (first, last)],
        "figure": _costs(costs),
    }  # fmt: skip


def context(evidence: Evidence) -> dict:
    """What templates/chapters/primer.html.j2 prints."""
    record, rows = record_of(evidence), rows_in(evidence, NAME)
    parts = readings(evidence)
    known = isinstance(record, dict)
    held = record if isinstance(record, dict) else {}
    tally = Counter(statement.verdict for statement in held["statements"]) if known else Counter()
    return {
        "missing": None if known else record, "record": record if known else None,
        "stale": _stale(held) if known else (), "sources": SOURCES, "shown": shown,
        "topics": _topics(held["statements"]) if known else [], "tally": {name: tally[name] for name in VERDICTS if tally[name]},
        "wrong": [s for s in held["statements"] if s.verdict == WRONG] if known else [],
        "vgg16": held["vgg16"] if known else [], "bridge": _bridge(held["costs"]) if known else None,
        "untrained": _untrained(held["untrained"]) if held.get("untrained") else None,
        "small": known and evidence.plan.preset == "smoke", "primer_symbols": SYMBOLS, "primer_classes": CLASSES, "rows": rows,
        "experiments": [(e, [part for part in parts if part.experiment == e]) for e in EXPERIMENTS],
        "times": time_ratios(evidence), "curves": _curves(rows),
        "epochs": sorted({s.run.train.epochs for row in rows for s in row.done}),
        "precision": sorted({s.run.precision for row in rows for s in row.done}),
    }  # fmt: skip
