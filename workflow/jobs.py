"""A job: the runs of one stage that one process does, one after the other.

What Snakemake sees of a job is its stamp, `jobs/<stage>/<job>.json`, written at the end. The runs' own records and checkpoints are
not declared to it, because Snakemake deletes declared files before a job starts and after it fails. In their place a marker,
`<job>.running`, is laid beside the stamp at the start and taken away at the end:

* marker there: an earlier process was killed, stopped or had a failure; records that are current are kept, checkpoints continued;
* no marker: the job starts for the first time, or Snakemake starts it again, for whatever reason. Records that are current are kept,
  unless the user forced the job (`-R`, `-F`, `-f`), which the Snakefile hands on by name: then what it left is cleared first.

A failed run leaves failure.json with one sentence and does not stop the others. A failed search leaves its stamp all the same: the
train job of the same runs finds no sizes, tries the search again, and fails with the reason. The search's own exit status is 1; the
rule asks for 0 (`--forgiving`), since Snakemake would leave out the training of every row of the job.

When a scheduler starts a job again (`attempt` 2 and on), runs that were cut off are continued, and those that failed are not tried
again.
"""

import json
import time
import traceback
from collections.abc import Callable, Collection
from pathlib import Path

from workflow.plan.catalogue import check_name
from workflow.plan.digests import expected_digests
from workflow.plan.names import check_path
from workflow.plan.plan import Plan
from workflow.plan.row_sizes import from_search
from workflow.protocol.runs import Run
from workflow.records.history import read_history
from workflow.records.kernels import Kernels, as_text, kernels_of
from workflow.records.provenance import now, provenance
from workflow.records.records import (
    SCHEMA,
    BadRecord,
    read_failure,
    read_result,
    read_search,
    read_timing,
    run_folder,
    timing_path,
    write_record,
)
from workflow.records.state import read_if_current, recorded_folders
from workflow.support.errors import UserError, one_line
from workflow.support.files import write_bytes, write_json, write_text

Log = Callable[[str], None]
AGAIN = "EFFCONV_AGAIN"  # environment: the rules and files that the user told Snakemake to do again
STOPPED = 75  # exit status of a job that ran out of its time with checkpoints written (EX_TEMPFAIL)


class Job:
    """One job of one stage; `results` is results/<preset>, `limit` seconds after which it stops cleanly (None: never).

    `forced`: stages, or stamps of jobs, that are to be done again although they are done.
    """

    def __init__(
        self,
        stage: str,
        name: str,
        plan: Plan,
        results: Path,
        *,
        limit: float | None = None,
        attempt: int = 1,
        forced: Collection[str] = (),
        log: Log = print,
    ):
        check_name(f"{stage} job", name, plan.jobs[stage], "the plan")
        self.stage, self.name, self.results, self.log = stage, name, results, log
        self.members = plan.jobs[stage][name]
        self.plan = plan
        self.stamp = results / "jobs" / stage / f"{check_path(name)}.json"
        self.marker = self.stamp.with_suffix(".running")
        self.forced = not {stage, str(self.stamp)}.isdisjoint(forced)
        self.deadline = None if limit is None else time.monotonic() + limit
        self.attempt = attempt
        self.failures: dict[str, str] = {}

    def execute(self) -> int:
        """Do the job; the process's exit status: 0 done, 1 a run failed, 75 out of time."""
        from workflow.engine import OutOfTime

        if self.forced and not self.marker.exists():
            self._clear()
        write_json(self.marker, {"started": now()})
        if self.attempt == 1:
            for member in self.members:
                self._failure(member).unlink(missing_ok=True)
        done: dict[str, str] = {}
        for position, member in enumerate(self.members, 1):
            self.log(f"[{self.stage} {position}/{len(self.members)}] {member}")
            if failure := read_failure(self._failure(member)):
                self.failures[member] = failure["reason"]
                self.log(f"failed in an earlier attempt: {failure['reason']}")
                continue
            try:
                record = self._one(member)
            except OutOfTime as stop:
                self.log(f"stopped at its time limit: {stop}; run the same command again to continue.")
                return STOPPED
            except Exception as error:  # whatever goes wrong in one run must not take the others with it
                self._fail(member, error)
            else:
                done[member] = record
        if not self.failures or self.stage == "search":
            write_json(self.stamp, {"stage": self.stage, "done": done, "failed": self.failures})
            self.marker.unlink(missing_ok=True)  # a second pipeline here may have ended it first
        return int(bool(self.failures))

    def _clear(self) -> None:
        """Forget what an earlier, finished job of this name left."""
        for member in self.members:
            if self.stage == "time":
                timing_path(self.results, *member.split("/")).unlink(missing_ok=True)
                continue
            folder = run_folder(self.results, member)
            names = ("search.json",) if self.stage == "search" else ("result.json",)
            for path in (*(folder / name for name in names), *folder.glob(f"{self.stage}*.pt")):
                path.unlink(missing_ok=True)

    def _failure(self, member: str) -> Path:
        if self.stage == "time":
            return timing_path(self.results, *member.split("/")).with_suffix(".failure.json")
        return run_folder(self.results, member) / "failure.json"

    def _fail(self, member: str, error: Exception) -> None:
        expected = isinstance(error, (UserError, BadRecord, ValueError, ArithmeticError, OSError))
        reason = one_line(error)
        if not expected:
            self.log("".join(traceback.format_exception(error)))
            reason = f"{type(error).__name__}: {reason} (the log has the whole trace)"
        self.failures[member] = reason
        self.log(f"FAILED {member}: {reason}")
        record = {
            "run": member,
            "stage": self.stage,
            "reason": reason,
            "epoch": getattr(error, "epoch", None),
            "when": now(),
        }
        write_json(self._failure(member), record)

    def _one(self, member: str) -> str:
        """Do one member; what the stamp says of it."""
        if self.stage == "time":
            return self._time(member)
        from workflow.support.locks import locked

        run = self.plan.by_id[member]
        with locked(
            run_folder(self.results, member) / ".lock"
        ):  # a second pipeline in this folder waits, and finds it done
            return self._learn(run)

    def _learn(self, run: Run) -> str:
        """The search or the training of a run; the same."""
        if self.stage == "search":
            return as_text(kernels_of(self._search(run)))
        return f"{self._train(run)['accuracy']:.2f} %"

    def _data(self, run: Run) -> tuple[object, dict]:
        """The prepared data set and the checksums that a record keeps of it."""
        from workflow.data import load

        data = load(Path(run.data))
        return data, {split: data.manifest["splits"][split]["sha256_images"] for split in ("train", "test")}

    def _record(self, run: Run, stage: str, started: str, checksums: dict, digests: dict, outcome: dict) -> dict:
        import torch

        source = provenance(device=run.device, threads=torch.get_num_threads(), started=started, data=checksums)
        return {
            "schema": SCHEMA,
            "run": run.to_json(),
            "status": "complete",
            "digests": digests,
            "provenance": source,
            **outcome,
        }

    def _search(self, run: Run) -> dict:
        """The sizes of a run: its record where that is current, else learned now."""
        from workflow import engine

        folder, expected = run_folder(self.results, run.id), expected_digests(run, "search")
        data, checksums = self._data(run)
        expected = {**expected, "data": checksums["train"][:12]}
        if record := read_if_current(read_search, folder / "search.json", expected):
            return record
        if found := self._search_done_elsewhere(run, expected):
            record, epochs = found
            write_text(folder / "history.jsonl", "".join(json.dumps(epoch) + "\n" for epoch in epochs))
            write_record(folder / "search.json", record)
            return record
        started = now()
        write_json(folder / "run.json", run.to_json())
        outcome = engine.search(run, data, folder, digest=_joint(expected), log=self.log, deadline=self.deadline)
        record = self._record(run, "search", started, checksums, expected, outcome)
        write_record(folder / "search.json", record)
        return record

    def _search_done_elsewhere(self, run: Run, expected: dict[str, str]) -> tuple[dict, list[dict]] | None:
        """The same search (description, code and data), record and epochs, of another preset or kept with the code."""
        for folder in (*sorted(self.results.parent.glob("*")), *recorded_folders()):
            path = run_folder(folder, run.id) / "search.json"
            if folder != self.results and (record := read_if_current(read_search, path, expected)):
                self.log(f"the search was done before: its sizes are taken from {path}")
                epochs = [epoch for epoch in read_history(path.parent) if epoch["stage"] == "search"]
                return {**record, "taken_from": f"{folder.name}/{run.id}"}, epochs
        return None

    def _train(self, run: Run) -> dict:
        from workflow import engine

        folder, expected = run_folder(self.results, run.id), expected_digests(run, "train")
        data, checksums = self._data(run)
        kernels = kernels_of(self._search(run)) if run.search else self._ruled(run)
        expected = {**expected, "data": checksums["train"][:12], "sizes": as_text(kernels)}
        if record := read_if_current(read_result, folder / "result.json", expected):
            self.log("kept: an earlier process finished it.")
            return record
        started = now()
        write_json(folder / "run.json", run.to_json())
        if (record := self._trained_by_another(run, expected)) is None:
            outcome = engine.train(
                run, data, folder, **kernels, digest=_joint(expected), log=self.log, deadline=self.deadline
            )
            record = self._record(run, "train", started, checksums, expected, outcome)
        write_record(folder / "result.json", record)
        return record

    def _trained_by_another(self, run: Run, expected: dict[str, str]) -> dict | None:
        """The result of another run of this folder that trained the same network, with the same sizes: trained once more it would
        come out the same. Its epochs, predictions and kernels come along. None where there is none, or the user forced the job."""
        depends, folder = run.training, run_folder(self.results, run.id)
        for other in () if self.forced else self.plan.runs:
            if other.id == run.id or other.training != depends:
                continue
            source = run_folder(self.results, other.id)
            theirs = {**expected, "run": expected_digests(other, "train")["run"]}
            if record := read_if_current(read_result, source / "result.json", theirs):
                self.log(f"{other.id} trained the same network: its result is taken.")
                self._copy_training(source, folder)
                taken_from = record.get("taken_from", other.id)
                return {**record, "run": run.to_json(), "digests": expected, "taken_from": taken_from}
        return None

    def _copy_training(self, source: Path, folder: Path) -> None:
        """What a training leaves beside its result, in place of what this run's own had come to."""
        epochs = [epoch for epoch in read_history(folder) if epoch["stage"] == "search"]
        epochs += [epoch for epoch in read_history(source) if epoch["stage"] == "train"]
        write_text(folder / "history.jsonl", "".join(json.dumps(epoch) + "\n" for epoch in epochs))
        for name in ("predictions.npz", "kernels.npz"):
            if (source / name).exists():
                write_bytes(folder / name, (source / name).read_bytes())
        for checkpoint in folder.glob("train*.pt"):
            checkpoint.unlink()

    def _ruled(self, run: Run) -> Kernels:
        """The sizes of a run whose rule starts from another run's search; nothing for a network with sizes of its own."""
        if run.sizes is None:
            return {}
        from workflow.support.locks import locked

        other = self.plan.by_id[run.sizes.run]
        with locked(run_folder(self.results, other.id) / ".lock"):
            return {"kernel_sizes": from_search(run, run.sizes, self._search(other)["sizes"])}

    def _learned(self, run: Run, checksums: dict) -> Kernels:
        """What a run's search found, which was done before. Raises UserError where there is none of this code and data."""
        expected = {**expected_digests(run, "search"), "data": checksums["train"][:12]}
        search = read_if_current(read_search, run_folder(self.results, run.id) / "search.json", expected)
        if search is None:
            raise UserError(f"{run.id} has no current search: train it first.")
        return kernels_of(search)

    def _time(self, row: str) -> str:
        """Seconds per epoch of a row, at the sizes of its first seed."""
        from workflow import engine

        run = next(run for run in self.plan.runs if run.place == row)
        path, expected = timing_path(self.results, run.dataset, run.row), expected_digests(run, "time")
        data, checksums = self._data(run)
        kernels = self._learned(run, checksums) if run.search else self._ruled(run)
        expected = {**expected, "sizes": as_text(kernels)}
        record = read_if_current(read_timing, path, expected)
        if record is None:
            started = now()
            outcome = engine.measure(
                run,
                data,
                **kernels,
                log=self.log,
                slices=int(self.plan.timing["slices"]),
                slice_seconds=self.plan.timing["slice_seconds"],
            )
            record = self._record(run, "time", started, checksums, expected, outcome)
            write_record(path, {**record, "row": run.row, "dataset": run.dataset})
        return f"{record['seconds_per_epoch']:.3g} s per epoch"


def _joint(digests: dict[str, str]) -> str:
    """One text for a checkpoint to carry: a checkpoint of other code, data or settings is refused."""
    return json.dumps(digests, sort_keys=True)
