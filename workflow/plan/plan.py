"""The plan: the runs, the jobs that do them, and the tables, figures and chapters that show them. plan.json holds it as plain values.

A *row* is one line of a table (a system on a data set, perhaps with a budget), a *run* one seed of it, a *job* the runs that one
process does. Torch-free.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from workflow.protocol.runs import Run
from workflow.support.errors import UserError

SCHEMA = 2  # of plans and records


@dataclass(frozen=True, kw_only=True)
class EntryRow:
    """A row as a table, figure or chapter shows it. `paper`: the published numbers; `system` None: published numbers only."""

    row: str
    label: str
    size: str | None = None
    system: str | None = None
    learn: Mapping | None = None
    in_paper: bool = False
    paper: Mapping[str, float] = field(default_factory=dict)
    draws: bool = False  # each seed has a random draw of sizes of its own
    note: str | None = None
    selection: str | None = None

    @property
    def name(self) -> str:
        """The label, with the size where a budget tells rows of one label apart."""
        return f"{self.label} ({self.size})" if self.size else self.label


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A table, figure or chapter. What only some kinds have is empty in the others."""

    kind: str  # table | figure | chapter
    title: str
    dataset: str
    rows: tuple[EntryRow, ...]
    reference: str | None = None
    text: str = ""
    questions: tuple[Mapping, ...] = ()
    x_label: str | None = None
    x: tuple[float, ...] = ()
    paper: Mapping = field(default_factory=dict)

    @property
    def places(self) -> list[str]:
        """`dataset/row` of its rows."""
        return [f"{self.dataset}/{row.row}" for row in self.rows]

    @classmethod
    def from_json(cls, values: Mapping) -> "Entry":
        """From plain values."""
        lists = {key: tuple(values[key]) for key in ("questions", "x") if key in values}
        return cls(**{**values, **lists, "rows": tuple(EntryRow(**row) for row in values["rows"])})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a preset asks for. `why`: how it was chosen; `unavailable`: data set -> what to do where it is not here."""

    preset: str
    why: str
    banner: str
    seeds: tuple[int, ...]
    device: str
    source: str  # real | synthetic
    data: str
    prepare: Mapping[str, Mapping]  # folder -> {"dataset", "synthetic": counts of made-up images or None}
    timing: Mapping[str, float]
    time_limit: float | None
    runs: tuple[Run, ...]
    jobs: Mapping[str, Mapping[str, list[str]]]  # stage -> job -> run ids (search, train) or `dataset/row` (time)
    tables: Mapping[str, Entry]
    unavailable: Mapping[str, str] = field(default_factory=dict)
    on_demand: tuple[str, ...] = ()  # `dataset/row` of the rows that only chapters outside the plain report have
    schema: int = SCHEMA

    @cached_property
    def by_id(self) -> dict[str, Run]:
        """The runs by id."""
        return {run.id: run for run in self.runs}

    def rows_of(self, name: str) -> set[str]:
        """`dataset/row` of every row of one table, figure or chapter that the plan runs."""
        return {run.place for run in self.runs} & set(self.tables[name].places)

    @property
    def comparable(self) -> bool:
        """Whether every training follows the paper's protocol."""
        return all(run.train.protocol == "paper" for run in self.runs)

    @property
    def report_rows(self) -> set[str]:
        """`dataset/row` of every row that the plain report waits for."""
        return {run.place for run in self.runs} - set(self.on_demand)

    def to_json(self) -> dict:
        """Plain values, the same as when read back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, values: Mapping) -> "Plan":
        """From plain values. Raises UserError for a plan of another version."""
        if values.get("schema") != SCHEMA:
            raise UserError(f"the plan is not of this version (schema {SCHEMA}): make it again with `snakemake plan`.")
        try:
            return cls(**{
                **values,
                "seeds": tuple(values["seeds"]), "on_demand": tuple(values["on_demand"]),
                "runs": tuple(Run.from_json(run) for run in values["runs"]),
                "tables": {name: Entry.from_json(entry) for name, entry in values["tables"].items()},
            })  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"the plan is damaged ({error}): make it again with `snakemake plan`.") from None


def read_plan(path: Path) -> Plan:
    """The plan in a file. Raises UserError where it cannot be read."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, RecursionError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a plan ({error}): `snakemake plan` writes it again.") from None
    if not isinstance(values, dict):
        raise UserError(f"{path} is no plan: `snakemake plan` writes it again.")
    return Plan.from_json(values)
