"""How fast and how large is a job of each kind, and how many of them make the most of one device?

Processes that train on made-up images of CIFAR-10's shape, with the step that accuracy runs take, captured on CUDA. All are started
and warmed up once; then 1, 2, 4, ... of them train at a time while the others wait. Processes on one GPU take turns unless CUDA's
Multi-Process Service runs; what that costs or gains is what is measured. On a CPU the clock is the process's own time, so that
other work on the machine does not make it look slow.
"""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

import baselines
from effconv import FixedShapeSearch, KernelSizeSearch, SearchOptions
from workflow.check.equality import made_up_images
from workflow.engine.clock import Steps, steps
from workflow.engine.errors import peak_memory_mb
from workflow.engine.precision import backend
from workflow.engine.process_settings import keep_freed_memory
from workflow.engine.search import search_step
from workflow.engine.session import place
from workflow.overview.estimates import step_macs
from workflow.support.errors import UserError
from workflow.support.processes import die_with_parent

IMAGES = 2048  # in 16 steps; their number does not matter to a step
CONTEXT_MB = 600.0  # of a process on a data-centre card, besides torch's
POSITION = "middle"  # of training, where kernels grow
BUDGET = 660_000  # of parameters, of a search
PATIENCE = 300.0  # seconds for a process to get ready, or to answer
START = 0.3  # seconds between the word and the beginning, which all hear in time


@dataclass(frozen=True)
class Work:
    """What a process does. `fixed` shapes of a search; `channels_last`, `benchmark`: other than the engine chooses."""

    system: str = "cifar_resnet20"
    backend: str | None = None  # how large kernels are convolved
    predictor: str = ""  # of a search
    fixed: bool = False
    channels_last: bool | None = None
    benchmark: bool = True
    precision: str = "fp32"


# The kinds of jobs that share a card, and beside them what the engine could do otherwise.
JOBS = {
    "train": Work(), "growing": Work("flexnet16", "fft"), "search": Work(predictor="projected", fixed=True),
    "literal": Work(predictor="literal"),
}  # fmt: skip
VARIANTS = {
    "train, other memory format": Work(channels_last=False), "train, tf32": Work(precision="tf32"),
    "train, bf16": Work(precision="bf16"), "search, true shapes": Work(predictor="projected"),
    "growing, direct": Work("flexnet16"), "growing, direct, cuDNN by rule": Work("flexnet16", benchmark=False),
}  # fmt: skip


def macs(work: Work) -> float:
    """Multiply-accumulates of one image's step, counted as estimates count them."""
    return step_macs(work.system, POSITION, backend=work.backend, budget=BUDGET if work.predictor else None)


def endless(work: Work, device: torch.device) -> Steps:
    """Endless steps of a kind of job; kernels that grow, as they are in the middle of training."""
    if work.predictor:
        network = baselines.build("cifar_resnet20", in_channels=3, num_classes=10, image_size=32)
        method = FixedShapeSearch if work.fixed and device.type == "cuda" else KernelSizeSearch
        search = method(
            network, input_shape=(3, 32, 32), parameters=BUDGET, seed=0, device=device,
            options=SearchOptions(kernel_predictor=work.predictor),
        )  # fmt: skip
        train = made_up_images("resnet_sgd", "cifar10", device=device, batch_size=128, count=IMAGES)
        return Steps(search_step(place(search, device).train(), train, precision=work.precision))
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
    arguments = {"backend": work.backend} if work.backend else {}
    model: Any = baselines.build(work.system, in_channels=3, num_classes=10, image_size=32, **arguments)
    if work.channels_last is not None:
        model.channels_last = work.channels_last
    if hasattr(model, "pretend_sizes"):
        model.pretend_sizes(POSITION)
    return steps(model, images, draw.integers(0, 10, IMAGES), device=device, precision=work.precision)


def memory_mb(device: torch.device) -> float:
    """What this process takes of the device: on CUDA all that torch has reserved, and the driver's own part."""
    if device.type != "cuda":
        return peak_memory_mb(device)
    return torch.cuda.max_memory_reserved(device) / 2**20 + CONTEXT_MB


def _process(work: Work, name: str, line: Connection) -> None:
    """Warm up, send the memory that it took; then train whenever told (from when, for how long), and send images per second."""
    die_with_parent()
    torch.set_num_threads(1)
    keep_freed_memory()
    device = torch.device(name)
    many, warm = (20, 30) if device.type == "cuda" else (1, 2)  # steps between two looks at the clock, and before it
    synchronise = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    try:
        with backend(work.precision, device):
            if device.type == "cuda":
                torch.cuda.set_device(device)
                torch.backends.cudnn.benchmark = work.benchmark
            training = endless(work, device)
            training.take(warm)
            synchronise()
            line.send(memory_mb(device))
            while (told := line.recv()) is not None:
                first, seconds = told
                time.sleep(max(0.0, first - time.time()))
                began, used, shown = time.perf_counter(), clock(), 0
                while time.perf_counter() - began < seconds:
                    shown += training.take(many)
                    synchronise()
                line.send(shown / (clock() - used))
    except EOFError:
        pass  # the other end is gone
    except Exception as error:
        line.send(" ".join(f"{type(error).__name__}: {error}".split())[:200])


def _answer(line: Connection) -> float:
    """What a process sends. Raises RuntimeError where it failed."""
    try:
        found = line.recv() if line.poll(PATIENCE) else f"no answer in {PATIENCE:.0f} s"
    except EOFError:
        found = "it was killed"
    if isinstance(found, str):
        raise RuntimeError(found)
    return found


def measure(work: Work, counts: Sequence[int], *, device: str, seconds: float) -> tuple[float, dict[int, float]]:
    """(MB of one process, jobs side by side -> images per second of all), as far as there is room; UserError where not for one."""
    context = multiprocessing.get_context("spawn")
    processes, lines, memory = [], [], 0.0
    try:
        for _ in range(max(counts)):
            ours, theirs = context.Pipe()
            processes.append(context.Process(target=_process, args=(work, device, theirs), daemon=True))
            processes[-1].start()
            theirs.close()  # so that the end of a process that was killed is noticed
            lines.append(ours)
        ready: list[Connection] = []
        for line in lines:
            try:
                memory = max(memory, _answer(line))
                ready.append(line)
            except RuntimeError as error:
                if not ready and line is lines[-1]:
                    raise UserError(f"a job on {device} failed ({error}): mend that first.") from None
        speeds = {}
        for count in sorted(count for count in counts if count <= len(ready)):
            first = time.time() + START
            for line in ready[:count]:
                line.send((first, seconds))
            try:
                speeds[count] = sum(_answer(line) for line in ready[:count])
            except RuntimeError:
                break
        return memory, speeds
    finally:
        for process in processes:
            process.kill()
            process.join()


def total(count: int, *, device: str, precision: str, seconds: float, log: Callable[[str], None] = print) -> float:
    """Images per second of `count` processes that train ResNet-20. UserError where there is no room for so many."""
    _, speeds = measure(Work(precision=precision), [count], device=device, seconds=seconds)
    if count not in speeds:
        raise UserError(f"{count} jobs side by side fail on {device}: measure fewer.")
    return speeds[count]
