"""How a run ends early: out of time, out of memory, or with numbers that are no numbers."""

import contextlib
import resource
import sys
from collections.abc import Iterator

import torch

from workflow.support.errors import UserError


class OutOfTime(Exception):
    """The deadline came: a checkpoint is written and the same call goes on from it. The text names the epoch and the step."""


class NonFinite(ArithmeticError):
    """The loss became infinite or NaN. `epoch` counts from 1, `step` from 1 within the epoch."""

    def __init__(self, stage: str, epoch: int, step: int):
        super().__init__(
            f"the loss of the {stage} stage was not finite at step {step} of epoch {epoch}: lower the learning rate."
        )
        self.epoch, self.step = epoch, step


def peak_memory_mb(device: torch.device) -> float:
    """The most memory held so far, MB: the process's resident set, or on CUDA what tensors took on the device."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        text in str(error) for text in ("can't allocate memory", "out of memory", "not enough memory")
    )


@contextlib.contextmanager
def memory_errors(device: torch.device, batch_size: int, what: str) -> Iterator[None]:
    """Turn running out of memory into one sentence with the peak and what to lower."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if not _is_out_of_memory(error):
            raise
        where = "the GPU" if device.type == "cuda" else "this machine"
        peak = peak_memory_mb(device)
        raise UserError(
            f"{what} ran out of memory on {where} after a peak of {peak:,.0f} MB: lower batch_size (now {batch_size}), "
            "or run fewer jobs side by side."
        ) from error
