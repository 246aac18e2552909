"""The bridge to EffConv: what each kernel size costs in every layer of ResNet-20, in parameters, multiply-accumulates and time.

Layers that learn their size are those of `effconv.cifar_resnet`; each is taken out and given sizes 1 to 7. Time is that of a training
step of the layer alone, forward and backward; layers of equal shape are measured once.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from effconv import SameConv2d, cifar_resnet, count_macs
from workflow.primer.effort import Effort
from workflow.primer.measuring import filled, meta, noise, seconds, weights

SIZES = range(1, 8)
SIDE = 32  # of CIFAR's images
Shape = tuple[int, int, int, int]  # channels in, channels out, stride, side of the input


def shapes() -> list[Shape]:
    """The learnable layers of ResNet-20 in forward order."""
    network, found = meta(lambda: cifar_resnet(20)), []
    for layer in network.sized_convolutions:
        layer.register_forward_hook(
            lambda m, inputs, out: found.append((m.in_channels, m.out_channels, m.stride[0], inputs[0].shape[-1]))
        )
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, SIDE, SIDE, device="meta"))
    return found


def layer_of(shape: Shape, size: int) -> SameConv2d:
    """The layer with another kernel size, without values."""
    inner, outer, stride, _ = shape
    return meta(lambda: SameConv2d(inner, outer, size, stride))


def _step(layer: nn.Module, images: torch.Tensor) -> None:
    with torch.enable_grad():
        layer(images).sum().backward()
    layer.zero_grad()
    images.grad = None


def step_times(shape: Shape, effort: Effort) -> list[float]:
    """Milliseconds of a training step of the layer at each size."""
    inner, _, _, side = shape
    images = noise(effort.batch, inner, side, side).requires_grad_()
    candidates: list[Callable[[], object]] = [partial(_step, filled(layer_of(shape, size)), images) for size in SIZES]
    return [1e3 * taken for taken in seconds(candidates, effort)]


def layer_costs(effort: Effort) -> list[dict]:
    """A line a layer and size: layer (1 to 18), shape, parameters, multiply-accumulates an image, milliseconds of a step."""
    found, times = [], {shape: step_times(shape, effort) for shape in dict.fromkeys(shapes())}
    for number, shape in enumerate(shapes(), 1):
        inner, outer, stride, side = shape
        for size, milliseconds in zip(SIZES, times[shape], strict=True):
            layer = layer_of(shape, size)
            found.append({
                "layer": number, "in_channels": inner, "out_channels": outer, "stride": stride, "side": side, "size": size,
                "parameters": weights(layer), "macs": count_macs(layer, (inner, side, side)), "milliseconds": milliseconds,
                "batch": effort.batch,
            })  # fmt: skip
    return found
