"""runs.csv and summary.csv: one line a seed, one line a (data set, row)."""

from pathlib import Path

from workflow.plan.plan import Plan
from workflow.records.state import RunState
from workflow.report.results import gather
from workflow.report.rows import Row, rows_of
from workflow.report.stats import Sample
from workflow.support.files import write_text


def _run_line(state: RunState) -> dict:
    run, result = state.run, state.result or {}
    source = result.get("provenance", {})
    fields = (
        "accuracy", "top5", "correct", "test_images", "best_accuracy", "best_epoch", "train_accuracy", "loss", "parameters", "macs",
    )  # fmt: skip
    return {
        "id": run.id, "dataset": run.dataset, "row": run.row, "label": run.label, "seed": run.seed,
        "system": run.system, "precision": run.precision, "compile": run.compile,
        "status": state.status, "reason": state.reason, "stale": " ".join(state.stale),
        **{field: result.get(field) for field in fields},
        "kernel_sizes": " ".join("x".join(map(str, s)) if isinstance(s, list) else str(s) for s in state.sizes),
        "dilations": " ".join(map(str, state.dilations)),
        "search_epochs": run.search and run.search.epochs, "train_epochs": run.train.epochs,
        "peak_memory_mb": result.get("peak_memory_mb"), "sittings": result.get("sittings"),
        **{field: source.get(field) for field in ("device", "torch", "git_commit", "started", "ended")},
    }  # fmt: skip


def summary_line(row: Row) -> dict:
    """One line of summary.csv."""

    def pair(found: Sample | None, name: str) -> dict:
        return {name: found and found.mean, f"{name}_std": found and found.std}

    interval, seconds = row.accuracy and row.accuracy.interval(), row.clock and row.clock.ends
    versus, paper = row.against_paper(), row.paper
    return {
        "dataset": row.dataset, "row": row.id, "label": row.entry.label, "size": row.entry.size,
        "system": row.entry.system, "in_paper": row.entry.in_paper, "status": row.status,
        "protocol": row.best and row.best.protocol, "devices": "; ".join(row.best.devices if row.best else ()),
        "places": " ".join(place or "here" for place in (row.best.places if row.best else ())),
        "seeds_planned": row.seeds, "seeds": len(row.done),
        **pair(row.accuracy, "accuracy"), "accuracy_low": interval and interval[0], "accuracy_high": interval and interval[1],
        **pair(row.top5, "top5"), **pair(row.over_seeds("best_accuracy"), "best_accuracy"), **pair(row.wrong, "wrong"),
        "test_images": row.test_images, "parameters": row.parameters and row.parameters.mean, "macs": row.macs and row.macs.mean,
        "search_seconds": (row.timing or {}).get("search_seconds"), "train_seconds": (row.timing or {}).get("train_seconds"),
        "seconds_per_epoch": row.seconds, "seconds_low": seconds and seconds[0], "seconds_high": seconds and seconds[1],
        "paper_parameters_millions": paper.get("params"), "paper_accuracy": paper.get("acc"), "paper_std": paper.get("std"),
        "paper_top5": paper.get("top5"), "paper_top5_std": paper.get("top5_std"), "paper_seconds": paper.get("sec"),
        "difference": versus and versus.value,
        "difference_low": versus and versus.ends[0], "difference_high": versus and versus.ends[1],
        "problems": "; ".join(row.problems), "stale": " ".join(row.stale),
    }  # fmt: skip


def to_csv(lines: list[dict], header: tuple[str, ...] = ()) -> str:
    """A CSV text; None is empty. `header`: the columns where there may be no lines."""
    from pandas import DataFrame

    # Whole numbers stay whole beside missing ones: a column of objects is written as it is.
    frame = DataFrame(lines, columns=list(lines[0]) if lines else list(header), dtype=object)
    return str(frame.to_csv(index=False, lineterminator="\n"))


def write_csv(plan: Plan, results: Path) -> None:
    """runs.csv and summary.csv of a plan, each whole or not at all."""
    evidence = gather(plan, results)
    write_text(results / "runs.csv", to_csv([_run_line(state) for state in evidence.states], ("id",)))
    write_text(results / "summary.csv", to_csv([summary_line(row) for row in rows_of(evidence).values()], ("dataset",)))
