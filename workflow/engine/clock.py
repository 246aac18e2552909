"""Timing consecutive steps in slices, by two clocks, after a warm-up; what is on the clock is said in measure.py."""

import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from workflow.engine.graphs import WARM_STEPS, CapturedStep, make_step
from workflow.engine.load import ForeignLoad
from workflow.engine.normalisation import normalisation
from workflow.engine.optimisation import for_recipe
from workflow.engine.pixels import TrainingImages
from workflow.engine.session import place
from workflow.engine.step import Step
from workflow.protocol.datasets import DATASETS
from workflow.protocol.recipes import recipe

TOLERANCE = 0.02  # by how much the clocks may differ
LONG_STEP = 20  # a CPU step longer than so many slices is timed once


@dataclass
class Clock:
    """Both clocks of one slice, in seconds."""

    wall: float
    other: float

    def agrees(self, device: torch.device) -> bool:
        """Within 2% on CUDA; on a CPU, CPU time at least 98% of wall time (more threads use more)."""
        if device.type == "cuda":
            return abs(self.other - self.wall) <= TOLERANCE * self.wall
        return self.other >= (1 - TOLERANCE) * self.wall


class Steps:
    """Endless consecutive steps of a stage; what lies between epochs (the next epoch's plan) is a part of them."""

    def __init__(self, step: Step):
        self.step, self.images = step, step.images
        self._epoch, self._next = 0, step.images.steps

    def take(self, count: int) -> int:
        """`count` steps; the number of images in them."""
        shown = 0
        for _ in range(count):
            if self._next == self.images.steps:
                self._epoch, self._next = self._epoch + 1, 0
                self.step.begin(self._epoch)
            self.step.take(self._next)
            self._next += 1
            size = self.images.batch_size
            shown += min(size, self.images.shown - (self._next - 1) * size)
        return shown


def _timed(steps: Steps, count: int, device: torch.device) -> tuple[Clock, int]:
    """One slice: its clocks and its number of images."""
    if device.type != "cuda":
        wall, processor = time.perf_counter(), time.process_time()
        shown = steps.take(count)
        return Clock(time.perf_counter() - wall, time.process_time() - processor), shown
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    wall = time.perf_counter()
    first.record()
    shown = steps.take(count)
    last.record()
    torch.cuda.synchronize(device)
    return Clock(time.perf_counter() - wall, first.elapsed_time(last) / 1000), shown


def _warm_up(steps: Steps, seconds: float, device: torch.device) -> tuple[int, tuple[Clock, int] | None]:
    """Run untimed until the speed is the steady one: at least two steps and `seconds` of them, on CUDA beyond the capture.

    Returns how many steps fill `seconds`, at least 1; and the first step's own slice where it takes so long that its share of
    once-only work is nothing and repeating it would take minutes, else None.
    """
    least = WARM_STEPS + 3 if isinstance(steps.step, CapturedStep) else 2
    began, done, last = time.perf_counter(), 0, 0.0
    while done < least or time.perf_counter() - began < seconds:
        taken = _timed(steps, 1, device)
        last = taken[0].wall
        done += 1
        if device.type == "cpu" and last > LONG_STEP * seconds:
            return 1, taken
        if device.type == "cpu" and last > 3 * seconds:
            break
    return max(1, round(seconds / last)), None


def affordable_batch(step: Step, batch_size: int, seconds: float) -> int:
    """The largest batch up to `batch_size` whose steps stay within LONG_STEP slices, judged by one step of `step`, at least 1."""
    one = Steps(step)
    clock, shown = _timed(one, 1, step.images.device)
    return max(1, min(batch_size, int(LONG_STEP * seconds * shown / clock.wall)))


def segment(
    step: Step, *, slices: int, seconds: float, load: ForeignLoad, position: str, weight: float, stage: str
) -> dict:
    """Time one segment. Its `clocks_agree` is a majority of the slices'."""
    device, train = step.images.device, step.images
    step.model.train()
    steps = Steps(step)
    load.start()
    count, long = _warm_up(steps, seconds, device)
    if long is None:
        load.start()  # again: the warm-up is not counted
        taken = [_timed(steps, count, device) for _ in range(slices)]
    else:
        taken = [long]
    load.stop()
    epochs = sorted(clock.wall * train.count / shown for clock, shown in taken)
    median = statistics.median(epochs)
    return {
        "stage": stage, "position": position, "weight": weight, "batch_size": train.batch_size,
        "seconds_per_epoch": median, "low": epochs[0], "high": epochs[-1], "images_per_second": train.count / median,
        "slices": len(taken), "steps_per_slice": count, "steps_per_epoch": -(-train.count // train.batch_size),
        "captured": step.captured, "uncaptured_reason": step.uncaptured_reason,
        "clocks_agree": 2 * sum(clock.agrees(device) for clock, _ in taken) > len(taken),
    }  # fmt: skip


def steps(model: nn.Module, images: np.ndarray, labels: np.ndarray, *, device: torch.device, precision: str) -> Steps:
    """Endless training steps of a CIFAR network by ResNet's recipe. images: uint8 [N, 32, 32, 3]; labels: int64 [N]."""
    resnet = recipe("resnet_sgd", "cifar10")
    train = TrainingImages(
        images, labels, device=device, batch_size=resnet.batch_size, seed=0, stage="train", pad=resnet.pad, pad_mode=resnet.pad_mode,
        flip=resnet.flip, normalisation=normalisation(resnet.normalisation, DATASETS["cifar10"], images.mean(0) / 255),
    )  # fmt: skip
    model = place(model, device).train()
    optimiser = lambda captured: for_recipe(
        model, resnet, steps_per_epoch=train.steps, device=device, captured=captured
    )
    return Steps(make_step(model, optimiser, train, precision=precision))
