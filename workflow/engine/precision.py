"""Named precisions: fp32 (strict), tf32 (CUDA's tensor cores on fp32 data), bf16 (autocast; parameters and optimiser in fp32)."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch

PRECISIONS = ("fp32", "tf32", "bf16")


def check(precision: str) -> None:
    """ValueError unless `precision` is a known name."""
    if precision not in PRECISIONS:
        raise ValueError(f"key 'precision' is '{precision}', but must be one of {', '.join(PRECISIONS)}: correct it.")


def computes_bf16(device: torch.device) -> bool:
    """Whether the device has arithmetic for bfloat16. oneDNN needs AVX-512 for it and emulates it elsewhere."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return device.type != "cpu" or supported is None or bool(supported())


def advice(precision: str, device: torch.device) -> str | None:
    """A sentence where the precision is a bad choice on the device: slow, not wrong."""
    if precision != "bf16" or computes_bf16(device):
        return None
    return "bfloat16 is emulated by this processor, more than ten times slower than fp32: take precision fp32 here."


def autocast(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """What forward passes run under. The weight cache is off: it would tie a captured graph to tensors outside it."""
    if precision != "bf16":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16, cache_enabled=device.type != "cuda")


@contextlib.contextmanager
def backend(precision: str, device: torch.device, *, deterministic: bool = False) -> Iterator[None]:
    """Process-wide switches of a stage, put back at its end: TF32, and cuDNN's choice of algorithms by measurement or by rule."""
    check(precision)
    if device.type != "cuda":
        yield  # on a CPU tf32 is fp32, and every kernel used here gives the same bits for the same number of threads
        return
    cudnn: Any = torch.backends.cudnn  # has parts that its types do not know
    matmul = torch.backends.cuda.matmul
    # torch 2.9 replaced the two booleans by names and refuses a mixture of both ways.
    new = hasattr(matmul, "fp32_precision")
    places = (
        ((cudnn.conv, "fp32_precision"), (cudnn.rnn, "fp32_precision"), (matmul, "fp32_precision"))
        if new
        else ((cudnn, "allow_tf32"), (matmul, "allow_tf32"))
    )
    wanted = ("tf32" if precision == "tf32" else "ieee") if new else precision == "tf32"
    before = [getattr(place, name) for place, name in places]
    modes = cudnn.benchmark, cudnn.deterministic, torch.are_deterministic_algorithms_enabled()
    for place, name in places:
        setattr(place, name, wanted)
    if deterministic:
        os.environ.setdefault(
            "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
        )  # without it cuBLAS may not promise equal bits, and refuses
    cudnn.benchmark, cudnn.deterministic = not deterministic, deterministic
    torch.use_deterministic_algorithms(deterministic)
    try:
        yield
    finally:
        for (place, name), value in zip(places, before, strict=True):
            setattr(place, name, value)
        cudnn.benchmark, cudnn.deterministic = modes[:2]
        torch.use_deterministic_algorithms(modes[2])
