"""What the statements are computed with: weights and work counted on torch's modules, receptive fields by gradients, times.

Modules whose weights do not matter are built on the meta device, so that a network of 138 million parameters costs no memory.
"""

import statistics
import time
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from effconv import count_macs, count_parameters
from workflow.primer.effort import Effort

Made = TypeVar("Made", bound=nn.Module)


def meta(build: Callable[[], Made]) -> Made:
    """The module that `build` makes, without values."""
    with torch.device("meta"):
        return build()


def convolution(inner: int, outer: int, size: int | tuple[int, int], **options) -> nn.Conv2d:
    """A convolution without a bias, without values; `padding` is "same" unless given."""
    return meta(lambda: nn.Conv2d(inner, outer, size, bias=False, **{"padding": "same", **options}))


def weights(*modules: nn.Module) -> int:
    """Parameters of all the modules."""
    return sum(map(count_parameters, modules))


def work(module: nn.Module, channels: int, side: int) -> int:
    """Multiply-accumulates of one square image."""
    return count_macs(module, (channels, side, side))


def output_shape(module: nn.Module, channels: int, side: int) -> tuple[int, ...]:
    """Shape of the output for one square image, without the batch."""
    with torch.no_grad():
        return tuple(module(torch.zeros(1, channels, side, side, device="meta")).shape[1:])


def receptive_field(*modules: nn.Module, side: int = 31) -> int:
    """Rows of a one-channel image that a gradient reaches from the middle of the output. The modules' weights become ones, so that
    no path cancels another. ValueError where the field does not fit into the image.
    """
    network = nn.Sequential(*modules).to_empty(device="cpu").double()
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    image = torch.ones(1, 1, side, side, dtype=torch.double, requires_grad=True)
    out = network(image)
    out[0, 0, out.shape[2] // 2, out.shape[3] // 2].backward()
    assert image.grad is not None
    rows = image.grad[0, 0].abs().sum(1).nonzero()
    if rows.min() == 0 or rows.max() == side - 1:
        raise ValueError(f"the receptive field reaches the edge of an image of {side} rows: give a larger side.")
    return int(rows.max() - rows.min()) + 1


def filled(module: Made, seed: int = 0) -> Made:
    """The module with normal weights, scaled so that its outputs stay near one."""
    draw = torch.Generator().manual_seed(seed)
    module = module.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, max(1, parameter[0].numel()) ** -0.5, generator=draw)
    return module.eval()


def noise(*shape: int, seed: int = 1) -> Tensor:
    """Normal noise, the same at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def difference(a: Tensor, b: Tensor) -> float:
    """Greatest difference of two tensors as a share of the greatest value. ValueError where their shapes differ."""
    if a.shape != b.shape:
        raise ValueError(f"shapes {tuple(a.shape)} and {tuple(b.shape)} cannot be compared: make them equal.")
    return float((a - b).abs().max() / a.abs().max())


def seconds(candidates: list[Callable[[], object]], effort: Effort) -> list[float]:
    """Seconds of one call of each candidate: medians of rounds in which the candidates take turns, after one untimed call each.

    Processor time, which in one thread is wall time without the other work on the machine.
    """

    def timed(candidate: Callable[[], object], count: int) -> float:
        began = time.process_time()
        for _ in range(count):
            candidate()
        return (time.process_time() - began) / count

    with torch.no_grad():
        counts = [max(1, round(effort.seconds / max(timed(c, 1), timed(c, 1), 1e-7))) for c in candidates]
        rounds = [[timed(c, count) for c, count in zip(candidates, counts, strict=True)] for _ in range(effort.rounds)]
    return [statistics.median(taken) for taken in zip(*rounds, strict=True)]
