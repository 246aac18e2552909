"""The searches and training of one plan that are worth most and fit into so many minutes, packed on the machine at hand.

Each is a process of its own with the time that is left, and the machine is never idle, so that the last ones end as checkpoints. What
is kept under results/recorded counts as done. First comes what the central question rests on, seed by seed in the order of its
chapter, so that contrasts are balanced wherever time ends; then what is worth most an hour (priorities.py). What comes before and
after: conduct.py.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from workflow.campaign.priorities import Chooser
from workflow.jobs import STOPPED
from workflow.overview.estimates import Estimates
from workflow.plan.plan import Plan
from workflow.plan.steps import Step
from workflow.records.provenance import now, provenance
from workflow.records.state import done_steps, recorded_folders
from workflow.support.durations import rounded
from workflow.support.files import write_json
from workflow.support.processes import die_with_parent, environment

ENDING = 20.0  # seconds before the end at which processes are told to stop: a checkpoint, and imports under way
POLL_SECONDS = 0.1
CENTRAL = "central"  # the chapter of the central question


class Campaign:
    """Searches and training of one plan in one folder, until `end` (a `time.monotonic()` value).

    `share`: what a step takes of the machine; `threads`: CPU threads of each.
    """

    def __init__(
        self, plan: Plan, folder: Path, *, end: float, share: Callable[[Step], float], threads: int, lock: int
    ):
        self.plan, self.folder, self.lock = plan, folder, lock
        self.share, self.threads = share, threads
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
        try:
            self._side_by_side(self._done())
        finally:
            for process in self.running.values():
                process.kill()
                process.wait()
        write_json(self.folder / "campaign.json", self._summary())
        return self._summary()

    def _done(self) -> set[Step]:
        """What needs not be done: here, or kept with the code."""
        return done_steps(self.plan, self.folder, *recorded_folders())

    def order(self, done: set[Step]) -> list[Step]:
        """The searches and training that are left, best first: those that fit into the time, then the others."""
        chooser = Chooser(self.plan, done, lambda step: self.estimates.seconds(step)[0])
        left, before = set(chooser.left), chooser.before
        first: dict[Step, None] = {}
        places = self.plan.tables[CENTRAL].places if CENTRAL in self.plan.tables else []
        runs = [run for run in self.plan.runs if run.place in places]
        for run in sorted(runs, key=lambda run: (run.seed, places.index(run.place))):
            step = Step("train", run.id)
            first |= dict.fromkeys(one for one in (*before.get(step, ()), step) if one in left)
        fitting = chooser.all(max(0.0, self.end - time.monotonic()))
        rest = [step for choice in fitting + chooser.all() for step in choice.steps if step.stage != "time"]
        return [*first, *(step for step in rest if step not in first)]

    def datasets(self, gain: float) -> set[str]:
        """Those whose steps the time is enough for by estimate: it is not spent on loading the others.

        `gain`: how many jobs the machine does in the time of one, whatever it does side by side.
        """
        left, found = gain * (self.end - time.monotonic()), set()
        for step in self.order(self._done()):
            if left > 0:
                found.add(self.plan.by_id[step.member].dataset)
            left -= self.estimates.seconds(step)[0]
        return found

    def _start(self, step: Step, seconds: float) -> None:
        """A process for one step, with so much time. A checkpoint of an earlier campaign is continued."""
        log = self.folder / "logs" / step.stage / f"{step.member}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "workflow", step.stage, step.member, "--plan", str(self.folder / "plan.json"),
                   "--results", str(self.folder), "--threads", str(self.threads), "--minutes", f"{seconds / 60:.4f}"]  # fmt: skip
        with open(log, "ab") as file:
            self.running[step] = subprocess.Popen(
                command, env=environment(), stdout=file, stderr=file, stdin=subprocess.DEVNULL,
                pass_fds=[self.lock], preexec_fn=die_with_parent,
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

    def _wait(self, until: float) -> None:
        """Until all have ended; those that are still there after `until` are killed."""
        while self.running:
            self._collect()
            if time.monotonic() > until:
                self.cut_off |= set(self.running)
                for process in self.running.values():
                    process.kill()  # its last checkpoint is at most a minute's work old
            time.sleep(POLL_SECONDS)

    def _side_by_side(self, done: set[Step]) -> None:
        """Searches and training until the end; a training job waits for its search."""
        order, before = self.order(done), Chooser(self.plan, set(), lambda step: 1.0).before
        while order or self.running:
            self._collect()
            finished = done | {step for step, how in self.ended.items() if how == "done"}
            dropped = {step for step, how in self.ended.items() if how != "done"}
            order = [step for step in order if not dropped & set(before[step])]
            left = self.end - time.monotonic() - ENDING
            if left <= 0:
                self._wait(self.end)
                return
            room = 1 + 1e-9 - sum(map(self.share, self.running))
            ready = next((step for step in order if set(before[step]) <= finished), None)
            if ready and self.share(ready) <= room:  # else it waits for room: smaller ones would pass it by for good
                self._start(ready, left)
                order.remove(ready)
            elif not self.running:
                return  # what is left waits for something that did not come
            else:
                time.sleep(POLL_SECONDS)

    def _summary(self) -> dict:
        return {
            "started": self.started, "ended": now(), "minutes": round(self.minutes, 1), "preset": self.plan.preset,
            "threads": self.threads, "device": self.device, "running": sorted(map(str, self.running)),
            "steps": {str(step): how for step, how in sorted(self.ended.items())},
        }  # fmt: skip


def print_best(plan: Plan, results: Path, estimates: Estimates, hours: float) -> None:
    """What to do with so many hours, best first."""
    chooser = Chooser(plan, done_steps(plan, results, *recorded_folders()), lambda step: estimates.seconds(step)[0])
    choices = chooser.all(3600 * hours)
    print(f"Best value for {hours:g} h, one after the other (how it is weighed: workflow/campaign/priorities.py):")
    spent, worth = 0.0, 0.0
    claims: list[str] = []
    for choice in choices:
        spent, worth = spent + choice.seconds, worth + choice.worth
        claims += choice.claims
        completes = f"; decides {', '.join(choice.claims)}" if choice.claims else ""
        print(f"{rounded(choice.seconds):>9}  {', '.join(map(str, choice.steps))}{completes}")
    print(f"{len(choices)} choices, {rounded(spent)}: {len(claims)} claims decided, worth {worth:.1f} in all.")
