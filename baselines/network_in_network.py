"""Network in Network (Lin, Chen, Yan 2013), in the form that its author configured for MNIST: 349,674 parameters.

Three blocks of a 5x5 and two 1x1 convolutions, ReLU after each, the last included; max pooling 3x3 of stride 2 (partial windows
count) and dropout 0.5 after the first two, a mean over the whole map at the end. No batch norm.

Open: with the ReLU on the class maps a seed can start with all logits zero and never leave; `initial="he"` is the way out, and the
default is the author's. Logits are then zero for every image and the accuracy that of chance, which the report shows.
"""

from torch import Tensor, nn

from baselines.registry import system

INITIAL = ("normal", "he")
BLOCKS = ((96, 64, 48), (128, 96, 48), (128, 96, None))  # None: the classes
WEIGHT_STD = 0.05
LAST_FACTOR, BIAS_FACTOR = 0.1, 2.0  # of the recipe's rate


class NetworkInNetwork(nn.Module):
    """Images (B, C, H, W) -> logits (B, classes), none of them negative."""

    def __init__(self, *, in_channels: int, num_classes: int, initial: str, layer_rates: bool) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inner = in_channels
        for number, widths in enumerate(BLOCKS):
            for width, size in zip(widths, (5, 1, 1), strict=True):
                layers += [nn.Conv2d(inner, width or num_classes, size, padding=size // 2), nn.ReLU(inplace=True)]
                inner = width or num_classes
            if number < len(BLOCKS) - 1:
                layers += [nn.MaxPool2d(3, 2, ceil_mode=True), nn.Dropout(0.5)]
        self.features = nn.Sequential(*layers)
        for conv in self.convolutions():
            if initial == "he":
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            else:
                nn.init.normal_(conv.weight, std=WEIGHT_STD)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
        self.layer_rates = layer_rates

    def convolutions(self) -> list[nn.Conv2d]:
        """In forward order."""
        return [module for module in self.features if isinstance(module, nn.Conv2d)]

    def forward(self, images: Tensor) -> Tensor:
        return self.features(images).mean((2, 3))

    def parameter_groups(self, recipe: object) -> list[dict]:
        """The author's rates: biases at twice the weights' and not decayed, the last layer at a tenth of the others'."""
        if not self.layer_rates:
            return [{"params": list(self.parameters()), "name": "all"}]
        *body, last = self.convolutions()
        return [
            {"params": [conv.weight for conv in body], "name": "weights"},
            {"params": [conv.bias for conv in body], "lr_factor": BIAS_FACTOR, "weight_decay": 0.0, "name": "biases"},
            {"params": [last.weight], "lr_factor": LAST_FACTOR, "name": "last weights"},
            {
                "params": [last.bias],
                "lr_factor": LAST_FACTOR * BIAS_FACTOR,
                "weight_decay": 0.0,
                "name": "last biases",
            },
        ]


@system
def network_in_network(
    *, in_channels: int, num_classes: int, image_size: int, initial: str = "normal", layer_rates: bool = True
) -> nn.Module:
    """Network in Network.

    Args:
        in_channels: of the images.
        num_classes: of the output.
        image_size: side of the images; any.
        initial: "normal", deviation 0.05 as published, or "he".
        layer_rates: the author's rates and decay by layer; False: the recipe's own for all parameters.
    """
    if initial not in INITIAL:
        raise ValueError(f"initial is {initial!r}: choose one of {', '.join(INITIAL)}.")
    return NetworkInNetwork(in_channels=in_channels, num_classes=num_classes, initial=initial, layer_rates=layer_rates)
