"""Dilated convolution with learnable spacings (Hassani, Pellegrini and Masquelier, ICLR 2023) in CIFAR ResNet-20.

A kernel is `count` weights at learned positions in a size x size window, made dense by linear interpolation on each axis: a weight at
p adds w max(0, 1 - |y - p_y|) max(0, 1 - |x - p_x|) at pixel (y, x). Built from this formula. Positions start normal with standard
deviation 0.5, are kept inside the window, and train with five times the learning rate and without weight decay, as the authors do.
Deviations: their loss against positions that crowd together, which they add after epoch 20, is left out; each pair of channels,
or each layer, has positions of its own, where theirs are shared over the blocks of a stage; weights start normal, theirs uniform.
"""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from baselines.registry import system
from baselines.replaced_convs import ReplacedConvolutions

POSITION_RATE = 5.0


def dense_kernel(weight: Tensor, positions: Tensor, size: int) -> Tensor:
    """(out, in, count) weights and (2, out or 1, in or 1, count) positions from the window's middle -> (out, in, size, size)."""
    grid = torch.arange(size, dtype=weight.dtype, device=weight.device) - (size - 1) / 2
    rows, columns = (1 - (positions.unsqueeze(-1) - grid).abs()).clamp(min=0).unbind(0)  # (.., count, size)
    return ((weight.unsqueeze(-1) * rows).unsqueeze(-1) * columns.unsqueeze(-2)).sum(2)


class DclsConv2d(nn.Module):
    """A "same" convolution (N, in, H, W) -> (N, out, ceil(H / stride), ceil(W / stride)) of `count` weights that move.

    `size`: side of the window, odd. `shared`: one set of positions a layer, else one a channel pair.
    """

    def __init__(self, inner: int, outer: int, stride: int | tuple[int, int], *, count: int, size: int, shared: bool):
        super().__init__()
        if size % 2 == 0 or size < 3:
            raise ValueError(f"size is {size}: give an odd window from 3 up.")
        self.stride, self.size = stride, size
        self.values = nn.Parameter(torch.empty(outer, inner, count))
        nn.init.normal_(self.values, std=(2 / (inner * count)) ** 0.5)
        pairs = (1, 1) if shared else (outer, inner)
        self.positions = nn.Parameter(torch.empty(2, *pairs, count).normal_(std=0.5))
        self._clamp()

    @torch.no_grad()
    def _clamp(self) -> None:
        reach = (self.size - 1) // 2
        self.positions.clamp_(-reach, reach)

    @property
    def weight(self) -> Tensor:
        """The dense kernel, (out, in, size, size)."""
        reach = (self.size - 1) // 2
        return dense_kernel(self.values, self.positions.clamp(-reach, reach), self.size)

    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            self._clamp()  # what the last update pushed out of the window
        with nullcontext() if images.is_meta else torch.autocast(images.device.type, enabled=False):
            kernel = self.weight
        return nn.functional.conv2d(images, kernel, None, self.stride, self.size // 2)


@system
def dcls_resnet20(
    *, in_channels: int, num_classes: int, image_size: int, count: int = 7, size: int = 7, shared: bool = False,
    widths: Sequence[int] = (16, 32, 64),
) -> nn.Module:  # fmt: skip
    """CIFAR ResNet-20 with moving weights in its blocks: `count` a channel pair in a window of `size`."""
    return ReplacedConvolutions(
        lambda old: DclsConv2d(old.in_channels, old.out_channels, old.stride, count=count, size=size, shared=shared),
        parameter="positions", rules={"lr_factor": POSITION_RATE, "weight_decay": 0.0},
        in_channels=in_channels, num_classes=num_classes, widths=widths,
    )  # fmt: skip
