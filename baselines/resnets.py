"""CIFAR ResNets (He et al. 2016, section 4.2) and WRN-28-1 (Zagoruyko and Komodakis 2016): the plain networks.

They are `effconv`'s backbones with every kernel at its original size; `kernel_sizes`, one int a learnable layer in forward
order, gives the networks that EffConv has learned, `widths` those with other numbers of channels.
All average-pool globally, so images of any size go in.
"""

from collections.abc import Sequence

from torch import nn

from baselines.registry import system

WIDTHS = (16, 32, 64)


def _cifar_resnet(
    depth: int,
    in_channels: int,
    num_classes: int,
    kernel_sizes: Sequence[int] | None,
    widths: Sequence[int],
) -> nn.Module:
    from effconv import cifar_resnet

    if len(widths) != 3 or min(widths) < 1 or list(widths) != sorted(widths):
        raise ValueError(
            f"widths is {list(widths)}: give the channels of the three stages, each at least the one before."
        )
    return cifar_resnet(
        depth, num_classes=num_classes, in_channels=in_channels, kernel_sizes=kernel_sizes, widths=widths
    )


@system
def cifar_resnet20(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = WIDTHS,
) -> nn.Module:  # fmt: skip
    """CIFAR ResNet-20; `kernel_sizes` holds 18 ints."""
    return _cifar_resnet(20, in_channels, num_classes, kernel_sizes, widths)


@system
def cifar_resnet26(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = WIDTHS,
) -> nn.Module:  # fmt: skip
    """CIFAR ResNet-26; `kernel_sizes` holds 24 ints."""
    return _cifar_resnet(26, in_channels, num_classes, kernel_sizes, widths)


@system
def cifar_resnet32(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = WIDTHS,
) -> nn.Module:  # fmt: skip
    """CIFAR ResNet-32; `kernel_sizes` holds 30 ints."""
    return _cifar_resnet(32, in_channels, num_classes, kernel_sizes, widths)


@system
def cifar_resnet38(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = WIDTHS,
) -> nn.Module:  # fmt: skip
    """CIFAR ResNet-38; `kernel_sizes` holds 36 ints."""
    return _cifar_resnet(38, in_channels, num_classes, kernel_sizes, widths)


@system
def cifar_resnet44(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = WIDTHS,
) -> nn.Module:  # fmt: skip
    """CIFAR ResNet-44; `kernel_sizes` holds 42 ints."""
    return _cifar_resnet(44, in_channels, num_classes, kernel_sizes, widths)


@system
def cifar_resnet50(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = WIDTHS,
) -> nn.Module:  # fmt: skip
    """CIFAR ResNet-50; `kernel_sizes` holds 48 ints."""
    return _cifar_resnet(50, in_channels, num_classes, kernel_sizes, widths)


@system
def cifar_resnet56(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = WIDTHS,
) -> nn.Module:  # fmt: skip
    """CIFAR ResNet-56; `kernel_sizes` holds 54 ints."""
    return _cifar_resnet(56, in_channels, num_classes, kernel_sizes, widths)


@system
def wrn28_1(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None
) -> nn.Module:
    """Wide ResNet 28-1 as published; `kernel_sizes` holds one int for each 3x3 convolution inside the blocks."""
    from effconv import wide_resnet

    return wide_resnet(28, 1, num_classes=num_classes, in_channels=in_channels, kernel_sizes=kernel_sizes)
