"""Side-by-side timing for this folder's effconv_*.py: one process, interleaved, order reversed every other round, median.

The clock is the process's CPU time with one thread, which other work on the machine does not enter.
"""

import time
from collections.abc import Callable
from statistics import median

import torch


def side_by_side(sides: dict[str, Callable[[], object]], *, rounds: int = 7, warm_up: int = 1) -> dict[str, float]:
    """Median CPU milliseconds of each side's call."""
    torch.set_num_threads(1)
    for call in sides.values():
        for _ in range(warm_up):
            call()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for round_number in range(rounds):
        order = list(sides) if round_number % 2 else list(reversed(sides))
        for name in order:
            start = time.process_time()
            sides[name]()
            times[name].append(1e3 * (time.process_time() - start))
    return {name: median(values) for name, values in times.items()}


def report(case: str, times: dict[str, float], *, over: str) -> None:
    """One line a case: each side's milliseconds, and the others' ratio to `over`."""
    cells = [f"{name} {value:9.2f} ms" for name, value in times.items()]
    ratios = [f"{name} / {over} = {value / times[over]:.2f}" for name, value in times.items() if name != over]
    print(f"{case:34s} {'  '.join(cells)}   {'  '.join(ratios)}", flush=True)
