"""Start-up: keep torch from importing its compiler, 3 s a process, for an optimiser that never compiles anything.

Methods of torch's optimisers and of its operation counter are wrapped so that the compiler skips them; the wrapper imports the
compiler at the first call and keeps what it made on the method. Nothing here compiles, so the method itself is put in that place.
Where torch is built differently, or the compiler is there already, nothing changes but the time.
"""

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


def update_of(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """The optimizer's step without its wrappers, which are for the compiler, the profiler and hooks; call it under no_grad."""
    step = inspect.unwrap(type(optimizer).step)
    return lambda: step(optimizer)
