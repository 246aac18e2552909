"""N-JetNet-CIFARResNet32 (Pintea et al. 2021): CIFAR ResNet-32 with all 31 convolutions N-Jet layers of order 3; 515,433 parameters.

The count settles the order (2 gives 0.31M). Open: whether the two strides are kept or resolution is learned; kept here, so that
shortcut and branch always agree. Shortcuts are parameter-free.
"""

from typing import Any

from torch import Tensor, nn

from baselines.njet import NJetConv2d, NJetNetwork
from baselines.registry import system
from effconv.backbones import ResidualBlock

WIDTHS, BLOCKS = (16, 32, 64), 5


def njet_block(inner: int, outer: int, stride: int, options: dict) -> ResidualBlock:
    """Two N-Jet layers with batch norm and a shortcut; channels that are missing in the shortcut are zero."""
    first, second = NJetConv2d(inner, outer, stride=stride, **options), NJetConv2d(outer, outer, **options)
    return ResidualBlock(first, second, inner, outer, stride)


class NJetResNet(nn.Module):
    """Images (B, C, H, W) -> logits (B, classes)."""

    def __init__(self, *, in_channels: int, num_classes: int, **options: Any) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            NJetConv2d(in_channels, WIDTHS[0], **options), nn.BatchNorm2d(WIDTHS[0]), nn.ReLU(inplace=True)
        )
        blocks, inner = [], WIDTHS[0]
        for stage, width in enumerate(WIDTHS):
            for number in range(BLOCKS):
                blocks.append(njet_block(inner, width, 2 if stage and not number else 1, options))
                inner = width
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(inner, num_classes)
        nn.init.kaiming_normal_(self.classifier.weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.stem(images)).mean((2, 3)))


@system
def njetnet_resnet32(
    *, in_channels: int, num_classes: int, image_size: int, order: int = 3, backend: str = "direct"
) -> nn.Module:
    """N-JetNet-CIFARResNet32, any image size; `order` of the derivatives: 1 to 4; `backend`: "direct", "basis" or "auto" (`njet`)."""
    network = NJetResNet(in_channels=in_channels, num_classes=num_classes, order=order, backend=backend)
    return NJetNetwork(network)
