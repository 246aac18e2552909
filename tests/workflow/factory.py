"""Plans of the suite's own rows, and sound records of their runs in the stages' formats."""

from functools import cache

from workflow.plan.catalogue import load_tables
from workflow.plan.config import load
from workflow.plan.digests import expected_digests
from workflow.plan.make import make_plan
from workflow.plan.plan import SCHEMA, Plan
from workflow.protocol.runs import Run

_tables = cache(load_tables)  # half a second


def plan_of(*rows: str, preset: str = "smoke", **user) -> Plan:
    """The plan of these rows (`dataset/row`, or patterns; none: all) on a CPU."""
    only = {"only": list(rows)} if rows else {}
    return make_plan(load({"preset": preset, "device": "cpu", **only, **user}), _tables())


def _record(run: Run, stage: str) -> dict:
    epochs = run.search.epochs if stage == "search" else run.train.epochs
    return {
        "schema": SCHEMA, "status": "complete", "run": run.to_json(), "digests": expected_digests(run, stage), "provenance": {},
        "parameters": 7, "macs": 9, "epochs": epochs, "seconds_per_epoch": [1.25] * epochs,
    }  # fmt: skip


def result_of(run: Run, **changes) -> dict:
    """A result.json: 5 of 10 test images, with 6 in the best epoch."""
    counts = {
        "accuracy": 50.0,
        "correct": 5,
        "test_images": 10,
        "cross_entropy": 1.5,
        "best_accuracy": 60.0,
        "best_epoch": 2,
    }
    return {**_record(run, "train"), **counts, **changes}


def search_of(run: Run, **changes) -> dict:
    """A search.json of two layers."""
    found = {"layers": ["a", "b"], "sizes": [3, 5], "soft_sizes": [3.1, 4.8], "trajectory": {}}
    return {**_record(run, "search"), **found, **changes}


def timing_of(run: Run, **changes) -> dict:
    """A timing record of a run's row: 3.5 s an epoch."""
    seconds = {"segments": [{"seconds_per_epoch": 3.5, "slices": 5}], "train_seconds": 3.5, "seconds_per_epoch": 3.5}
    common = {
        key: value
        for key, value in _record(run, "time").items()
        if key in ("schema", "status", "digests", "provenance")
    }
    return {**common, "row": run.row, "dataset": run.dataset, "device": "cpu", **seconds, **changes}  # fmt: skip
