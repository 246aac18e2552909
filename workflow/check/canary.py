"""One convolution on this processor, forward and backward, in float32, bfloat16 and compiled: which of them is the fastest here?"""

import contextlib
import statistics
import time
import warnings
from collections.abc import Callable

import torch
from torch.nn import functional as F

ROUNDS = 7


def _seconds(convolve: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], *, bf16: bool) -> float:
    """Median seconds of a forward and a backward pass of 64 to 64 channels, 3x3, on 64 images of 16x16."""
    images = torch.randn(64, 64, 16, 16).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(64, 64, 3, 3, requires_grad=True)
    found = []
    for _ in range(ROUNDS + 2):
        began = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = convolve(images, weight).float().square().mean()
        loss.backward()
        found.append(time.perf_counter() - began)
    return statistics.median(found[2:])


def canary() -> dict[str, float | None]:
    """Seconds by form; None for the compiled one where it cannot be compiled here."""
    plain = lambda images, weight: F.conv2d(images, weight, padding=1)
    found: dict[str, float | None] = {"fp32": _seconds(plain, bf16=False), "bf16": _seconds(plain, bf16=True)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found["compiled"] = _seconds(torch.compile(plain), bf16=False)
    except Exception:  # no C++ compiler here, or one that torch cannot use
        found["compiled"] = None
    return found


def sentences(found: dict[str, float | None]) -> list[str]:
    """What loses here."""
    plain = found["fp32"] or 0.0
    lost = [
        f"{title} takes {seconds / plain:.1f} times as long as float32 for a convolution on this processor: leave it off."
        for name, title in (("bf16", "bfloat16"), ("compiled", "compiled code"))
        if (seconds := found[name]) and seconds > plain
    ]
    if found["compiled"] is None:
        lost.append("nothing can be compiled here: leave key 'compile' off.")
    return lost
