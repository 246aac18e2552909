"""GMConv (Chen, Li, Ning, Lin and He 2023): ordinary kernels under a learned round Gaussian, in CIFAR ResNet-20.

    W'(y, x) = W(y, x) exp(-(y^2 + x^2) / (2 sigma^2)), y and x in pixels from the kernel's middle,

one sigma a layer, learned with the weights: one parameter more a layer than the network without masks, and no more work, since a
mask acts on the kernel. This is the mask of the paper's abstract, "concentric" about the middle, on kernels that keep their size.
It is the nearest relative of EffConv's mask: there a size follows from the Gaussian, here none does.

Open, as we have the abstract alone: sigma's first value, here the kernel's side (at a corner of 7x7 a factor of 0.83); whether sigma
decays with the weights, here it does not, which would close the masks by itself. Left out: the variant whose sigma follows from the
image. Deviation: |sigma| is kept above 0.1 pixels, straight through, as in FlexConv; a mask is one pixel wide there.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from baselines.flexconv import keep_above
from baselines.registry import system
from baselines.replaced_convs import ReplacedConvolutions
from effconv import SameConv2d
from effconv.same_conv import same_conv2d

SMALLEST = 0.1  # pixels


def gaussian_mask(size: int, sigma: Tensor) -> Tensor:
    """(size, size) factors, 1 in the middle, differentiable in sigma, a scalar in pixels."""
    offsets = torch.arange(size, dtype=sigma.dtype, device=sigma.device) - (size - 1) / 2
    profile = torch.exp(-0.5 * (offsets / keep_above(sigma, SMALLEST)).square())
    return torch.outer(profile, profile)


class GaussianMaskConv2d(SameConv2d):
    """A "same" convolution under a Gaussian mask: (N, in, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))."""

    def __init__(self, inner: int, outer: int, size: int, stride: int | tuple[int, int]) -> None:
        super().__init__(inner, outer, size, stride)
        nn.init.kaiming_normal_(self.weight)  # as the network's own convolutions
        self.sigma = nn.Parameter(torch.tensor(float(size)))

    def forward(self, images: Tensor) -> Tensor:
        kernel = self.weight * gaussian_mask(self.weight.shape[-1], self.sigma)
        return same_conv2d(images, kernel, None, self.stride, 1, self.even_padding)


@system
def gmconv_resnet20(
    *, in_channels: int, num_classes: int, image_size: int, size: int = 7, widths: Sequence[int] = (16, 32, 64)
) -> nn.Module:
    """CIFAR ResNet-20 with a Gaussian mask on every kernel of its blocks; `size`: the kernels' side, at least 2.

    Raises ValueError for a smaller size, whose mask would be a factor of 1.
    """
    if size < 2:
        raise ValueError(f"size is {size}: give kernels of 2x2 or larger, since a single weight has no mask.")
    return ReplacedConvolutions(
        lambda old: GaussianMaskConv2d(old.in_channels, old.out_channels, size, old.stride),
        parameter="sigma", rules={"weight_decay": 0.0},
        in_channels=in_channels, num_classes=num_classes, widths=widths,
    )  # fmt: skip
