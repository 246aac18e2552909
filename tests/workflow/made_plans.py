"""Small runs and plans for the tests of what works on them."""

from workflow.plan.plan import SCHEMA, Entry, EntryRow, Plan
from workflow.protocol.datasets import DATASETS
from workflow.protocol.recipes import recipe
from workflow.protocol.runs import Run, Search, Training

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


def a_result(run: Run, **changes) -> dict:
    """A sound result of a run, five of ten test images right."""
    epochs = run.train.epochs
    return {
        "schema": SCHEMA, "status": "complete", "run": run.to_json(), "digests": {}, "provenance": {}, "accuracy": 50.0,
        "correct": 5, "test_images": 10, "cross_entropy": 1.5, "best_accuracy": 50.0, "best_epoch": 1, "parameters": 1, "macs": 1,
        "epochs": epochs, "seconds_per_epoch": [1.0] * epochs, **changes,
    }  # fmt: skip
