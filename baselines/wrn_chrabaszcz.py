"""WRN-28-1 as trained on downsampled ImageNet by Chrabaszcz et al. (2017), whose result the paper quotes.

It differs from Zagoruyko and Komodakis' network: the stem is followed by batch norm and ReLU, so the first block has neither in
front but projects its shortcut 16 -> 16; projections take the input before its batch norm; the second convolution of every block
has a bias. Deviation: one global average pool instead of 8x8, so that 96-pixel images go in too.
"""

import torch
from torch import Tensor, nn

from baselines.registry import system

WIDTHS = (16, 32, 64)
BLOCKS = 4  # in each group: depth 28 = 6 * 4 + 4


class Block(nn.Module):
    """Pre-activation block with an un-activated shortcut; the first of a group projects it by a 1x1 convolution."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int, activate: bool, project: bool) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels) if activate else None
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=True)
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False) if project else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        h = x if self.norm1 is None else torch.relu(self.norm1(x))
        h = self.conv2(torch.relu(self.norm2(self.conv1(h))))
        return h + self.shortcut(x)


class ChrabaszczWideResNet(nn.Module):
    """Depth 28, widening factor 1; He-normal convolutions and head, zero biases."""

    def __init__(self, *, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, WIDTHS[0], 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(WIDTHS[0])
        blocks, width = [], WIDTHS[0]
        for group, out in enumerate(WIDTHS):
            for i in range(BLOCKS):
                stride = 2 if group and not i else 1
                blocks.append(Block(width, out, stride=stride, activate=bool(group or i), project=not i))
                width = out
        self.blocks = nn.Sequential(*blocks)
        self.norm2 = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, num_classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, classes)."""
        x = torch.relu(self.norm1(self.conv(images)))
        x = torch.relu(self.norm2(self.blocks(x)))
        return self.head(x.mean((2, 3)))


@system
def wrn28_1_chrabaszcz(*, in_channels: int, num_classes: int, image_size: int) -> nn.Module:
    """WRN-28-1 as Chrabaszcz et al. coded it: 434,552 parameters for 1000 classes; any image size."""
    return ChrabaszczWideResNet(in_channels=in_channels, num_classes=num_classes)
