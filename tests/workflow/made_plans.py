"""Runs and plans for the tests of what works on them, small ones and the suite's own, and sound records in the stages' formats."""

from functools import cache

from workflow.plan.catalogue import load_tables
from workflow.plan.config import load
from workflow.plan.digests import expected_digests
from workflow.plan.make import make_plan
from workflow.plan.plan import SCHEMA, Entry, EntryRow, Plan
from workflow.protocol.datasets import DATASETS
from workflow.protocol.recipes import recipe
from workflow.protocol.runs import Run, Search, Training

_tables = cache(load_tables)  # half a second
RECIPE = {name: recipe("resnet_sgd", name) for name in ("mnist", "cifar10")}


def a_run(place: str = "mnist/net", seed: int = 0, *, epochs: int = 1, searched: bool = False, **changes) -> Run:
    """A run of a row by ResNet's recipe, with a search of one epoch or without."""
    dataset, row = place.split("/")
    own = RECIPE[dataset]
    fields = {
        "id": f"{place}/seed{seed}", "dataset": dataset, "row": row, "label": row, "seed": seed, "system": "cifar_resnet20",
        "arguments": {}, "constants": DATASETS[dataset], "data": "nowhere", "train": Training(recipe=own.with_epochs(epochs)),
        "search": Search(epochs=1, recipe=own, parameters=300_000) if searched else None,
    }  # fmt: skip
    return Run(**{**fields, **changes})


def a_plan(runs, **changes) -> Plan:
    """A plan of these runs."""
    fields = {
        "preset": "smoke", "why": "it was asked for", "banner": "Made up.", "seeds": (0,), "device": "cpu", "source": "synthetic",
        "data": "data", "prepare": {}, "timing": {"slices": 1, "slice_seconds": 0.1}, "time_limit": None, "runs": tuple(runs),
        "jobs": {"search": {}, "train": {}, "time": {}}, "tables": {},
    }  # fmt: skip
    return Plan(**{**fields, **changes})


def an_entry(dataset: str, rows: dict[str, str | None], kind: str = "table") -> Entry:
    """A table or chapter; `rows`: name -> system (None: quoted)."""
    shown = tuple(EntryRow(row=row, label=row, system=system) for row, system in rows.items())
    return Entry(kind=kind, title=kind, dataset=dataset, rows=shown)


def plan_of(*rows: str, preset: str = "smoke", **user) -> Plan:
    """The plan of these rows (`dataset/row`, or patterns; none: all) on a CPU."""
    only = {"only": list(rows)} if rows else {}
    return make_plan(load({"preset": preset, "device": "cpu", **only, **user}), _tables())


def _record(run: Run, stage: str, found: dict, changes: dict) -> dict:
    common = {"run": run.to_json(), "digests": expected_digests(run, stage), "provenance": {}}
    return {"schema": SCHEMA, "status": "complete", **common, **found, **changes}


def result_of(run: Run, **changes) -> dict:
    """A result.json: 5 of 10 test images, with 6 in the best epoch."""
    counts = {"accuracy": 50.0, "correct": 5, "test_images": 10, "best_accuracy": 60.0, "best_epoch": 1}
    length = {"epochs": run.train.epochs, "seconds_per_epoch": [1.25] * run.train.epochs}
    found = {**counts, **length, "cross_entropy": 1.5, "parameters": 7, "macs": 9}
    return _record(run, "train", found, changes)


def search_of(run: Run, **changes) -> dict:
    """A search.json of two layers."""
    sizes = {"layers": ["a", "b"], "sizes": [3, 5], "soft_sizes": [3.1, 4.8], "trajectory": {}}
    length = {"epochs": run.search.epochs, "seconds_per_epoch": [1.25] * run.search.epochs}
    return _record(run, "search", {**sizes, **length, "parameters": 7, "macs": 9}, changes)


def timing_of(run: Run, **changes) -> dict:
    """A timing record of a run's row: 3.5 s an epoch."""
    segment = {"stage": "train", "weight": 1.0, "seconds_per_epoch": 3.5, "slices": 5}
    seconds = {"segments": [segment], "train_seconds": 3.5, "seconds_per_epoch": 3.5, "search_seconds": None}
    found = {"row": run.row, "dataset": run.dataset, "device": "cpu", "batch_size": run.train.batch_size, **seconds}
    return _record(run, "time", found, changes)
