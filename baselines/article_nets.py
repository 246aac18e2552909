"""Small networks for two comparisons of kernel sizes: 3x3 stacked against a single 5x5, ordinary against separable convolutions.

Source: "How to optimize Convolutional Layer with Convolution Kernel" (Sicara), which trains two blocks of either kind on CIFAR-10.
Its layers are not copied. Our reading: a 3x3 stem from the image to `channels`, two blocks that keep that number of channels, each
ending in 2x2 max pooling, then global average pooling and a linear classifier.
* The stem is there because the promised 25/18 holds for c -> c channels only; from 3 channels two 3x3 cost more than one 5x5.
* Every convolution is followed by batch normalisation and ReLU, so that one recipe trains all of them; none has a bias.
* Separable: depthwise 3x3, then pointwise 1x1, c k^2 + c^2 weights in place of c^2 k^2; nothing between the two.
"""

from collections.abc import Callable

from torch import Tensor, nn

from baselines.registry import systems
from effconv import SameConv2d

CHANNELS = 32


def ordinary(channels: int, size: int) -> nn.Module:
    """A size x size convolution of `channels` -> `channels`."""
    return SameConv2d(channels, channels, size)


def separable(channels: int, size: int) -> nn.Module:
    """Depthwise size x size, then pointwise: `channels` -> `channels`."""
    return nn.Sequential(SameConv2d(channels, channels, size, groups=channels), SameConv2d(channels, channels, 1))


def _unit(convolution: nn.Module, channels: int) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(inplace=True))


class ArticleNet(nn.Module):
    """Images (N, in_channels, H, W) -> logits (N, num_classes). A block is one convolution for each entry of `sizes`."""

    def __init__(
        self,
        convolution: Callable[[int, int], nn.Module],
        sizes: tuple[int, ...],
        *,
        in_channels: int,
        num_classes: int,
        image_size: int,
        channels: int,
    ) -> None:
        super().__init__()
        if int(channels) != channels or channels < 1:
            raise ValueError(f"channels is {channels!r}: give a whole number from 1 up.")
        if image_size < 4:
            raise ValueError(f"image_size is {image_size}: two halvings need images of at least 4x4 pixels.")
        self.stem = _unit(SameConv2d(in_channels, channels, 3), channels)
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(*(_unit(convolution(channels, size), channels) for size in sizes), nn.MaxPool2d(2))
                for _ in range(2)
            )
        )
        self.classifier = nn.Linear(channels, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.blocks(self.stem(images)).mean((2, 3)))


@systems(
    article_stacked3={"convolution": ordinary, "sizes": (3, 3)},
    article_single5={"convolution": ordinary, "sizes": (5,)},
    article_separable3={"convolution": separable, "sizes": (3, 3)},
)
def article_net(
    *,
    convolution: Callable[[int, int], nn.Module],
    sizes: tuple[int, ...],
    in_channels: int,
    num_classes: int,
    image_size: int,
    channels: int = CHANNELS,
) -> nn.Module:
    """Two blocks of two 3x3 convolutions, of one 5x5 convolution, or of two separable 3x3 convolutions."""
    return ArticleNet(
        convolution, sizes, in_channels=in_channels, num_classes=num_classes, image_size=image_size, channels=channels
    )
