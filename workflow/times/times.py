"""`python -m workflow times`: seconds per epoch on this machine, without a data set.

Of every row of the paper's tables and Figure 3, then of the newer methods.

Real image shapes, batch sizes and numbers of images; made-up pixels. What is timed, and how, is that of
workflow/engine/measure.py. Row after row, cheapest first, those that claims rest on before others; rows whose sizes no budget tells
(those of other searches than EffConv's) once they were searched. Each record is
written when its row is done, so that it can be stopped at any time. The same command goes on: it keeps records of this
code and this machine, and times rows again that something else disturbed. Slices are short, and few for networks whose
steps take seconds on a CPU. A host's speed drifts within the hour: rows that are soon timed are timed again when all are
done, `ROUNDS` times in all; the median of the rounds counts, with the least and the greatest slice of all of them. The
folder is laid out like results/<preset>.
"""

import fnmatch
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from workflow.jobs import STOPPED
from workflow.overview.estimates import Estimates, network, segments
from workflow.plan.catalogue import entries_of, load_tables
from workflow.plan.config import load
from workflow.plan.digests import expected_digests
from workflow.plan.make import make_plan
from workflow.plan.plan import SCHEMA, Plan
from workflow.protocol.runs import Run
from workflow.records.kernels import as_text, from_text
from workflow.records.provenance import now, provenance
from workflow.records.records import read_cached, read_timing, timing_path, write_record
from workflow.records.state import changed_digests, recorded_folders
from workflow.report.claims.claims import definitions
from workflow.report.claims.protocols import device_of, rounds_of, seconds_of
from workflow.report.claims.rules import rests_on
from workflow.support.durations import rounded
from workflow.support.errors import UserError, one_line
from workflow.support.files import write_json
from workflow.support.locks import locked
from workflow.support.nearest import advice
from workflow.times.images import made_up_images
from workflow.times.rounds import pooled
from workflow.times.sizes import KnownSizes, budget_steps, by_budget_alone, follows_from_budget, from_records

OF_THE_PAPER = ("table1", "table2", "table3", "table4", "figure3a", "figure3b")
NEWER = ("newer", "newer-stl10")
SLICES, FEW_SLICES, SLICE_SECONDS = 5, 2, 0.5
ROUNDS, SOON = 3, 40.0  # SOON: seconds up to which a row is timed in every round
FOREIGN = 0.1  # cores that others may keep busy meanwhile
SETTING_UP = 4.0  # seconds a segment: images and network made, library choices of the first steps
BUDGET_STEP = 4e-4  # seconds a layer and step of finding sizes by the budget alone; measured on one core


def times_plan(user: dict) -> Plan:
    """The plan of the first seed of every row of the tables, Figure 3 and the newer methods.

    `user`: configuration on top of config/config.yaml.

    Preset `paper` unless another is asked for; on a CPU with the projected kernel predictor unless the user names one,
    since the literal one's 290 million weights take 10 s a step there.
    """
    if user.get("preset", "auto") == "auto":
        user = {**user, "preset": "paper"}
    if user["preset"] == "smoke":
        raise UserError(
            "the smoke preset has small images and batches of its own: time rows with --preset paper or short."
        )
    tables = load_tables()
    shown = [entry for name, entry in entries_of(tables).items() if name in OF_THE_PAPER + NEWER]
    places = {
        f"{entry['dataset']}/{row if isinstance(row, str) else row['row']}" for entry in shown for row in entry["rows"]
    }
    config = load({**user, "seeds": [0], "only": sorted(places)})
    if config["device"] == "cpu" and "search_options" not in user:
        config["search_options"] = {"kernel_predictor": "projected"}
    plan = make_plan(config, tables)
    # A row may ask for more seeds of its own.
    return replace(plan, runs=tuple(run for run in plan.runs if run.seed == 0))


def chosen_runs(plan: Plan, patterns: Sequence[str]) -> list[Run]:
    """The plan's runs whose `dataset/row` matches one of the patterns. Raises UserError for a pattern that matches none."""
    places = [run.place for run in plan.runs]
    for pattern in patterns:
        if not fnmatch.filter(places, pattern):
            meant = advice(pattern, places, f"give dataset/row, as in '{places[0]}', or a pattern.")
            raise UserError(
                f"--rows '{pattern}' matches no row of Tables 1 to 4, Figure 3 or the newer methods; {meant}"
            )
    return [run for run in plan.runs if any(fnmatch.fnmatchcase(run.place, pattern) for pattern in patterns or ["*"])]


@dataclass
class Times:
    """The rows of one folder. `searched`: folders, laid out like results/<preset>, where sizes may have been learned."""

    plan: Plan
    out: Path
    searched: Sequence[Path]
    log: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self.estimates = Estimates(self.plan, self.out)
        self.device = provenance(device=self.plan.device, threads=0, started="", data={})["device"]
        rests = [
            row for claim in definitions() for basis, row in rests_on(claim, self.plan.tables) if basis == "seconds"
        ]
        self.of_the_paper = {
            place for name in OF_THE_PAPER if name in self.plan.tables for place in self.plan.tables[name].places
        }
        self.claims = {run.place: rests.count(run.place) for run in self.plan.runs}
        self.failed: list[str] = []

    def _few_slices(self, run: Run) -> bool:
        """Whether steps may take seconds: large generated kernels on a CPU."""
        return run.device == "cpu" and (network(run).grows or network(run).backends > 1)

    def estimate(self, run: Run) -> float:
        """Seconds that timing a row takes; a rough guess, mended by what the rows so far have taken."""
        from workflow.engine.clock import LONG_STEP

        step, slices = self.estimates.step_seconds(run), SLICES
        if self._few_slices(run):  # batches that fit into so many slices are chosen
            slices, step = FEW_SLICES, min(step, LONG_STEP * SLICE_SECONDS)
        once, sizes = step > LONG_STEP * SLICE_SECONDS, 0.0
        if run.search and not from_records(run, self.searched) and self.kept(run) is None:
            sizes = BUDGET_STEP * budget_steps(run) * len(network(run).layers)
        return sizes + segments(run) * (SETTING_UP + (step if once else (2 + slices) * max(step, SLICE_SECONDS)))

    def order(self, runs: Sequence[Run]) -> list[Run]:
        """Rows without a record before rows to be timed again, the paper's before others; cheap ones first, for every claim on them
        as if cheaper."""
        recorded = lambda run: timing_path(self.out, run.dataset, run.row).exists()
        newer = lambda run: run.place not in self.of_the_paper
        cost = lambda run: self.estimate(run) / (1 + self.claims[run.place])
        return sorted(runs, key=lambda run: (recorded(run), newer(run), cost(run), run.place))

    def waits(self, run: Run) -> bool:
        """Whether a row's sizes are still to be searched: by another method than EffConv, whose sizes follow from the budget alone."""
        if run.search is None or follows_from_budget(run):
            return False
        return from_records(run, self.searched) is None and self.kept(run) is None

    def lacking(self, runs: Sequence[Run], rounds: int) -> list[Run]:
        """The rows that were timed in fewer rounds than `rounds`, in their order; slow ones have one only."""
        found = []
        for run in self.order(runs):
            record = self.kept(run)
            if record is None or (rounds_of(record) < rounds and self.estimate(run) <= SOON):
                found.append(run)
        return found

    def undisturbed(self, record: dict) -> bool:
        """Whether nothing else took the machine's time."""
        return record["clocks_agree"] and (self.plan.device != "cpu" or record["foreign_load"] <= FOREIGN)

    def kept(self, run: Run) -> dict | None:
        """The record of a row if it need not be timed again: sound, of this code and machine, undisturbed, at known sizes."""
        import torch

        record = read_cached(read_timing, timing_path(self.out, run.dataset, run.row))
        if not isinstance(record, dict) or changed_digests(record, expected_digests(run, "time")):
            return None
        if device_of(record) != self.device or not self.undisturbed(record):
            return None
        if self.plan.device == "cpu" and record["threads"] != torch.get_num_threads():
            return None
        known = from_records(run, self.searched) if run.search else None
        return record if known is None or record["digests"].get("sizes") == as_text(known.kernels) else None

    def time(self, run: Run) -> dict:
        """Time a row and write its record, which is returned."""
        import torch

        from effconv.counting import count_macs, count_parameters
        from workflow import engine
        from workflow.engine.session import input_shape
        from workflow.engine.session import network as build

        started, data, earlier = now(), made_up_images(run.constants), self.kept(run)
        found = KnownSizes({}, None)
        if run.search and earlier:
            found = KnownSizes(from_text(earlier["digests"]["sizes"]), earlier["sizes_from"])
        elif run.search:
            found = from_records(run, self.searched) or by_budget_alone(run, data)
        notes: list[str] = []
        outcome = engine.measure(
            run, data, **found.kernels, log=notes.append, slice_seconds=SLICE_SECONDS,
            slices=FEW_SLICES if self._few_slices(run) else SLICES,
        )  # fmt: skip
        model = build(run, data, stage="train", **found.kernels)
        counts = {"parameters": count_parameters(model), "macs": count_macs(model, input_shape(data))}
        for note in notes[:-1]:  # the last one is the result, which is said with its spread
            self.log(f"    {note}")
        record = {
            "schema": SCHEMA, "run": run.to_json(), "status": "complete", "row": run.row, "dataset": run.dataset,
            "digests": {**expected_digests(run, "time"), "sizes": as_text(found.kernels)},
            "provenance": provenance(device=run.device, threads=torch.get_num_threads(), started=started, data={}),
            "made_up_pixels": True, "sizes_from": found.source, **counts, **outcome,
        }  # fmt: skip
        if earlier:
            record = pooled(run, earlier, record) if self.undisturbed(record) else earlier
        path = timing_path(self.out, run.dataset, run.row)
        write_record(path, record)
        path.with_suffix(".failure.json").unlink(missing_ok=True)
        return record

    def _fail(self, run: Run, error: Exception) -> None:
        reason = one_line(error)
        self.failed.append(run.place)
        path = timing_path(self.out, run.dataset, run.row).with_suffix(".failure.json")
        write_json(path, {"run": run.place, "stage": "time", "reason": reason, "epoch": None, "when": now()})
        self.log(f"FAILED {run.place}: {reason}")

    def all(self, runs: Sequence[Run], *, deadline: float | None = None) -> int:
        """Time what is not there yet, round by round, until `deadline`, a `time.monotonic()` value; the number of rows left."""
        left = 0
        for number in range(1, ROUNDS + 1):
            lacking = self.lacking(runs, number)
            if number == 1 and len(lacking) < len(runs):
                self.log(f"{len(runs) - len(lacking)} of {len(runs)} rows are timed already and kept.")
            elif number > 1 and lacking:
                self.log(f"Round {number} of {ROUNDS}: {len(lacking)} rows that are soon timed.")
            left = self._round([run for run in lacking if run.place not in self.failed], deadline)
            if left:
                break
        return left

    def _round(self, left: list[Run], deadline: float | None) -> int:
        """Time rows one after the other; the number of those that did not fit."""
        expected, spent, done = {run.id: self.estimate(run) for run in left}, 0.0, 0.0
        for number, run in enumerate(left, 1):
            pace = spent / done if done else 1.0
            if deadline is not None and time.monotonic() + pace * expected[run.id] > deadline:
                continue  # a later one may fit
            began = time.monotonic()
            try:
                record = self.time(run)
                line = _line(run, record, undisturbed=self.undisturbed(record))
            except Exception as error:  # one row must not take the others with it
                self._fail(run, error)
                line = None
            spent, done = spent + time.monotonic() - began, done + expected[run.id]
            expected.pop(run.id)
            rest = rounded(spent / done * sum(expected.values()))
            if line:
                self.log(f"{line}  [{number}/{len(left)}, took {rounded(time.monotonic() - began)}, about {rest} left]")
        return len(expected)


def _line(run: Run, record: dict, *, undisturbed: bool) -> str:
    seconds = seconds_of(run.to_json(), record)
    low, high = seconds.ends
    note = "" if undisturbed else "  DISTURBED: something else ran, it will be timed again"
    if others := record["foreign_gpu_processes"]:
        note += f"  {others} other processes use the GPU"
    sizes = f"  sizes: {record['sizes_from']}" if record["sizes_from"] else ""
    faster = f"  (faster convolution: {record['faster_seconds']:.4g} s)" if record["faster_seconds"] else ""
    return f"{run.place:42} {seconds.value:9.4g} s per epoch, {low:.4g} to {high:.4g}{faster}{sizes}{note}"


def own_folders(results: Path) -> list[Path]:
    """Folders laid out like results/<preset> with records made here."""
    return sorted(path for path in results.glob("*") if path.is_dir() and path.name not in ("recorded", "smoke"))


def searched_folders(results: Path) -> list[Path]:
    """Folders laid out like results/<preset> in which searches may lie: those here, then those kept with the code."""
    return [*own_folders(results), *recorded_folders()]


def time_rows(plan: Plan, out: Path, runs: Sequence[Run], *, minutes: float | None = None) -> int:
    """Time the rows of `runs` that `out` lacks, for so many minutes; the exit status: 0 all, 1 some failed or none can be
    timed, 75 some left."""
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    with locked(out / ".lock"):
        write_json(out / "plan.json", plan.to_json())
        times = Times(plan, out, searched_folders(out.parent), log=lambda text: print(text, flush=True))
        if waiting := [run.place for run in runs if times.waits(run)]:
            print(f"Not timed, since their sizes are to be searched first (snakemake newer): {', '.join(waiting)}.")
        runs = [run for run in runs if run.place not in waiting]
        try:
            left = times.all(runs, deadline=deadline)
        except KeyboardInterrupt:
            print("stopped; what is timed is kept, and the same command goes on.", flush=True)
            return STOPPED
    if left:
        print(f"{left} rows did not fit into {minutes:g} minutes: the same command goes on with them.")
    print(f"{len(runs) - left - len(times.failed)} rows timed in {out}, {left} left, {len(times.failed)} failed.")
    return STOPPED if left else int(bool(times.failed) or not runs)
