"""N-JetNet-ALLCNN (Pintea et al. 2021): All-CNN-C whose spatial convolutions are N-Jet layers; 650,713 parameters with order 2.

The published network's exact form is not public. The reading here: All-CNN-C's strided convolutions go, since resolution is
learned, the other five 3x3 ones become N-Jet layers of 96, 96, 192, 192 and 192 channels, the 1x1 ones stay, each with batch norm
and ReLU. With order 2 and order 3 (1,057,369) it gives both sizes that are quoted for the name, 0.66M and 1.07M, to within 0.013M.
Dropout 0.2 on the image and 0.5 where the strided convolutions were.
"""

from typing import Any

from torch import nn

from baselines.njet import NJetConv2d, NJetNetwork
from baselines.njet_nin import GlobalMean, normalised
from baselines.registry import system

WIDTHS = (96, 96, 192, 192, 192)
DROPOUT_AFTER = (1, 3)


@system
def njetnet_allcnn(
    *,
    in_channels: int,
    num_classes: int,
    image_size: int,
    order: int = 2,
    subsample: bool = True,
    backend: str = "direct",
) -> nn.Module:
    """N-JetNet-ALLCNN.

    Args:
        in_channels: of the images.
        num_classes: of the output.
        image_size: side of the images; any.
        order: of the derivatives, 1 to 4: 2 for the small published network, 3 for the large one.
        subsample: shrink a map before a layer whose sigma exceeds 2 (`njet.NJetConv2d`).
        backend: "direct" as published, "basis" or "auto" (`njet`).
    """
    layers: list[nn.Module] = [nn.Dropout(0.2)]
    inner = in_channels
    options: dict[str, Any] = {"order": order, "subsample": subsample, "backend": backend}
    for number, width in enumerate(WIDTHS):
        layers += normalised(NJetConv2d(inner, width, **options), width)
        if number in DROPOUT_AFTER:
            layers.append(nn.Dropout(0.5))
        inner = width
    layers += normalised(nn.Conv2d(inner, inner, 1, bias=False), inner)
    layers += normalised(nn.Conv2d(inner, num_classes, 1, bias=False), num_classes)
    return NJetNetwork(nn.Sequential(*layers, GlobalMean()))
