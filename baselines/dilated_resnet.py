"""CIFAR ResNet-20 whose blocks' kernels have spaces between their weights: what a search over sizes and dilations finds is trained as.

A kernel of size s and dilation d covers d (s - 1) + 1 pixels a side with s x s weights: parameters and multiply-accumulates are those
of the size alone.
"""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from baselines.registry import system
from effconv import SameConv2d, cifar_resnet
from effconv.same_conv import centre


def extent(size: int, dilation: int) -> int:
    """Pixels from a kernel's first weight to its last, along a side."""
    return dilation * (size - 1) + 1


class DilatedConv2d(SameConv2d):
    """A dilated "same" convolution: (N, in, H, W) -> (N, out, ceil(H / stride), ceil(W / stride)).

    An even extent reaches one pixel further where even kernels do (`effconv.same_conv`).
    """

    def __init__(self, inner: int, outer: int, size: int, dilation: int, stride: int | tuple[int, int] = 1) -> None:
        super().__init__(inner, outer, size, stride)
        self.dilation = (dilation, dilation)

    def forward(self, images: Tensor) -> Tensor:
        whole = extent(self.weight.shape[-1], self.dilation[0])
        before = centre(whole, self.even_padding)
        after = whole - 1 - before
        if before != after:
            images, before = F.pad(images, (before, after, before, after)), 0
        return F.conv2d(images, self.weight, self.bias, self.stride, before, self.dilation, self.groups)


@system
def dilated_resnet20(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None, widths: Sequence[int] = (16, 32, 64),
) -> nn.Module:  # fmt: skip
    """CIFAR ResNet-20; `kernel_sizes` and `dilations` hold 18 ints each, 3 and 1 where None. ValueError for another number of them,
    and for a dilation below 1."""
    network: Any = cifar_resnet(
        20, num_classes=num_classes, in_channels=in_channels, kernel_sizes=kernel_sizes, widths=widths
    )
    places = [(block, name) for block in network.blocks for name in ("conv1", "conv2")]
    dilations = [1] * len(places) if dilations is None else list(dilations)
    if len(dilations) != len(places) or min(dilations) < 1:
        raise ValueError(f"dilations is {dilations}: give {len(places)} whole numbers from 1 up, one for each layer.")
    for (block, name), dilation in zip(places, dilations, strict=True):
        old = getattr(block, name)
        if dilation > 1:
            new = DilatedConv2d(old.in_channels, old.out_channels, old.kernel_size[0], dilation, old.stride)
            new.weight = old.weight
            setattr(block, name, new)
    network.dilations = tuple(dilations)
    return network
