"""Tables 1 to 4 as cells: the paper's numbers and the best there is of the measured ones, each with what it rests on."""

from dataclasses import dataclass, replace

from workflow.report import badges, text
from workflow.report.claims import protocols
from workflow.report.groups import Group
from workflow.report.results import Evidence
from workflow.report.rows import Row, rows_in, wrong_of
from workflow.report.seconds import device_shared, seconds_ratio
from workflow.report.stats import Sample, sample
from workflow.support.known import known

SELECTED = "†"  # beside a published accuracy of an epoch that was chosen on the test set
IMAGES_ARE_COUNTED = "mnist"  # where accuracies are so near 100 % that a difference is a handful of images


@dataclass(frozen=True)
class Measured:
    """The accuracies of a row by one protocol. `difference`: to the paper, at its protocol alone."""

    group: Group
    accuracy: Sample
    top5: Sample | None
    wrong: str
    difference: str
    badge: badges.Badge


@dataclass(frozen=True)
class Line:
    """A row of a table. `measured`: by the best protocol first; `variants`: folded rows."""

    row: Row
    paper: str
    paper_top5: str
    measured: tuple[Measured, ...]
    counts: tuple[str, str, str]  # parameters printed, parameters, MACs
    seconds: tuple[str, str, str]  # printed, measured, its stages in words
    ratio: tuple[str, str]  # printed and measured over the reference row's
    ratios: tuple[float | None, float | None]
    badges: tuple[badges.Badge, ...]
    missing: str
    variants: tuple[str, ...] = ()  # of this row, in the suite alone, that were not trained

    @property
    def seconds_words(self) -> str:
        """What stands behind the name of a row that has no line of its own."""
        return f" {self.seconds[1]} s" if self.row.seconds is not None else ""


@dataclass(frozen=True)
class TableView:
    """A table ready to be printed."""

    name: str
    title: str
    dataset: str
    reference: str
    has_top5: bool
    lines: tuple[Line, ...]

    @property
    def waiting(self) -> list[Line]:
        """Rows of the suite alone that were not trained, and are no variant of a printed row."""
        printed = tuple(f"{line.row.entry.label}, " for line in self.lines if line.row.entry.in_paper)
        idle = [line for line in self.lines if not line.measured and not line.row.entry.in_paper]
        return [line for line in idle if not line.row.entry.label.startswith(printed)]

    @property
    def shown(self) -> list[Line]:
        """The lines with variants of a printed row, such as one by a common recipe, folded under it until they are trained."""
        made: list[Line] = []
        for line in self.lines:
            if line in self.waiting:
                continue
            base = made[-1].row.entry.label if made else ""
            variant = line.row.entry.label.removeprefix(f"{base}, ") if base else line.row.entry.label
            if not line.row.entry.in_paper and not line.measured and variant != line.row.entry.label:
                made[-1] = replace(made[-1], variants=(*made[-1].variants, variant + line.seconds_words))
            else:
                made.append(line)
        return made

    @property
    def rows(self) -> list[Row]:
        return [line.row for line in self.lines]

    @property
    def idle(self) -> list[Row]:
        """Rows that could be run and have no result."""
        return [line.row for line in self.lines if not line.measured and line.row.planned]


def _wrong(row: Row, states: tuple) -> str:
    """Test images that are classified wrongly, where accuracies are counted in images."""
    if row.dataset != IMAGES_ARE_COUNTED:
        return ""
    return f"{text.of_sample(wrong_of(states), 1)} of {states[0].result['test_images']:,} wrong"


def _measured(row: Row) -> tuple[Measured, ...]:
    """The best group of each protocol, at most two."""
    best = {group.protocol: group for group in reversed(row.groups)}
    found = []
    for group in [best[name] for name in protocols.PROTOCOLS if name in best][:2]:
        values = {metric: sample(known(s.result).get(metric) for s in group.states) for metric in ("accuracy", "top5")}
        versus = row.against_paper() if group.protocol == protocols.PAPER else None
        found.append(Measured(
            group, known(values["accuracy"]), values["top5"], _wrong(row, group.states),
            text.difference(versus) if versus else "", badges.of_group(group),
        ))  # fmt: skip
    return tuple(found)


def _printed(row: Row, metric: str) -> str:
    published = row.published(metric)
    if published is None:
        return ""
    return text.published(published.mean, published.std) + (SELECTED if row.entry.selection == "test" else "")


def _stages(row: Row) -> str:
    timing = row.timing or {}
    if timing.get("faster_seconds") is not None:
        return f"by its fastest convolution {text.significant(timing['faster_seconds'])}"
    if timing.get("search_seconds") is None:
        return ""
    words = f"search {text.significant(timing['search_seconds'])}, training {text.significant(timing['train_seconds'])}"
    source = (timing.get("sizes_from") or "").partition(":")[0]  # what follows names a file or counts steps
    return f"{words}; sizes: {source}" if source else words


def _ratios(row: Row, reference: Row | None) -> tuple[float | None, float | None]:
    """Seconds over the reference row's: as printed; and as measured on the device that both were timed on."""
    if reference is None:
        return None, None
    printed = [one.paper.get("sec") for one in (row, reference)]
    device = device_shared([row, reference])
    measured = seconds_ratio(row, reference, device) if device else None
    return printed[0] / printed[1] if printed[0] and printed[1] else None, measured.value if measured else None


def _missing(row: Row) -> str:
    """What stands where nothing was measured: a reason, or nothing but "not run"."""
    if not row.entry.system:
        return "cannot be run: " + (row.entry.note or "no code and no description that is complete")
    return "" if row.groups else row.status


def _line(row: Row, reference: Row | None) -> Line:
    params, measured = row.paper.get("params"), _measured(row)
    parameters, macs = (found.mean if found else None for found in (row.parameters, row.macs))
    ratios = _ratios(row, reference)
    timed = tuple(badges.of_timing(timing) for timing in row.timings[:1])
    return Line(
        row, _printed(row, "accuracy"), _printed(row, "top5"), measured,
        ("" if params is None else f"{params:.{1 if params >= 10 else 2}f}M", text.millions(parameters), text.millions(macs)),
        (f"{row.paper['sec']:g}" if "sec" in row.paper else "", text.significant(row.seconds), _stages(row)),
        (text.times(ratios[0]), text.times(ratios[1])), ratios, (*(found.badge for found in measured), *timed), _missing(row),
    )  # fmt: skip


def view(name: str, evidence: Evidence) -> TableView:
    """A table's cells."""
    shown, rows = evidence.plan.tables[name], rows_in(evidence, name)
    reference = next((row for row in rows if row.id == shown.reference), None)
    has_top5 = any("top5" in row.paper for row in rows)
    lines = tuple(_line(row, reference) for row in rows)
    return TableView(name, shown.title, shown.dataset, reference.name if reference else "", has_top5, lines)


def caption(table: TableView) -> str:
    """What a reader has to know to read the numbers."""
    notes = [
        f"{table.title}: the paper's numbers and the measured ones.",
        "Accuracy of the last epoch on the test set, mean ± sample standard deviation over the seeds that the badge gives.",
        "Difference to the paper, at its protocol alone, with its 95 % interval.",
        f"Ratios: seconds per epoch over those of {table.reference}, on one device; of rows timed in rounds "
        "the geometric mean of the rounds’ ratios, which is not the quotient of the medians shown."
        if table.reference
        else "",
        f"{SELECTED} The published accuracy is that of an epoch chosen on the test set, which raises it by an unknown amount."
        if any(row.entry.selection for row in table.rows)
        else "",
    ]
    return " ".join(note for note in notes if note)
