"""One convolution on this processor, forward and backward, in float32, bfloat16 and compiled: which of them is the fastest here?

Measured in a process of its own, which prints each form as soon as it has it and is ended after LIMIT seconds: a compiler may take
minutes, or not come back.
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch.nn import functional as F

from workflow.support.processes import die_with_parent, environment

WHAT = "64 to 64 channels, 3x3, on 64 images of 16x16, forward and backward, one core"
FORMS = {"fp32": "float32", "bf16": "bfloat16", "compiled": "compiled code"}
ROUNDS = 7
LIMIT = 120.0


def _seconds(convolve: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], *, bf16: bool = False) -> float:
    """Median seconds of one pass there and back."""
    images = torch.randn(64, 64, 16, 16).contiguous(memory_format=torch.channels_last)
    weight = torch.randn(64, 64, 3, 3, requires_grad=True)
    found = []
    for _ in range(ROUNDS + 2):
        began = time.process_time()  # other work on the machine does not count
        with torch.autocast("cpu", dtype=torch.bfloat16) if bf16 else contextlib.nullcontext():
            loss = convolve(images, weight).float().square().mean()
        loss.backward()
        found.append(time.process_time() - began)
    return statistics.median(found[2:])


def main() -> None:
    """Print {form: seconds}, a line each."""
    die_with_parent()
    torch.set_num_threads(1)
    plain = lambda images, weight: F.conv2d(images, weight, padding=1)
    print(json.dumps({"fp32": _seconds(plain)}), flush=True)
    print(json.dumps({"bf16": _seconds(plain, bf16=True)}), flush=True)
    print(json.dumps({"compiled": _seconds(torch.compile(plain))}), flush=True)


def canary(limit: float = LIMIT) -> dict[str, float | str]:
    """Form -> seconds, or why there are none."""
    process = subprocess.Popen(
        [sys.executable, "-m", "workflow.check.canary"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=environment(OMP_NUM_THREADS="1", TORCHINDUCTOR_COMPILE_THREADS="1"), start_new_session=True,
    )  # fmt: skip
    why = "cannot be run here"  # no C++ compiler, or one that torch cannot use
    try:
        printed, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # the compiler it started, too
        printed, _ = process.communicate()
        why = f"was not ready after {limit:.0f} s"
    measured: dict[str, float] = {}
    for line in printed.splitlines():
        measured |= json.loads(line)
    return {form: measured.get(form, why) for form in FORMS}


def sentences(found: dict[str, float | str]) -> list[str]:
    """What loses here."""
    lost, plain = [], found["fp32"]
    for form, title in FORMS.items():
        value = found[form]
        if isinstance(value, str):
            lost.append(f"{title} {value}: leave it off.")
        elif isinstance(plain, float) and value > plain:
            lost.append(f"{title} takes {value / plain:.1f} times as long as float32 on this processor: leave it off.")
    return lost


if __name__ == "__main__":
    main()
