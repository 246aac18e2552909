"""`python -m workflow primer`: every statement and the bridge's table, into results/<preset>/primer.json."""

from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path

import torch

from effconv.untrained import position_changes, size_flips
from workflow.primer import blocks, costs, parameters, shapes, sliding, stacking, vgg, winners
from workflow.primer.effort import Effort, effort_of
from workflow.primer.record import FILE, primer_digests
from workflow.primer.statement import SOURCES, Statement
from workflow.records.provenance import now, provenance
from workflow.records.records import SCHEMA, write_record

TOPICS = (parameters, stacking, blocks, winners, shapes, sliding, vgg)


def statements(effort: Effort, say: Callable[[str], None] = print) -> Iterable[Statement]:
    """Every statement, topic by topic."""
    for topic in TOPICS:
        say(topic.TOPIC)
        yield from (statement(effort) for statement in topic.STATEMENTS)


def compute(preset: str, results: Path, *, say: Callable[[str], None] = print) -> dict:
    """Compute the primer and write its record, whole or not at all; the record."""
    torch.set_num_threads(1)
    started, effort = now(), effort_of(preset)
    found = [statement.to_dict() for statement in statements(effort, say)]
    say("What a size costs in each layer of ResNet-20")
    record = {
        "schema": SCHEMA, "status": "complete", "preset": preset, "effort": asdict(effort), "sources": SOURCES,
        "statements": found, "vgg16": list(vgg.layers()), "costs": costs.layer_costs(effort),
        "untrained": {"changes": position_changes(), "flips": size_flips()},
        "digests": primer_digests(),
        "provenance": provenance(device="cpu", threads=1, started=started, data={}),
    }  # fmt: skip
    write_record(results / FILE, record)
    return record
