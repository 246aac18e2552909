"""CIFAR ResNet-20 with other layers in its blocks, one parameter of which trains by rules of its own."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from effconv import cifar_resnet


class ReplacedConvolutions(nn.Module):
    """CIFAR ResNet-20: images (N, in_channels, H, W) -> logits (N, num_classes).

    Args:
        convolution: the network's own "same" convolution -> the layer in its place.
        parameter: name of the layers' parameter that is a group of its own for the optimizer.
        rules: of that group: `lr_factor`, `weight_decay`.
        in_channels: of the images.
        num_classes: of the output.
        widths: channels of the three stages.
    """

    def __init__(
        self,
        convolution: Callable[[Any], nn.Module],
        *,
        parameter: str,
        rules: dict[str, float],
        in_channels: int,
        num_classes: int,
        widths: Sequence[int],
    ) -> None:
        super().__init__()
        self.network = cifar_resnet(20, num_classes=num_classes, in_channels=in_channels, widths=widths)
        for block in self.network.blocks:
            for name in ("conv1", "conv2"):
                setattr(block, name, convolution(getattr(block, name)))
        self.parameter, self.rules = parameter, rules

    @property
    def sized_convolutions(self) -> tuple[nn.Module, ...]:
        """The layers in the blocks, in forward order."""
        return self.network.sized_convolutions

    @property
    def kernel_sizes(self) -> tuple[int, ...]:
        """Sides of the layers' dense kernels, in forward order."""
        return self.network.kernel_sizes

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images)

    def parameter_groups(self, recipe: object) -> list[dict]:
        """The layers' own parameters apart from everything else."""
        own = [layer.get_parameter(self.parameter) for layer in self.sized_convolutions]
        known = {id(parameter) for parameter in own}
        return [
            {"params": [p for p in self.parameters() if id(p) not in known], "name": "weights"},
            {"params": own, "name": self.parameter, **self.rules},
        ]
