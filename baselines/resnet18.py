"""ResNet-18 (He et al. 2016, the ImageNet form) from timm: the paper's STL-10 baseline.

7x7 stem of stride 2, max-pool, stages of 64 to 512 channels, 1x1 projections with batch norm. The last batch norm of each block
starts at one, as in torchvision, and the head has the data set's classes: 11.18M parameters with ten of them. The published 11.7M
is the count with ImageNet's thousand.
"""

from torch import nn

from baselines.registry import system


@system
def resnet18(*, in_channels: int, num_classes: int, image_size: int) -> nn.Module:
    """ResNet-18 with a stem for `in_channels` and a head for `num_classes`; any image size."""
    import timm

    return timm.create_model(
        "resnet18", pretrained=False, in_chans=in_channels, num_classes=num_classes, zero_init_last=False
    )
