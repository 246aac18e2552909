"""CIFAR ResNets (He et al. 2016, section 4.2) and WRN-28-1 (Zagoruyko and Komodakis 2016): the plain networks.

They are `effconv`'s backbones with every kernel at its original size; `kernel_sizes`, one int a learnable layer in forward
order, gives the networks that EffConv has learned, `widths` those with other numbers of channels.
All average-pool globally, so images of any size go in.
"""

from collections.abc import Sequence

from torch import nn

from baselines.registry import system, systems

WIDTHS = (16, 32, 64)


@systems(
    cifar_resnet20={"depth": 20},
    cifar_resnet26={"depth": 26},
    cifar_resnet32={"depth": 32},
    cifar_resnet38={"depth": 38},
    cifar_resnet44={"depth": 44},
    cifar_resnet50={"depth": 50},
    cifar_resnet56={"depth": 56},
)
def cifar_resnet_of_depth(
    *, depth: int, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = WIDTHS,
) -> nn.Module:  # fmt: skip
    """A CIFAR ResNet; `kernel_sizes` holds depth - 2 ints, `widths` the channels of the three stages."""
    from effconv import cifar_resnet

    if len(widths) != 3 or min(widths) < 1 or list(widths) != sorted(widths):
        raise ValueError(
            f"widths is {list(widths)}: give the channels of the three stages, each at least the one before."
        )
    return cifar_resnet(
        depth, num_classes=num_classes, in_channels=in_channels, kernel_sizes=kernel_sizes, widths=widths
    )


@system
def wrn28_1(
    *, in_channels: int, num_classes: int, image_size: int, kernel_sizes: Sequence[int] | None = None
) -> nn.Module:
    """Wide ResNet 28-1 as published; `kernel_sizes` holds one int for each 3x3 convolution inside the blocks."""
    from effconv import wide_resnet

    return wide_resnet(28, 1, num_classes=num_classes, in_channels=in_channels, kernel_sizes=kernel_sizes)
