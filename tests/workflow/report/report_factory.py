"""Made-up results in the stages' own formats, for the tests of the report."""

import json
import random
from pathlib import Path

import yaml

from workflow.plan.plan import SCHEMA, Entry, EntryRow, Plan
from workflow.protocol.datasets import DATASETS
from workflow.protocol.recipes import recipe
from workflow.protocol.runs import Run, Search, Training
from workflow.records import state
from workflow.report import results
from workflow.report.claims import protocols
from workflow.report.figures import style
from workflow.support.files import write_json

ROOT = Path(__file__).resolve().parents[3]
PROVENANCE = {
    "python": "3.12.1", "torch": "2.11.0", "packages": {"torch": "2.11.0", "numpy": "2.1.0"}, "platform": "Linux-6.1-x86_64",
    "device": "Example GPU", "driver": "570.1", "cpu": "Example CPU", "cores": 8, "threads": 2, "git_commit": "0123456789abcdef",
    "git_dirty": False, "started": "2026-01-02T03:04:05+00:00", "ended": "2026-01-02T04:04:05+00:00",
    "data": {"train": "a" * 64, "test": "b" * 64}, "sittings": 1,
}  # fmt: skip
IMAGES = {"mnist": 10000, "cifar10": 10000, "stl10": 8000, "imagenet32": 50000}
TRAIN_IMAGES = {"mnist": 60000, "cifar10": 50000, "stl10": 5000, "imagenet32": 1281167}
EPOCHS = {"search": 2, "train": 4}  # conftest.py takes them for the paper's
PNG, PDF = style.png_bytes, style.pdf_bytes


def stand_in(patch) -> None:
    """The factory's digests are the expected ones; its four epochs of training and two of search stand for the paper's hundreds.

    PNG and PDF, which no page shows and which take most of a drawing's time, are their first bytes alone.
    """
    for module in (state, results):
        patch.setattr(module, "expected_digests", lambda run, stage: {"run": "current"})
    patch.setattr(protocols, "train_epochs", lambda rule: EPOCHS["train"])
    patch.setattr(protocols, "search_epochs", lambda dataset: EPOCHS["search"])
    patch.setattr(style, "png_bytes", lambda figure: b"\x89PNG")
    patch.setattr(style, "pdf_bytes", lambda figure: b"%PDF-")


def entry(
    row: str, *, label: str | None = None, system: str | None = "cifar_resnet20", learn: int | None = None, **fields
) -> EntryRow:
    """A row as the plan shows it."""
    paper = fields.pop("paper", None)
    return EntryRow(
        row=row, label=label or row, system=system, learn={"parameters": learn} if learn else None,
        in_paper=paper is not None, paper=paper or {}, **fields,
    )  # fmt: skip


def run_of(dataset: str, shown: EntryRow, seed: int, *, epochs: int = 4, protocol: str = "paper") -> Run:
    """One planned run of a row."""
    own = recipe("resnet_sgd", dataset)
    search = shown.learn and Search(
        epochs=2,
        recipe=own,
        parameters=shown.learn["parameters"],
        protocol="paper" if protocol != "changed" else "changed",
    )
    return Run(
        id=f"{dataset}/{shown.row}/seed{seed}", dataset=dataset, row=shown.row, label=shown.label, seed=seed,
        system=shown.system, arguments={}, constants=DATASETS[dataset], data=f"data/prepared/{dataset}", search=search or None,
        train=Training(recipe=own.with_epochs(epochs), protocol=protocol), device="cuda",
    )  # fmt: skip


def plan_of(tables: dict, *, preset: str = "paper", seeds: tuple[int, ...] = (0, 1, 2), epochs: int = 4) -> Plan:
    """A plan over tables and figures whose rows are `entry` rows (or, in figures, names of rows of a table)."""
    runs, shown, known = [], {}, {}
    protocol = {"smoke": "changed"}.get(preset, preset)
    for name, table in tables.items():
        dataset, rows = table["dataset"], []
        for row in table["rows"]:
            row = known[dataset, row] if isinstance(row, str) else row
            if (dataset, row.row) not in known and row.system:
                runs += [run_of(dataset, row, seed, epochs=epochs, protocol=protocol) for seed in seeds]
            known[dataset, row.row] = row
            rows.append(row)
        kept = {key: table[key] for key in ("reference", "text", "x_label", "paper") if key in table}
        shown[name] = Entry(
            kind=table.get("kind", "table" if name.startswith("table") else "figure"), title=table.get("title", name),
            dataset=dataset, rows=tuple(rows), questions=tuple(table.get("questions", ())), x=tuple(table.get("x", ())), **kept,
        )  # fmt: skip
    return Plan(
        preset=preset, why="it was asked for", banner=f"{preset} preset.", seeds=tuple(seeds), device="cuda",
        source="synthetic" if preset == "smoke" else "real", data="data", prepare={}, timing={}, time_limit=None,
        runs=tuple(runs), jobs={"search": {}, "train": {}, "time": {}}, tables=shown,
    )  # fmt: skip


def configured_plan(**options) -> dict:
    """The plan of the suite's own config/tables.yaml, without asking which systems exist. Rows of some presets are not run."""
    tables = yaml.safe_load((ROOT / "config" / "tables.yaml").read_text())
    shown = {}
    for name, table in {**tables["tables"], **tables["figures"]}.items():
        rows = []
        for row in table["rows"]:
            if isinstance(row, str):
                rows.append(row)
                continue
            learn = row.get("learn") or {}
            system = None if "presets" in row else row.get("system")
            rest = {key: row[key] for key in ("size", "paper", "note", "selection") if key in row}
            rows.append(entry(row["row"], label=row["label"], system=system, learn=learn.get("parameters"), **rest))
        shown[name] = {**table, "rows": rows}
    return plan_of(shown, **options)


def layers_of(run: Run) -> int:
    """Learned layers of a run's backbone."""
    digits = "".join(c for c in run.system.removeprefix("cifar_resnet") if c.isdigit()) or "20"
    return 24 if run.system == "wrn28_1" else int(digits) - 2


def write_search(
    results: Path, run: Run, sizes: list[int], *, parameters: int | None = None, gradients: bool = True
) -> dict:
    """search.json of a run."""
    count = parameters or run.search.parameters
    steps = list(range(0, 40, 10))
    shares = [(step + 10) / 40 for step in steps]
    soft = [[3 + (size - 3) * share for size in sizes] for share in shares]
    record = {
        "schema": SCHEMA, "run": run.to_json(), "status": "complete", 
        "layers": [f"layer{i}" for i in range(len(sizes))], "sizes": sizes,
        "soft_sizes": [float(size) for size in sizes], "parameters": count, "macs": 60_000_000,
        "budget": {"parameters": run.search.parameters, "macs": None}, "epochs": run.search.epochs,
        "seconds_per_epoch": [3.0] * run.search.epochs,
        "trajectory": {
            "step": steps, "soft_sizes": soft,
            "sizes": [[round(v) for v in step] for step in soft], "parameters": [count] * len(steps),
            "gradient_loss": [[0.02 / (1 + i) for i in range(len(sizes))] for _ in steps] if gradients else [],
            "gradient_budget": [[0.01] * len(sizes) for _ in steps] if gradients else [],
        },
        "digests": {"run": "current"}, "provenance": PROVENANCE,
    }  # fmt: skip
    write_json(results / "runs" / run.id / "search.json", record)
    return record


def write_result(results: Path, run: Run, accuracy: float, *, sizes: list | None = None, **fields) -> dict:
    """result.json and history.jsonl of a run; the accuracy is rounded to whole test images."""
    images = fields.pop("test_images", IMAGES[run.dataset])
    correct = round(accuracy * images / 100)
    epochs = run.train.epochs
    record = {
        "schema": SCHEMA, "run": run.to_json(), "status": "complete", "accuracy": 100 * correct / images,
        "top5": None if run.dataset != "imagenet32" else min(100.0, accuracy + 24), "correct": correct, "test_images": images,
        "cross_entropy": 0.3,
        "best_accuracy": 100 * correct / images, "best_epoch": epochs, "train_accuracy": min(100.0, accuracy + 1), "loss": 0.1,
        "parameters": 269722, "macs": 40_813_184, "kernel_sizes": sizes, "epochs": epochs, "seconds_per_epoch": [2.0] * epochs,
        "peak_memory_mb": 812.0, "digests": {"run": "current"}, "provenance": PROVENANCE, **fields,
    }  # fmt: skip
    folder = results / "runs" / run.id
    write_json(folder / "result.json", record)
    stages = [("search", run.search.epochs)] if run.search else []
    lines = []
    for stage, total in [*stages, ("train", epochs)]:
        for epoch in range(1, total + 1):
            reached = accuracy * (1 - 0.5 / (epoch + 1)) if epoch < total or stage == "search" else record["accuracy"]
            lines.append(json.dumps({
                "stage": stage, "epoch": epoch, "epochs": total, "loss": 2 / epoch, "train_accuracy": reached, "accuracy": reached,
                "top5": None, "seconds": 2.0, "evaluation_seconds": 0.2, "lr": 0.1, "kernel_sizes": None, "parameters": None,
            }))  # fmt: skip
    (folder / "history.jsonl").write_text("\n".join(lines) + "\n")
    return record


def write_failure(results: Path, run: Run, reason: str, *, stage: str = "train", epoch: int | None = 3) -> None:
    """failure.json of a run."""
    record = {"run": run.id, "stage": stage, "reason": reason, "epoch": epoch, "when": "2026-01-02T03:04:05+00:00"}
    write_json(results / "runs" / run.id / "failure.json", record)


def write_timing(results: Path, run: Run, train: float, *, search: float | None = None, spread: float = 0.02) -> dict:
    """The timing record of a run's row; seconds per epoch are the mean over the epochs of both stages."""
    epochs, searched = run.train.epochs, run.search.epochs if run.search else 0
    parts = [("train", train, epochs)] + ([("search", search, searched)] if search is not None else [])
    total = sum(count for *_, count in parts)
    segments = [
        {"stage": stage, "position": "middle", "weight": count / total, "seconds_per_epoch": value, "low": value * (1 - spread),
         "high": value * (1 + spread), "slices": 5, "steps_per_epoch": 391, "images_per_second": TRAIN_IMAGES[run.dataset] / value}
        for stage, value, count in parts
    ]  # fmt: skip
    record = {
        "schema": SCHEMA, "run": run.to_json(), "row": run.row, "dataset": run.dataset, "status": "complete",
        "device": "Example GPU", "precision": "fp32",
        "batch_size": run.train.batch_size, "segments": segments, "search_seconds": search, "train_seconds": train,
        "seconds_per_epoch": sum(s["weight"] * s["seconds_per_epoch"] for s in segments), "clocks_agree": True, "foreign_load": 0.0,
        "digests": {"run": "current"}, "provenance": PROVENANCE,
    }  # fmt: skip
    write_json(results / "timings" / run.dataset / f"{run.row}.json", record)
    return record


def sizes_for(run: Run, source: random.Random) -> list[int]:
    """Plausible learned sizes: largest in the fifth layer, smaller towards the end."""
    count = layers_of(run)
    shape = [max(1, min(7, round(4.5 - 2.5 * i / count + source.uniform(-0.6, 0.6)))) for i in range(count)]
    shape[4] = 7
    return shape


def fill(plan: Plan, results: Path, *, seed: int = 0, shift: float = 0.0) -> None:
    """Sound results for every planned run, near the paper's numbers where it has some."""
    source = random.Random(seed)
    entries = {(t.dataset, r.row): r for t in plan.tables.values() for r in t.rows}
    write_json(results / "plan.json", plan.to_json())
    timed = set()
    for run in plan.runs:
        paper = entries[run.dataset, run.row].paper
        base = paper.get("acc") or {"mnist": 99.6, "cifar10": 92.0, "stl10": 72.0, "imagenet32": 30.0}[run.dataset]
        count = run.search.parameters if run.search else 269722
        sizes = sizes_for(run, source) if run.search else [3] * layers_of(run)
        if run.search:
            write_search(results, run, sizes, parameters=count - 1200)
        accuracy = min(99.95, base + shift + source.gauss(0, 0.02 if run.dataset == "mnist" else 0.15))
        write_result(results, run, accuracy, sizes=sizes, parameters=count - 1200, macs=round(count * 62 + 4e6))
        if (run.dataset, run.row) not in timed:
            timed.add((run.dataset, run.row))
            second = paper.get("sec") or 10 + count / 1e5
            write_timing(results, run, second * 0.4, search=second * 0.9 if run.search else None)
