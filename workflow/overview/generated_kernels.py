"""What networks whose kernels are generated, and may grow, cost in training: multiply-accumulates of one image, from shapes alone.

Their direct convolution costs what their kernels' sides say, at the start, in the middle and at the end of training as the
timing stage pretends them. Convolved through the Fourier transform, a layer costs what `baselines.fft_conv` weighs against
the direct one, in direct multiply-accumulates. Needs torch.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from baselines.fft_conv import PRODUCT_COST, TRANSFORM_COST, fast_length
from baselines.flexconv import CKConv
from baselines.growing import GeneratedKernels, GrowingKernels
from effconv import count_macs
from workflow.engine.measure import TRAPEZOID

BATCH = 64  # images that share the transform of a kernel


def _direct(layer: CKConv, side: int) -> float:
    rows, columns = layer.size
    return layer.in_channels * layer.out_channels * side**2 * rows * columns / layer.stride**2


def _through_fourier(layer: CKConv, side: int) -> float:
    cells = math.prod(fast_length(side + size // 2) for size in layer.size)
    products = 2 * cells * layer.in_channels * layer.out_channels
    signals = layer.in_channels + layer.out_channels + layer.in_channels * layer.out_channels / BATCH
    return PRODUCT_COST * products + TRANSFORM_COST * signals * cells * math.log2(cells)


def _cheaper(layer: CKConv, side: int) -> float:
    return min(_direct(layer, side), _through_fourier(layer, side))


COSTS = {"direct": _direct, "fft": _through_fourier, "auto": _cheaper}


def without_normalisation(model: nn.Module) -> nn.Module:
    """The network with its batch normalisations taken out: no shape and no count depends on them, and "meta" is slow at them."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return model


def training_macs(
    build: Callable[[], GeneratedKernels], shape: tuple[int, int, int], positions: Mapping[str, float] = TRAPEZOID
) -> tuple[int, float]:
    """By direct convolution with the kernels that the network starts with; the mean over a training with its own way to convolve.

    `build` makes the network anew; `positions`: their weights.
    """
    with torch.device("meta"):
        shapes = build()
    sides: list[int] = []
    for layer in shapes.layers():
        layer.register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))
    start = count_macs(without_normalisation(shapes), shape)
    model = build()
    pretended = {name: weight for name, weight in positions.items() if isinstance(model, GrowingKernels)} or {"": 1.0}
    total, cost = start - _sum(model, sides, _direct), COSTS[model.backend]
    for position, weight in pretended.items():
        if isinstance(model, GrowingKernels):
            model.pretend_sizes(position)
            model.decide()
        total += weight * _sum(model, sides, cost)
    return start, total


def _sum(model: GeneratedKernels, sides: Sequence[int], cost: Callable[[CKConv, int], float]) -> float:
    return sum(cost(layer, side) for layer, side in zip(model.layers(), sides, strict=True))
