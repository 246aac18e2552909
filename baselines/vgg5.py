"""VGG-5: the network with an ordinary head that SpinalNet (Kabir et al. 2020) is compared with on MNIST; 3,646,154 parameters.

Ten convolutions in four stages despite the name, each with a bias, batch norm and ReLU, 2x2 max pooling after each stage; dropout
0.5, linear to 512, batch norm, ReLU, dropout 0.5, linear to the classes. The spinal head would make it 3.63M, so the published
3.65M is this one. Deviation: images of another size than 28 reach the head as larger maps, flattened.
"""

import math

from torch import nn

from baselines.registry import system

STAGES = ((64, 64), (128, 128), (256, 256, 256), (256, 256, 256))
HIDDEN = 512


@system
def vgg5(*, in_channels: int, num_classes: int, image_size: int) -> nn.Module:
    """VGG-5. Raises ValueError for images of less than 16 pixels, of which four poolings leave nothing."""
    side = image_size // 16
    if side < 1:
        raise ValueError(f"image_size is {image_size}: VGG-5 pools four times and needs at least 16 pixels.")
    layers: list[nn.Module] = []
    inner = in_channels
    for widths in STAGES:
        for width in widths:
            conv = nn.Conv2d(inner, width, 3, padding=1)
            nn.init.normal_(conv.weight, std=math.sqrt(2 / (9 * width)))  # biases stay as torch draws them
            layers += [conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
            inner = width
        layers.append(nn.MaxPool2d(2))
    head = (
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(inner * side * side, HIDDEN),
        nn.BatchNorm1d(HIDDEN),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(HIDDEN, num_classes),
    )
    return nn.Sequential(*layers, *head)
