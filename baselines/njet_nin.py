"""N-Jet-NIN: the network in network whose training log is published with the N-Jet layer; 496,663 parameters with order 2.

Three blocks of an N-Jet layer and two 1x1 convolutions, batch norm and ReLU after each (the last, too), no bias, no pooling, no
stride; dropout 0.5 after the first two blocks; a mean over the map. Its log is what the layer is checked against: 91.2 +- 0.3 % on
5,000 held-out training images in epochs 61 to 90.
"""

from torch import nn

from baselines.njet import NJetConv2d, NJetNetwork
from baselines.registry import system

BLOCKS = ((192, 160, 96), (192, 192, 192), (192, 192, None))  # None: the classes


def normalised(convolution: nn.Module, width: int) -> list[nn.Module]:
    """A convolution, batch norm and ReLU."""
    return [convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


class GlobalMean(nn.Module):
    """(B, C, H, W) -> (B, C)."""

    def forward(self, images):
        return images.mean((2, 3))


@system
def njet_nin(
    *, in_channels: int, num_classes: int, image_size: int, order: int = 2, backend: str = "direct"
) -> nn.Module:
    """N-Jet-NIN with derivatives up to `order` (1 to 4); any image size. `backend`: "direct", "basis" or "auto" (`njet`)."""
    layers: list[nn.Module] = []
    inner = in_channels
    for number, (first, second, third) in enumerate(BLOCKS):
        layers += normalised(NJetConv2d(inner, first, order=order, backend=backend), first)
        for before, after in ((first, second), (second, third or num_classes)):
            layers += normalised(nn.Conv2d(before, after, 1, bias=False), after)
        if number < len(BLOCKS) - 1:
            layers.append(nn.Dropout(0.5))
        inner = third or num_classes
    return NJetNetwork(nn.Sequential(*layers, GlobalMean()))
