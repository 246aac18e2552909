"""CIFAR ResNet-44 with every 3x3 convolution, the stem's included, replaced by CKConv (k = 3) or FlexConv: the paper's ablation.

No code of these two rows is public. The published count, 2.58M, is that of MAGNet kernels. Chosen here: the grid is the same in
every stage (3 points for CKConv, the image's side + 1 for FlexConv, as one setting serves a whole FlexNet), and a layer of stride 2
is evaluated at stride 1 and subsampled, which a strided convolution with the same padding equals at a quarter of the cost. Kernel
cells that meet nothing but padding on a small map are left out of the convolution, which changes nothing either.
"""

from collections.abc import Callable

from torch import nn

from baselines.flexconv import SIGMA_GUARD, CKConv, FlexConv
from baselines.flexnet_network import grid_points
from baselines.growing import GeneratedKernels, GrowingKernels
from baselines.registry import system


def _resnet44(*, in_channels: int, num_classes: int, convolution: Callable[..., CKConv]) -> nn.Module:
    """CIFAR ResNet-44 with `convolution(in, out, stride=)` in place of every 3x3 convolution."""
    from effconv import cifar_resnet

    network = cifar_resnet(44, num_classes=num_classes, in_channels=in_channels)
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d):
                setattr(parent, name, convolution(child.in_channels, child.out_channels, stride=child.stride[0]))
    return network


@system
def resnet44_ckconv(
    *,
    in_channels: int,
    num_classes: int,
    image_size: int,
    backend: str = "direct",
    norm_penalty: float = 0.0,
) -> nn.Module:
    """CIFAR ResNet-44 with 3x3 kernels from MAGNets; arguments as `flexnet.flexnet`."""

    def convolution(inner: int, outer: int, *, stride: int) -> CKConv:
        return CKConv(inner, outer, horizon=3, stride=stride, backend=backend)

    network = _resnet44(in_channels=in_channels, num_classes=num_classes, convolution=convolution)
    return GeneratedKernels(network, norm_penalty=norm_penalty)


@system
def resnet44_flexconv(
    *,
    in_channels: int,
    num_classes: int,
    image_size: int,
    backend: str = "direct",
    crop: str = "before",
    sigma_guard: float | None = SIGMA_GUARD,
    norm_penalty: float = 0.0,
    decide_every: int | None = None,
) -> nn.Module:
    """CIFAR ResNet-44 with FlexConv layers; arguments as `flexnet.flexnet`."""
    horizon = grid_points(image_size)

    def convolution(inner: int, outer: int, *, stride: int) -> FlexConv:
        return FlexConv(
            inner, outer, horizon=horizon, stride=stride, backend=backend, crop=crop, sigma_guard=sigma_guard
        )

    network = _resnet44(in_channels=in_channels, num_classes=num_classes, convolution=convolution)
    return GrowingKernels(network, norm_penalty=norm_penalty, decide_every=decide_every)
