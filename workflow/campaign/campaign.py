"""`python -m workflow campaign`: the most valuable unfinished steps that fit into so many minutes, packed on the machine at hand.

Without Snakemake, and with no more than torch, NumPy and a YAML reader. Everything lies in one folder, laid out like results/<preset>/
with the data sets' manifests beside it, ready to be copied: records, checkpoints, markers. The same command goes on in it.

Three phases. Alone on the machine: seconds per epoch of rows that need no learned sizes. Side by side: searches and training, each
a process of its own with the time that is left, best value first and never idle, so that the last ones end as checkpoints. Alone
again, in time kept back for it: seconds per epoch of rows whose sizes have been learned. How value is weighed: priorities.py.
"""

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from workflow.campaign.priorities import Chooser
from workflow.jobs import STOPPED
from workflow.machine import gpu_pool
from workflow.machine.gpus import cuda_names
from workflow.machine.lease import pool
from workflow.overview.estimates import Estimates
from workflow.plan.plan import Plan
from workflow.plan.steps import Step
from workflow.records.provenance import now, provenance
from workflow.records.records import BadRecord, read_search, run_folder
from workflow.records.state import done_steps
from workflow.support.durations import rounded
from workflow.support.errors import UserError
from workflow.support.files import ROOT, write_json

ENDING = 20.0  # seconds before the end at which processes are told to stop: a checkpoint, and imports under way
POLL_SECONDS = 0.1
WORTH_MEASURING = 20  # minutes of a campaign from which it pays to measure how many jobs to put on a GPU


@contextlib.contextmanager
def only_here(folder: Path) -> Iterator[int]:
    """Hold the folder against a second campaign; the descriptor is passed on, so that orphans of a killed one hold it too."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".campaign.lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another campaign works in {folder}: wait for its end, or choose another --out.") from None
        yield file.fileno()


def slots(config: dict, folder: Path, *, threads: int, minutes: float) -> int:
    """Jobs side by side where the user gives no number: as many as the cores allow, or on GPUs as many as were found best there.

    Where that is not known and the campaign is long enough, two minutes of it are spent on measuring it. What is known of the cards
    is laid into the campaign's folder, to be filed with the results.
    """
    if config["device"] != "cuda":
        return max(1, (os.cpu_count() or 1) // threads)
    cards = cuda_names()
    if minutes >= WORTH_MEASURING and "per_gpu" not in config and not set(cards) <= gpu_pool.known().keys():
        from workflow.campaign.measure_packing import measure

        measure(config, gpu_pool.COUNTS, seconds=5.0)
    for card, found in gpu_pool.known().items():
        if card in cards:
            gpu_pool.keep(card, found, folder / gpu_pool.HERE.name)
    return pool(config, lambda: cards)


def _die_with_parent() -> None:
    """Before exec in a child: SIGKILL when the campaign ends, however it ends (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def prepare_data(plan: Plan, folder: Path) -> Plan:
    """Prepare the plan's data sets and lay their manifests into the folder.

    Returns the plan, with the data sets that could not be had among its `unavailable`.
    """
    from workflow.data import prepare

    absent = dict(plan.unavailable)
    for out, entry in plan.prepare.items():
        dataset, made_up = entry["dataset"], entry["synthetic"]
        if dataset in absent:
            continue
        source = "synthetic" if made_up else "auto"
        try:
            manifest = prepare(dataset, source=source, folder=Path(plan.data), out=Path(out), synthetic=made_up)
        except UserError as error:
            absent[dataset] = str(error)
            print(f"The rows of {dataset} have to wait: {error}", flush=True)
        else:
            write_json(folder / "data" / Path(out).name / "manifest.json", manifest)
    return replace(plan, unavailable=absent)


class Campaign:
    """One campaign in one folder, until `end` (a `time.monotonic()` value).

    `side_by_side`: searches and training jobs at a time; `threads`: CPU threads of each.
    """

    def __init__(self, plan: Plan, folder: Path, *, end: float, side_by_side: int, threads: int, lock: int):
        self.plan, self.folder, self.lock = plan, folder, lock
        self.slots, self.threads = side_by_side, threads
        self.device = provenance(device=plan.device, threads=threads, started="", data={})["device"]
        self.started, self.end = now(), end
        self.minutes = (end - time.monotonic()) / 60
        self.estimates = Estimates(plan, folder)
        self.running: dict[Step, subprocess.Popen] = {}
        self.ended: dict[Step, str] = {}
        self.cut_off: set[Step] = set()  # killed at the end, with their last checkpoints

    def run(self) -> dict:
        """Do it all; the summary that campaign.json holds."""
        write_json(self.folder / "plan.json", self.plan.to_json())
        done = done_steps(self.plan, self.folder)
        try:
            sizes_needed = {run.place for run in self.plan.runs if run.search}
            self._alone([step for step in self._order(done, "time") if step.member not in sizes_needed], self.end)
            kept_back = self._kept_back(done, sizes_needed)
            self._side_by_side(done, self.end - kept_back)
            done = done_steps(self.plan, self.folder)
            self._alone([step for step in self._order(done, "time") if self._has_sizes(step)], self.end)
        finally:
            for process in self.running.values():
                process.kill()
                process.wait()
        return self._summary()

    def _chooser(self, done: set[Step]) -> Chooser:
        return Chooser(self.plan, done, lambda step: self.estimates.seconds(step)[0])

    def _order(self, done: set[Step], *stages: str) -> list[Step]:
        """The steps of some stages that are left, best first: those that fit into the time, then the others."""
        chooser, left = self._chooser(done), self.slots * max(0.0, self.end - time.monotonic())
        found = [step for choice in chooser.all(left) + chooser.all() for step in choice.steps]
        return [step for step in found if step.stage in stages and step not in self.ended]

    def _has_sizes(self, step: Step) -> bool:
        """Whether the sizes that a row is timed at have been learned."""
        run = self.estimates.first[step.member]
        try:
            return not run.search or bool(read_search(run_folder(self.folder, run.id) / "search.json"))
        except BadRecord:
            return False

    def _kept_back(self, done: set[Step], rows: set[str]) -> float:
        """Seconds for timing rows at learned sizes, at most a quarter of what is left: of those whose search is likely to be done."""
        left, needed = self.end - time.monotonic(), 0.0
        chosen = {step for choice in self._chooser(done).all(self.slots * left) for step in choice.steps}
        for step in chosen:
            if step.stage == "time" and step.member in rows:
                needed += self.estimates.seconds(step)[0]
        return min(needed, left / 4)

    def _start(self, step: Step, seconds: float) -> None:
        """A process for one step, with so much time. A checkpoint of an earlier campaign is continued."""
        log = self.folder / "logs" / step.stage / f"{step.member}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        threads = os.cpu_count() if step.stage == "time" else self.threads
        command = [sys.executable, "-m", "workflow", step.stage, step.member, "--plan", str(self.folder / "plan.json"),
                   "--results", str(self.folder), "--threads", str(threads), "--minutes", f"{seconds / 60:.4f}"]  # fmt: skip
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        with open(log, "ab") as file:
            self.running[step] = subprocess.Popen(
                command, env=environment, stdout=file, stderr=file, stdin=subprocess.DEVNULL,
                pass_fds=[self.lock], preexec_fn=_die_with_parent,
            )  # fmt: skip
        self._note(f"started {step}")

    def _collect(self) -> None:
        """Take note of processes that have ended."""
        for step, process in list(self.running.items()):
            if (status := process.poll()) is not None:
                del self.running[step]
                cut_off = "out of time" if step in self.cut_off else f"failed ({status})"
                self.ended[step] = {0: "done", STOPPED: "out of time"}.get(status, cut_off)
                self._note(f"{self.ended[step]}: {step}")

    def _note(self, text: str) -> None:
        print(f"[{max(0.0, self.end - time.monotonic()) / 60:6.1f} min left] {text}", flush=True)
        write_json(self.folder / "campaign.json", self._summary())

    def _wait(self, most: int, until: float) -> None:
        """Until at most so many processes run; those that are still there some time after `until` are killed."""
        while self.running:
            self._collect()
            if len(self.running) <= most:
                return
            if time.monotonic() > until:
                self.cut_off |= set(self.running)
                for process in self.running.values():
                    process.kill()  # its last checkpoint is at most a minute's work old
            time.sleep(POLL_SECONDS)

    def _alone(self, order: list[Step], end: float) -> None:
        """One after the other, nothing beside them; only those that fit."""
        for step in order:
            left = end - time.monotonic() - ENDING
            if self.estimates.seconds(step)[0] <= left:
                self._start(step, left)
                self._wait(0, end)

    def _side_by_side(self, done: set[Step], end: float) -> None:
        """Searches and training until the end; a training job waits for its search."""
        order = self._order(done, "search", "train")
        before = self._chooser(set()).before
        while order or self.running:
            self._collect()
            finished = done | {step for step, how in self.ended.items() if how == "done"}
            dropped = {step for step, how in self.ended.items() if how != "done"}
            order = [step for step in order if not dropped & set(before[step])]
            ready = [step for step in order if set(before[step]) <= finished]
            left = end - time.monotonic() - ENDING
            if left <= 0:
                self._wait(0, end)
                return
            if ready and len(self.running) < self.slots:
                self._start(ready[0], left)
                order.remove(ready[0])
            elif not self.running:
                return  # what is left waits for something that did not come
            time.sleep(POLL_SECONDS)

    def _summary(self) -> dict:
        return {
            "started": self.started, "ended": now(), "minutes": round(self.minutes, 1), "preset": self.plan.preset,
            "side_by_side": self.slots, "threads": self.threads,
            "steps": {str(step): how for step, how in sorted(self.ended.items())},
            "running": sorted(map(str, self.running)),
            "device": self.device,
        }  # fmt: skip


def print_best(plan: Plan, results: Path, estimates: Estimates, hours: float) -> None:
    """What to do with so many hours, best first."""
    chooser = Chooser(plan, done_steps(plan, results), lambda step: estimates.seconds(step)[0])
    choices = chooser.all(3600 * hours)
    print(f"Best value for {hours:g} h, one after the other (how it is weighed: workflow/campaign/priorities.py):")
    spent, worth, claims = 0.0, 0.0, []
    for choice in choices:
        spent, worth = spent + choice.seconds, worth + choice.worth
        claims += choice.claims
        completes = f"; decides {', '.join(choice.claims)}" if choice.claims else ""
        print(f"{rounded(choice.seconds):>9}  {', '.join(map(str, choice.steps))}{completes}")
    print(f"{len(choices)} choices, {rounded(spent)}: {len(claims)} claims decided, worth {worth:.1f} in all.")
