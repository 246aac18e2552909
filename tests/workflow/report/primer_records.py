"""A made-up record of the primer's statements and a plan with its chapter."""

from dataclasses import replace

import report_factory as factory
import yaml

from workflow.plan.plan import SCHEMA, Entry, Plan
from workflow.primer.record import primer_digests
from workflow.support.files import write_json

SHAPES = [(16, 16, 1, 32)] * 6 + [(16, 32, 2, 32)] + [(32, 32, 1, 16)] * 5 + [(32, 64, 2, 16)] + [(64, 64, 1, 8)] * 5


def statement(key: str, verdict: str = "right", **fields) -> dict:
    """One statement as the record keeps it."""
    return {
        "key": key, "topic": "Made up", "text": f"Statement {key}", "source": "article", "printed": 2, "computed": 2,
        "verdict": verdict, "note": "", **fields,
    }  # fmt: skip


def record(**changes) -> dict:
    """A sound record: two statements, one of them wrong; a layer of VGG-16; the bridge with times of layer + size."""
    costs = [
        {"layer": number, "in_channels": i, "out_channels": o, "stride": stride, "side": side, "size": size, "batch": 4,
         "parameters": size * size * i * o, "macs": size * size * i * o * (side // stride) ** 2, "milliseconds": float(number + size)}
        for number, (i, o, stride, side) in enumerate(SHAPES, 1) for size in range(1, 8)
    ]  # fmt: skip
    layer = {"name": "image", "columns": 224, "channels": 3, "activations": 150528, "weights": 0}
    return {
        "schema": SCHEMA, "status": "complete", "preset": "paper", "effort": {}, "sources": {},
        "statements": [statement("fine"), statement("plain", "wrong", printed=65536, computed=589824, note="<i>nine</i> forgotten")],
        "vgg16": [layer], "costs": costs, "digests": primer_digests(), "provenance": factory.PROVENANCE, **changes,
    }  # fmt: skip


def plan_with_chapter(**options) -> Plan:
    """The suite's plan cut down to one row of table 2, and the primer's chapter as config/ has it."""
    chapter = yaml.safe_load((factory.ROOT / "config" / "chapters" / "primer.yaml").read_text())
    rows = [factory.entry(row["row"], label=row["label"], system=row["system"]) for row in chapter["rows"]]
    plan = factory.configured_plan(**options)
    runs = [factory.run_of("cifar10", row, seed) for row in rows for seed in plan.seeds]
    shown = Entry(kind="chapter", title=chapter["title"], dataset="cifar10", text=chapter["text"], rows=tuple(rows))
    tables = {**plan.tables, "primer": shown}
    return replace(
        plan, runs=tuple(runs), tables=tables, on_demand=tuple(run.place for run in runs[:: len(plan.seeds)])
    )


def save(results, **changes) -> None:
    """Write the record where the report looks for it."""
    write_json(results / "primer.json", record(**changes))
