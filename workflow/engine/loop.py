"""The one training loop: epochs of steps, evaluation, history, checkpoints, progress. Search and training differ in the model only.

On the clock of an epoch (`seconds`): drawing the epoch's plan, batches, forward, backward, update. Not on it: evaluation,
checkpoints, building. Checkpoints are written after an epoch, about every minute within one, and at the deadline; writing them takes
a twentieth of the time at most. A resumed stage draws the plan of its epoch again and goes on at the step where it stopped: on a CPU,
to the same bits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from workflow.engine import history
from workflow.engine.checkpoint import Checkpoints
from workflow.engine.errors import NonFinite, OutOfTime, peak_memory_mb
from workflow.engine.evaluation import Scores, evaluate
from workflow.engine.pixels import TestImages
from workflow.engine.randomness import global_state, restore_global_state
from workflow.engine.step import Step
from workflow.support.durations import spelled_out

SAVE_SECONDS = 60.0  # work between two checkpoints within an epoch, at least,
SAVE_SHARE = 20  # and in units of the time that writing one takes
CHECK_STEPS = 50  # steps between two looks at the losses on a CPU, and at the clock and the device on CUDA


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What the loop works on. `columns` gives an epoch's further history columns; `name` is search or train."""

    name: str
    step: Step
    test: TestImages
    epochs: int
    classes: int
    columns: Callable[[], dict]
    rate_scale: Callable[[list[dict]], float] | None = None  # of the next epoch, by the history rows of those before

    @property
    def model(self) -> nn.Module:
        return self.step.model


class Loop:
    """One stage of one run, from its last checkpoint to its end or its deadline (a `time.monotonic()` value)."""

    def __init__(
        self,
        stage: Stage,
        *,
        directory: Path,
        checkpoints: Checkpoints,
        log: Callable[[str], None],
        deadline: float | None,
    ):
        self.stage, self.checkpoints, self.log, self.deadline = stage, checkpoints, log, deadline
        self.path = directory / "history.jsonl"
        self.device = stage.step.images.device
        self.rows: list[dict] = []
        self.scores: Scores | None = None  # of the last epoch that this process finished
        self.sittings = 1
        self._done, self._seconds = 0, 0.0  # of the epoch that is under way
        self._gathered: dict | None = None
        self._saved = time.monotonic()
        self._rates: list[float] = []  # seconds of this process's epochs, all in
        self._queued: torch.cuda.Event | None = None  # comes when the device has done the steps before the last look

    def run(self) -> list[dict]:
        """Do the epochs that are left. Returns the history rows of the whole stage."""
        history.reset(self.path, self.stage.name, self.rows)
        while len(self.rows) < self.stage.epochs:
            self._epoch()
            late = len(self.rows) < self.stage.epochs and self._late()
            if late or self._due(0.0):
                self._save()
            if late:
                raise OutOfTime(f"after epoch {len(self.rows)} of {self.stage.epochs}")
        return self.rows

    def facts(self) -> dict:
        """How it ran, for a record."""
        step = self.stage.step
        return {
            "peak_memory_mb": peak_memory_mb(self.device), "sittings": self.sittings,
            "captured": step.captured, "uncaptured_reason": step.uncaptured_reason,
        }  # fmt: skip

    def restore(self, state: dict | None) -> None:
        """Go on from a checkpoint; None: from the start."""
        if state is None:
            return
        self.stage.model.load_state_dict(state["model"])
        self.stage.step.load_optimizer(state["optimizer"])
        restore_global_state(state["rng"], self.device)
        self.rows, self.sittings = state["history"], state["sittings"] + 1
        self._done, self._seconds = state["step"], state["seconds"]
        self._gathered = state["gathered"] if self._done else None  # else they are the finished epoch's
        where = f"step {self._done} of epoch {len(self.rows) + 1}" if self._done else f"epoch {len(self.rows) + 1}"
        self.log(f"{self.stage.name}: going on at {where} of {self.stage.epochs}")

    def _state(self) -> dict:
        step = self.stage.step
        return {
            "model": self.stage.model.state_dict(), "optimizer": step.optimizer.state_dict(), "rng": global_state(self.device),
            "history": self.rows, "sittings": self.sittings, "step": self._done, "seconds": self._seconds,
            "gathered": {"losses": step.losses, "correct": step.correct},
        }  # fmt: skip

    def _save(self) -> None:
        self.checkpoints.save(self._state())
        self._saved = time.monotonic()

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline - 1.5 * self.checkpoints.seconds

    def _due(self, least: float) -> bool:
        """Whether it is time for a checkpoint: `least` seconds after the last one, and enough to be worth writing it."""
        return time.monotonic() - self._saved >= max(least, SAVE_SHARE * self.checkpoints.seconds)

    def _keep_pace(self) -> None:
        """Wait for what the device was to do before the last look: with hundreds of steps queued, a deadline is noticed late."""
        if self._queued is not None:
            self._queued.synchronize()
        self._queued = torch.cuda.Event()
        self._queued.record()

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _epoch(self) -> None:
        """One epoch, or what is left of it."""
        stage, step, number = self.stage, self.stage.step, len(self.rows) + 1
        began = mark = time.perf_counter()
        stage.model.train()
        if stage.rate_scale:
            step.scale = stage.rate_scale(self.rows)
        step.begin(number)
        if self._gathered is not None:
            step.losses.copy_(self._gathered["losses"])
            step.correct.copy_(self._gathered["correct"])
            self._gathered = None
        steps = step.images.steps
        while self._done < steps:
            step.take(self._done)
            self._done += 1
            if self._done < steps and (self.device.type == "cpu" or self._done % CHECK_STEPS == 0):
                mark = self._between_steps(number, mark)
        self._synchronise()
        self._check(number)
        self._seconds += time.perf_counter() - mark
        row = self._finish(number)
        self._rates.append(time.perf_counter() - began)
        self._log_epoch(row)

    def _between_steps(self, number: int, mark: float) -> float:
        """Between two steps: are the losses numbers, is a checkpoint due, is the time up. Returns where the clock goes on from.

        On CUDA a look at the losses would make the host wait for the device: it is left to checkpoints and the end of the epoch.
        """
        if self.device.type == "cuda":
            self._keep_pace()
        elif self._done % CHECK_STEPS == 0:
            self._check(number)
        late = self._late()
        if not late and not self._due(SAVE_SECONDS):
            return mark
        self._synchronise()
        self._check(number)
        self._seconds += time.perf_counter() - mark
        self._save()
        if late:
            raise OutOfTime(
                f"in epoch {number} of {self.stage.epochs}, after step {self._done} of {self.stage.step.images.steps}"
            )
        return time.perf_counter()

    def _check(self, number: int) -> None:
        if wrong := self.stage.step.first_non_finite(self._done):
            raise NonFinite(self.stage.name, number, wrong)

    def _finish(self, number: int) -> dict:
        """Evaluate, and store the finished epoch."""
        stage, step = self.stage, self.stage.step
        started = time.perf_counter()
        self.scores = scores = evaluate(stage.model, stage.test, classes=stage.classes, precision=step.precision)
        row = {
            "stage": stage.name, "epoch": number, "epochs": stage.epochs, "loss": step.mean_loss(),
            "train_accuracy": 100 * int(step.correct) / step.images.shown, "accuracy": scores.accuracy, "top5": scores.top5,
            "correct": scores.correct, "cross_entropy": scores.cross_entropy,
            "seconds": self._seconds, "evaluation_seconds": time.perf_counter() - started,
            "lr": step.rates(number * step.images.steps - 1)[0], **stage.columns(),
        }  # fmt: skip
        self.rows.append(row)
        self._done, self._seconds = 0, 0.0
        history.append(self.path, row)
        return row

    def _log_epoch(self, row: dict) -> None:
        left = (self.stage.epochs - row["epoch"]) * sum(self._rates) / len(self._rates)
        self.log(
            f"{self.stage.name} epoch {row['epoch']}/{self.stage.epochs}: loss {row['loss']:.4f}, accuracy {row['accuracy']:.2f} %, "
            f"{spelled_out(row['seconds'])}, {spelled_out(left)} left"
        )
