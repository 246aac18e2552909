"""Measuring how many jobs to put on one device: total images per second of 1, 2, 3, ... training processes side by side.

Each process trains CIFARResNet-20 by its recipe on made-up images of CIFAR-10's shape, with the step that accuracy runs take, captured
on CUDA. All start their clocks together once the last is warm. Processes on one GPU take turns unless CUDA's Multi-Process Service
runs; what that costs or gains is what is measured.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError

import numpy as np
import torch

import baselines
from workflow.engine.clock import steps
from workflow.engine.precision import backend
from workflow.engine.process_settings import keep_freed_memory
from workflow.machine import gpu_pool
from workflow.machine.lease import lease
from workflow.records.provenance import now, provenance
from workflow.support.errors import UserError

IMAGES = 2048  # in 16 steps; their number does not matter to a step
PATIENCE = 180.0  # seconds for all processes to start and warm up
ROW_IMAGES = 164 * 50_000  # one seed of a CIFAR-10 row, training alone


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _job(name: str, precision: str, seconds: float, start: Barrier, line: Connection) -> None:
    """One of the processes: warm up, wait for the others, train for some seconds, send images per second."""
    torch.set_num_threads(1)
    keep_freed_memory()
    device = torch.device(name)
    many, warm = (20, 30) if device.type == "cuda" else (1, 2)  # steps between two looks at the clock, and before it
    try:
        with backend(precision, device):
            draw = np.random.default_rng(0)
            images = draw.integers(0, 256, (IMAGES, 32, 32, 3), dtype=np.uint8)
            network = baselines.build("cifar_resnet20", in_channels=3, num_classes=10, image_size=32)
            endless = steps(network, images, draw.integers(0, 10, IMAGES), device=device, precision=precision)
            endless.take(warm)
            _synchronise(device)
            start.wait(PATIENCE)
            began, shown = time.perf_counter(), 0
            while time.perf_counter() - began < seconds:
                shown += endless.take(many)
                _synchronise(device)
            line.send(shown / (time.perf_counter() - began))
    except BrokenBarrierError:
        line.send(None)  # another one failed
    except Exception as error:
        start.abort()
        line.send(" ".join(f"{type(error).__name__}: {error}".split())[:200])


def total(count: int, *, device: str, precision: str, seconds: float) -> float:
    """Images per second of `count` processes in all. UserError where one of them fails."""
    context = multiprocessing.get_context("spawn")
    start, lines, processes = context.Barrier(count), [], []
    for _ in range(count):
        ours, theirs = context.Pipe(duplex=False)
        processes.append(context.Process(target=_job, args=(device, precision, seconds, start, theirs), daemon=True))
        processes[-1].start()
        theirs.close()  # so that the end of a process that was killed is noticed
        lines.append(ours)
    found: list[float | str | None] = []
    try:
        for line in lines:
            try:
                found.append(line.recv())
            except EOFError:
                start.abort()
                found.append("killed")
    finally:
        for process in processes:
            process.kill()
            process.join()
    if reasons := [answer for answer in found if isinstance(answer, str)]:
        raise UserError(
            f"{count} jobs side by side failed on {device} ({reasons[0]}): measure fewer with --side-by-side."
        )
    return sum(answer for answer in found if isinstance(answer, float))


def speeds(
    counts: Iterable[int], *, device: str, precision: str, seconds: float, log: Callable[[str], None] = print
) -> dict[int, float]:
    """Jobs side by side -> images per second in all. Ends at the first number that fails, unless that is the first of all."""
    found: dict[int, float] = {}
    for count in sorted(counts):
        try:
            found[count] = total(count, device=device, precision=precision, seconds=seconds)
        except UserError as error:
            if not found:
                raise
            log(str(error))
            break
        rate = 3600 * found[count] / ROW_IMAGES
        log(f"{count:3} side by side: {found[count]:10,.0f} images/s in all, {rate:8.2f} CIFAR-10 rows an hour")
    return found


def measure(config: dict, counts: Iterable[int], seconds: float, *, log: Callable[[str], None] = print) -> int:
    """Find the best of `counts` on a GPU that nothing else uses meanwhile, and keep it for all cards of that name. Returns it."""
    if config["device"] != "cuda":
        raise UserError(
            "packing measures a GPU, and none is to be used here: set key 'device' to 'cuda', or check `nvidia-smi`."
        )
    if not (counts := set(counts)) or not counts <= set(range(1, gpu_pool.MOST + 1)):
        raise UserError(f"--side-by-side takes numbers of jobs from 1 to {gpu_pool.MOST}: correct it.")
    started = now()
    with lease("cuda", exclusive=True) as device:
        card = torch.cuda.get_device_name(device)
        log(f"Measuring how many jobs make the most of {card}")
        found = speeds(counts, device=device, precision=config["precision"], seconds=seconds, log=log)
    chosen, alone = gpu_pool.best(found), found.get(1)
    gain = found[chosen] / alone if alone else None
    gpu_pool.keep(card, {
        "side_by_side": chosen, "gain": gain, "images_per_second": {str(count): speed for count, speed in found.items()},
        "precision": config["precision"], "what": "CIFARResNet-20, batch 128, made-up images", "seconds": seconds,
        "provenance": provenance(device="cuda", threads=1, started=started, data={}),
    })  # fmt: skip
    times = f", {gain:.2f} times as many images as one" if gain else ""
    log(f"{chosen} side by side{times}: the default for {card} from now on, in {gpu_pool.HERE}")
    return chosen
