"""Which device a job runs on, and who else may use it meanwhile: locks on GPUs, threads on CPUs. torch-free at import.

A GPU is leased through a lock file that the operating system drops with the process, however it ends: shared by jobs that train for
accuracy, exclusive for jobs that measure time. Waiting is quiet and unlimited: a lock is only ever held by a living process. Who
waits for a GPU of his own reserves the one with the fewest sharers: no job sits down there any more, so that the wait ends.
"""

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from workflow.machine import gpu_pool
from workflow.machine.gpus import cuda_names
from workflow.support.errors import UserError

POLL_SECONDS = 0.2
SEATS = 16  # shared jobs that are told apart on one GPU when the emptiest is looked for


def _cuda_count() -> int:
    """How many CUDA devices torch can use."""
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def resolve(name: str, *, count: Callable[[], int] = _cuda_count) -> str:
    """auto | cpu | cuda -> cpu | cuda. `auto` takes CUDA where it works; `cuda` raises UserError where it does not."""
    if name not in ("auto", "cpu", "cuda"):
        raise UserError(f"key 'device' is '{name}', but must be one of auto, cpu, cuda: correct it.")
    if name == "cpu":
        return "cpu"
    if count() > 0:
        return "cuda"
    if name == "auto":
        return "cpu"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    hint = (
        "check `nvidia-smi` and the driver"
        if visible is None
        else f"CUDA_VISIBLE_DEVICES is '{visible}', which may hide it"
    )
    raise UserError(f"key 'device' is 'cuda', but torch finds no CUDA device: set it to 'cpu', or {hint}.")


def visible_gpus(count: int) -> list[str]:
    """Names of the physical GPUs behind cuda:0, cuda:1, ...: what CUDA_VISIBLE_DEVICES lists, or their numbers.

    Slurm counts the devices of a job from 0 whichever it was given, and names the true ones in variables of its own.
    """
    for variable in ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES"):
        names = [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]
        if len(names) >= count > 0 and (variable == "CUDA_VISIBLE_DEVICES" or len(names) == count):
            return names[:count]
    return [str(number) for number in range(count)]


def lock_folder() -> Path:
    """Where this user's GPU locks lie: one folder a machine, so that all checkouts respect each other."""
    return Path(tempfile.gettempdir()) / f"effconv-suite-locks-{os.getuid()}"


def _make(folder: Path) -> None:
    """Make the folder of the locks. All know its name and may write beside it: what another user has put in its place is refused."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        facts = folder.lstat()
    except OSError as error:
        raise UserError(
            f"{folder} cannot be made for GPU locks ({error.strerror}): set TMPDIR to a folder of yours."
        ) from None
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid():
        raise UserError(f"{folder}, for GPU locks, is a link or another user's: set TMPDIR to a folder of yours.")


def _try(path: Path, kind: int) -> int | None:
    """A descriptor that holds a lock of `kind` on the file; None where another process stands in the way."""
    descriptor = None
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        return descriptor
    except OSError as error:
        if descriptor is not None:
            os.close(descriptor)
        if isinstance(error, BlockingIOError):
            return None
        raise UserError(f"{path} cannot be locked ({error.strerror}): set TMPDIR to a folder of yours.") from None


def _take(folder: Path, gpus: list[str], exclusive: bool) -> tuple[int, list[int]] | None:
    """(index, descriptors) of a GPU that can be had now: any free one, or for sharing the one with the fewest sharers."""
    if exclusive:
        for index, gpu in enumerate(gpus):
            if (descriptor := _try(folder / f"gpu-{gpu}.lock", fcntl.LOCK_EX)) is not None:
                return index, [descriptor]
        return None
    for seat in range(SEATS):  # the first seat of every GPU before the second of any
        for index, gpu in enumerate(gpus):
            if (sitting := _try(folder / f"gpu-{gpu}.seat{seat}", fcntl.LOCK_EX)) is None:
                continue
            if (free := _try(folder / f"gpu-{gpu}.reserved", fcntl.LOCK_SH)) is not None:
                descriptor = _try(folder / f"gpu-{gpu}.lock", fcntl.LOCK_SH)
                os.close(free)
                if descriptor is not None:
                    return index, [descriptor, sitting]
            os.close(sitting)
    return None


def _sharers(folder: Path, gpu: str) -> int:
    """How many shared leases a GPU has: its seats that are taken."""
    taken = 0
    for path in folder.glob(f"gpu-{gpu}.seat*"):
        if (descriptor := _try(path, fcntl.LOCK_EX)) is None:
            taken += 1
        else:
            os.close(descriptor)
    return taken


def _wait(folder: Path, gpus: list[str], exclusive: bool) -> tuple[int, list[int]]:
    """`_take`, as often as it needs."""
    reserved = None
    try:
        while (taken := _take(folder, gpus, exclusive)) is None:
            if exclusive and reserved is None:
                for gpu in sorted(gpus, key=lambda gpu: _sharers(folder, gpu)):
                    if (reserved := _try(folder / f"gpu-{gpu}.reserved", fcntl.LOCK_EX)) is not None:
                        break
            time.sleep(POLL_SECONDS)
    finally:
        if reserved is not None:
            os.close(reserved)
    return taken


@contextlib.contextmanager
def lease(
    device: str, *, exclusive: bool = False, count: Callable[[], int] = _cuda_count, folder: Path | None = None
) -> Iterator[str]:
    """Hold a device for the time of the block and give its torch name, `cpu` or `cuda:N`.

    device: auto | cpu | cuda. exclusive: no other lease on that GPU. Waits until one can be had. CPUs are not locked: the
    workflow's scheduler hands out their cores.
    """
    if resolve(device, count=count) == "cpu":
        yield "cpu"
        return
    gpus, folder = visible_gpus(count()), folder or lock_folder()
    _make(folder)
    index, descriptors = _wait(folder, gpus, exclusive)
    try:
        yield f"cuda:{index}"
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def pool(config: dict, cards: Callable[[], Sequence[str]] = cuda_names) -> int | None:
    """The scheduler's pool of `gpu`, for jobs that each ask for one: the visible `cards`, each for `per_gpu` jobs side by side, by
    default for as many as were found best on a card of that name (gpu_pool.py).

    None where nothing is to be limited here: on a CPU, and on a cluster, whose own scheduler knows its devices.
    """
    if config["device"] != "cuda" or config.get("cluster"):
        return None
    return len(cards()) * (config.get("per_gpu") or gpu_pool.per_gpu(cards()))


def thread_environment(threads: int, cores: int | None = None) -> dict[str, str]:
    """Variables for a process that is to use `threads` threads; they must be set before torch is imported.

    OpenMP's barriers spin by default, which is fastest alone and, with two 2-thread jobs on two cores, up to 12 times slower: a job
    that does not have the whole machine waits passively.
    """
    cores = cores or os.cpu_count() or 1
    variables = {"OMP_NUM_THREADS": str(threads)}
    if 1 < threads < cores:
        variables["OMP_WAIT_POLICY"] = "PASSIVE"
    return variables
