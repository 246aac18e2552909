"""The architecture of FlexNet (Romero et al. 2022) around any convolution: residual blocks at full image resolution.

Stem - BN - ReLU - B blocks - global average pool - linear. A block is conv - BN - ReLU - dropout - conv - BN, plus the shortcut (a
biased 1x1 convolution where widths differ), ReLU. Nothing is ever downsampled. Kernels live on a grid of the image's side + 1
points.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Stages = Sequence[tuple[int, int]]  # (width, blocks)
FLEXNET16: Stages = ((24, 2), (36, 3), (48, 2))
FLEXNET5: Stages = ((22, 1), (33, 2), (44, 2))
FLEXNET3: Stages = ((24, 1), (36, 1), (48, 1))
DROPOUT = 0.2

Convolution = Callable[[int, int], nn.Module]


class Block(nn.Module):
    """Two convolutions and a shortcut; no stride."""

    def __init__(self, in_channels: int, out_channels: int, convolution: Convolution) -> None:
        super().__init__()
        self.conv1 = convolution(in_channels, out_channels)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(DROPOUT)
        self.conv2 = convolution(out_channels, out_channels)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Identity() if in_channels == out_channels else nn.Conv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H, W)."""
        h = self.dropout(torch.relu_(self.norm1(self.conv1(x))))
        return torch.relu_(self.norm2(self.conv2(h)) + self.shortcut(x))


class FlexNet(nn.Module):
    """The architecture around any "same" convolution.

    Args:
        in_channels: of the images.
        num_classes: of the output.
        convolution: (in, out) -> a layer that keeps height and width.
        stages: (width, blocks) of each stage; the first width is the stem's.
    """

    def __init__(
        self, *, in_channels: int, num_classes: int, convolution: Convolution, stages: Stages = FLEXNET16
    ) -> None:
        super().__init__()
        width = stages[0][0]
        self.stem = convolution(in_channels, width)
        self.norm = nn.BatchNorm2d(width)
        blocks = []
        for out, count in stages:
            for _ in range(count):
                blocks.append(Block(width, out, convolution))
                width = out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, num_classes)
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="relu")
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, classes)."""
        x = self.blocks(torch.relu_(self.norm(self.stem(images))))
        return self.head(x.mean((2, 3)))


def grid_points(image_size: int) -> int:
    """Points a side of the kernels' grid: odd, the image's side + 1 (29, 33, 97), or its side where that is odd."""
    return image_size | 1
