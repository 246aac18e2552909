"""The time stage: seconds per epoch of one row, measured alone on the device.

On the clock is the training part of an epoch: batches with their augmentation, forward, backward, update, everything a network does
about its kernel sizes. Not on it: starting up, loading and preparing the data set, the choices that libraries make in the first
steps, capture of a graph, evaluation, checkpoints. A segment (a stage, at the start, middle or end of it) is timed in slices of
consecutive steps after a warm-up; a slice's images per second are scaled to an epoch, which is one pass over the training images.
The median of the slices is reported with the least and the greatest.

Networks whose kernels grow are timed at the start, the middle and the end of training and averaged with 1/4, 1/2, 1/4 (the
trapezoidal rule). On a CPU, where a step with their largest kernels can take minutes, such a segment is timed with fewer images a
step, as its `batch_size` says: the work of large kernels is proportional to the images. A search is timed at the sizes it starts
with and at the learned ones, with equal weights. The paper's seconds are the mean over the epochs of both stages.

Where a network has a faster convolution besides the published one, it is timed once more with that: `faster_seconds`. Whether it
trains by the one or the other, the seconds that are compared are the published one's.

Two clocks run: on CUDA, device events and the host's clock around a synchronised slice; on a CPU, the host's clock and the
process's CPU time, which may not fall behind by more than 2%: if it does, the process was kept waiting.
"""

from collections.abc import Callable
from typing import Any

import torch

from workflow.engine.clock import affordable_batch, segment
from workflow.engine.errors import peak_memory_mb
from workflow.engine.graphs import make_step
from workflow.engine.load import ForeignLoad
from workflow.engine.optimisation import for_recipe
from workflow.engine.search import build_search, search_step
from workflow.engine.session import images, network, place_for_training, session
from workflow.engine.step import Step
from workflow.machine.gpus import foreign_processes
from workflow.protocol.runs import Run

ON_THE_CLOCK = (
    "The training part of an epoch, one pass over the training images: order and augmentation of the images, forward, backward, "
    "update, and whatever the network does about its kernel sizes. Not start-up, reading the data set, the first steps, "
    "graph capture, evaluation or checkpoints."
)
TRAPEZOID = {"start": 0.25, "middle": 0.5, "end": 0.25}


def _search_segments(run: Run, data, device: torch.device, sizes: list[int], options: dict) -> list[dict]:
    segments: list[dict] = []
    if run.search_stage.method == "random-search":  # its search trains networks of the learned count
        published, _ = _train_segments(run, data, device, {"kernel_sizes": sizes}, options)
        return [{**part, "stage": "search"} for part in published]
    model = build_search(run, data, device)
    recipe = run.search_stage.recipe
    train = images(run, data, recipe, stage="search", batch_size=recipe.batch_size, device=device).train
    step = search_step(model, train, precision=run.precision)
    for position in ("start", "end"):
        if position == "end":
            model.set_sizes(sizes)
        segments.append(segment(step, stage="search", position=position, weight=0.5, **options))
    return segments


def _train_segments(
    run: Run, data, device: torch.device, learned: dict, options: dict
) -> tuple[list[dict], list[dict]]:
    """The segments of the training stage; once more with the faster convolution, where there is one besides the published."""
    recipe = run.train.recipe
    model: Any = place_for_training(run, network(run, data, stage="train", **learned), device)

    def steps_of(batch_size: int) -> Step:
        train = images(run, data, recipe, stage="train", batch_size=batch_size, device=device).train
        optimiser = lambda captured: for_recipe(
            model, recipe, steps_per_epoch=train.steps, device=device, captured=captured
        )
        return make_step(model, optimiser, train, precision=run.precision)

    grows, backends = hasattr(model, "pretend_sizes"), getattr(model, "timed_backends", ())

    def timed() -> list[dict]:
        segments = []
        for position, weight in (TRAPEZOID if grows else {"start": 1.0}).items():
            batch_size = recipe.batch_size
            if grows:
                model.pretend_sizes(position)
            if (grows or len(backends) > 1) and device.type == "cpu":
                batch_size = affordable_batch(steps_of(1), batch_size, options["seconds"])
            segments.append(segment(steps_of(batch_size), stage="train", position=position, weight=weight, **options))
        return segments

    if len(backends) < 2:
        return timed(), []
    parts = []
    for name in backends:
        model.backend = name
        parts.append(timed())
    return parts[0], parts[1]


def _mean(segments: list[dict], stage: str) -> float | None:
    chosen = [segment for segment in segments if segment["stage"] == stage]
    total = sum(segment["weight"] for segment in chosen)
    return sum(s["weight"] * s["seconds_per_epoch"] for s in chosen) / total if chosen else None


def measure(
    run: Run,
    data,
    *,
    kernel_sizes: list[int] | None = None,
    dilations: list[int] | None = None,
    log: Callable[[str], None] = print,
    slices: int,
    slice_seconds: float,
) -> dict:
    """Seconds per epoch of a run's stages: the measured fields of a timing record. `kernel_sizes`, `dilations`: the learned
    ones, if any."""
    load = ForeignLoad()
    with session(run, "train", log=log, exclusive=True) as device:
        options = {"slices": slices, "seconds": slice_seconds, "load": load}
        segments = _search_segments(run, data, device, list(kernel_sizes or ()), options) if run.search else []
        learned = {"kernel_sizes": kernel_sizes, "dilations": dilations}
        published, faster = _train_segments(run, data, device, learned, options)
        segments += published
        foreign = foreign_processes() if device.type == "cuda" else None
        search_seconds, train_seconds = _mean(segments, "search"), _mean(segments, "train")
        search_epochs, train_epochs = run.search.epochs if run.search else 0, run.train.epochs
        total = search_epochs * (search_seconds or 0.0) + train_epochs * (train_seconds or 0.0)
        outcome = {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu", "precision": run.precision,
            "batch_size": run.train.batch_size, "threads": torch.get_num_threads(), "segments": segments,
            "search_seconds": search_seconds, "train_seconds": train_seconds,
            "faster_segments": faster, "faster_seconds": _mean(faster, "train"),
            "seconds_per_epoch": total / (search_epochs + train_epochs),
            "clocks_agree": all(segment["clocks_agree"] for segment in segments),
            "captured": all(segment["captured"] for segment in segments),
            "uncaptured_reason": next((s["uncaptured_reason"] for s in segments if s["uncaptured_reason"]), None),
            "cudnn_benchmark": torch.backends.cudnn.benchmark if device.type == "cuda" else None,
            "on_the_clock": ON_THE_CLOCK, "foreign_load": load.cores, "foreign_gpu_processes": foreign,
            "peak_memory_mb": peak_memory_mb(device),
        }  # fmt: skip
    note = "" if outcome["clocks_agree"] else ", the clocks disagree: something else ran"
    note += f", {foreign} other processes use the GPU" if foreign else ""
    log(f"{run.place}: {outcome['seconds_per_epoch']:.4g} s per epoch{note}")
    return outcome
