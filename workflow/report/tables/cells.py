"""Tables 1 to 4 as cells: the paper's numbers and the measured ones side by side."""

from dataclasses import dataclass

from workflow.report import text
from workflow.report.results import Evidence
from workflow.report.rows import Row, rows_in

MNIST_IMAGES = 10_000  # of its test set
SELECTED = "†"  # beside a published accuracy of an epoch that was chosen on the test set


@dataclass(frozen=True)
class Cell:
    """One cell. `value`: the number that it sorts by; `sub`: further, quieter lines; `kind`: text, number, paper or strip."""

    text: str
    value: float | None = None
    sub: str = ""
    kind: str = "number"


@dataclass(frozen=True)
class Column:
    """A column: its key (CSV), its heading, and the group that it belongs to."""

    key: str
    title: str
    group: str = ""


@dataclass(frozen=True)
class TableView:
    """A table ready to be printed. `lines`: one dict of cells a row, with the row itself under its own list."""

    name: str
    title: str
    dataset: str
    reference: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    lines: tuple[dict[str, Cell], ...]


def _metric_columns(metric: str, title: str) -> list[Column]:
    strip = [Column("strip_accuracy", "seeds", title)] if metric == "accuracy" else []
    paper, measured = Column(f"paper_{metric}", "paper", title), Column(f"measured_{metric}", "measured", title)
    return [paper, measured, *strip, Column(f"difference_{metric}", "difference", title)]


def _columns(has_top5: bool) -> tuple[Column, ...]:
    return (
        Column("row", "Model"),
        *_metric_columns("accuracy", "Top-1, %" if has_top5 else "Accuracy, %"),
        *(_metric_columns("top5", "Top-5, %") if has_top5 else ()),
        Column("paper_parameters", "paper", "Parameters"), Column("parameters", "counted", "Parameters"), Column("macs", "MACs"),
        Column("paper_seconds", "paper", "Seconds per epoch"), Column("seconds", "measured", "Seconds per epoch"),
        Column("paper_ratio", "paper", "Time ratio"), Column("ratio", "measured", "Time ratio"),
        Column("status", "Status"),
    )  # fmt: skip


def _count(row: Row) -> str:
    """`(3)`, or `2/3 seeds` where some are missing."""
    done, planned = len(row.done), len(row.states)
    return f"n = {done}" if done == planned else f"{done}/{planned} seeds"


def _wrong(row: Row, share: float | None = None) -> str:
    """Accuracies near 100 % in images, where a difference is a handful of them."""
    if row.dataset != "mnist":
        return ""
    if share is not None:
        return f"{round((100 - share) / 100 * MNIST_IMAGES)} wrong"
    found = row.wrong
    total = "" if row.test_images == MNIST_IMAGES else f" of {row.test_images}"
    return f"{text.of_sample(found, 1)} wrong{total}" if found else ""


def _metric_cells(row: Row, metric: str) -> dict[str, Cell]:
    published, measured = row.published(metric), getattr(row, metric)
    versus = row.against_paper(metric)
    versus_sub = text.interval(*versus.ends) if versus else ""
    first = metric == "accuracy"
    paper_text = text.published(published.mean, published.std) if published else text.NONE
    if published and row.entry.selection == "test":
        paper_text += SELECTED
    paper_sub = _wrong(row, published.mean) if first and published else ""
    sub = [_count(row)] if measured else []
    if first and measured and _wrong(row):
        sub.append(_wrong(row))
    return {
        f"paper_{metric}": Cell(paper_text, published.mean if published else None, paper_sub, "paper"),
        f"measured_{metric}": Cell(text.of_sample(measured), measured.mean if measured else None, "\n".join(sub)),
        f"strip_{metric}": Cell(" ".join(map(text.number, measured.values)) if measured else "", None, "", "strip"),
        f"difference_{metric}": Cell(
            text.signed(versus.value) if versus else text.NONE, versus.value if versus else None, versus_sub
        ),
    }  # fmt: skip


def _time_cells(row: Row, reference: Row | None) -> dict[str, Cell]:
    paper, measured = row.paper.get("sec"), row.seconds
    stages = ""
    if row.timing and row.timing.get("search_seconds") is not None:
        stages = f"search {text.significant(row.timing['search_seconds'])}\ntrain {text.significant(row.timing['train_seconds'])}"

    if row.timing and row.timing.get("faster_seconds") is not None:
        stages = f"by its fastest convolution: {text.significant(row.timing['faster_seconds'])}"

    def ratio(mine: float | None, other: float | None) -> float | None:
        return mine / other if mine is not None and other else None

    in_paper = ratio(paper, reference.paper.get("sec") if reference else None)
    here = ratio(measured, reference.seconds if reference else None)
    return {
        "paper_seconds": Cell(text.NONE if paper is None else f"{paper:g}", paper, "", "paper"),
        "seconds": Cell(text.significant(measured), measured, stages),
        "paper_ratio": Cell(text.times(in_paper), in_paper, "", "paper"),
        "ratio": Cell(text.times(here), here),
    }


def _line(row: Row, reference: Row | None, has_top5: bool) -> dict[str, Cell]:
    params = row.paper.get("params")
    parameters, macs = (sample.mean if sample else None for sample in (row.parameters, row.macs))
    size = row.entry.size or ""
    tags = [] if row.entry.in_paper else ["not in the paper"]
    return {
        "row": Cell(row.entry.label, None, "\n".join([size] * bool(size) + tags), "text"),
        "paper_parameters": Cell(
            text.NONE if params is None else f"{params:.{1 if params >= 10 else 2}f}M", params, "", "paper"
        ),
        "parameters": Cell(text.millions(parameters), parameters),
        "macs": Cell(text.millions(macs), macs),
        **_metric_cells(row, "accuracy"),
        **(_metric_cells(row, "top5") if has_top5 else {}),
        **_time_cells(row, reference),
        "status": Cell(row.status, None, "stale" if row.stale else "", "text"),
    }


def view(name: str, evidence: Evidence) -> TableView:
    """A table's cells."""
    shown = evidence.plan.tables[name]
    rows = rows_in(evidence, name)
    reference = next((row for row in rows if row.id == shown.reference), None)
    has_top5 = any("top5" in row.paper or row.top5 for row in rows)
    lines = tuple(_line(row, reference, has_top5) for row in rows)
    label = reference.name if reference else ""
    return TableView(name, shown.title, shown.dataset, label, _columns(has_top5), tuple(rows), lines)


def caption(table: TableView, banner: str = "") -> str:
    """What a reader has to know to read the numbers. `banner`: what to say of a preset that cannot be compared."""
    notes = [
        f"{table.title}: the paper's numbers and the measured ones.",
        "Accuracy of the last epoch on the test set, mean ± sample standard deviation over n seeds; "
        "difference to the paper with its 95 % interval.",
        f"Time ratio: seconds per epoch over those of {table.reference}." if table.reference else "",
        f"{SELECTED} The published accuracy is that of an epoch chosen on the test set, which raises it by an unknown amount."
        if any(row.entry.selection for row in table.rows)
        else "",
        banner,
    ]
    return " ".join(note for note in notes if note)
