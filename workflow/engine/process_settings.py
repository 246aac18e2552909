"""Start-up: two settings of a process that change how long it takes and nothing that it computes.

torch's compiler is not imported, which takes 3 s, for an optimiser that never compiles anything. Methods of torch's optimisers and of
its operation counter are wrapped so that the compiler skips them; the wrapper imports the compiler at the first call and keeps what
it made on the method. Nothing here compiles, so the method itself is put in that place. Where torch is built differently, or the
compiler is there already, nothing changes.

Freed memory stays with the process. A training step frees and takes the same large blocks again and again; by default glibc gives
them back to the system in between, and taking them anew costs a tenth of an fp32 step on a CPU in page faults.
"""

import ctypes
import inspect
import sys
from collections.abc import Callable

import torch
from torch.utils import flop_counter

KEPT = "__dynamo_disable"  # where the wrapper keeps its result


def leave_the_compiler_out() -> None:
    """Spare this process the import; without effect on what is computed."""
    if "torch._dynamo" in sys.modules:
        return
    counter = getattr(flop_counter, "_FlopCounterMode", flop_counter.FlopCounterMode)
    for kind in (torch.optim.Optimizer, counter):
        for method in vars(kind).values():
            inner = getattr(getattr(method, "__func__", method), "__wrapped__", None)
            if inner is not None:
                setattr(inner, KEPT, inner)


def keep_freed_memory() -> None:
    """Let glibc reuse blocks of up to 32 MB and keep up to 2 GB of freed memory; no effect with another C library."""
    try:
        set_option = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    trim_threshold, mmap_threshold = -1, -3  # names of mallopt's options in malloc.h
    set_option(mmap_threshold, 32 * 2**20)
    set_option(trim_threshold, 2**31 - 1)


def update_of(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """The optimizer's step without its wrappers, which are for the compiler, the profiler and hooks; call it under no_grad."""
    step = inspect.unwrap(type(optimizer).step)
    return lambda: step(optimizer)
