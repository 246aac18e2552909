"""Efficient-CapsNet (Mazzia, Salvetti, Chiaberge 2021): convolutions, 16 primary capsules, one layer of self-attention routing.

A depthwise convolution as large as the map turns it into 128 numbers, 16 capsules of 8. ReLU comes before batch norm. Capsule k's
share of child i is a softmax over the parents k, to which a learned prior is added afterwards, so shares need not sum to one. The
decoder sees the true class's capsule while training and is no part of the deployed network (161,824 parameters on MNIST).

Deviations: the squared lengths' small constants keep gradients finite at zero. For images of another size than 28 the depthwise
convolution is as large as its map.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.registry import system

PRIMARY, PRIMARY_LENGTH, CLASS_LENGTH = 16, 8, 16
RECONSTRUCTION_WEIGHT = 0.392  # 0.0005 for each of 784 pixels
UPPER, LOWER, ABSENT_WEIGHT = 0.9, 0.1, 0.5  # margin loss


def squash(capsules: Tensor) -> Tensor:
    """(..., n) -> (..., n): the direction kept, the length l made 1 - exp(-l)."""
    length = (capsules.square().sum(-1, keepdim=True) + 1e-14).sqrt()
    return capsules * (-torch.expm1(-length) / length)


def route(predictions: Tensor, prior: Tensor) -> Tensor:
    """Self-attention routing, without iterations.

    predictions: (B, parents, children, n), what each child says of each parent; prior: (parents, children).
    Returns the parents' capsules, (B, parents, n). A row of the children's Gram matrix sums to the product of that child's
    prediction with the sum of all, so the matrix itself is never made.
    """
    total = predictions.sum(2, keepdim=True)
    agreement = (predictions * total).sum(-1) / math.sqrt(predictions.shape[-1])  # (B, parents, children)
    shares = agreement.softmax(1) + prior
    return squash((shares[..., None] * predictions).sum(2))


def margin_loss(lengths: Tensor, labels: Tensor) -> Tensor:
    """Sum over classes, mean over images, of the squared margins; lengths (B, classes), labels (B,)."""
    present = F.one_hot(labels, lengths.shape[1]).to(lengths.dtype)
    short, long = (UPPER - lengths).clamp(min=0).square(), (lengths - LOWER).clamp(min=0).square()
    return (present * short + ABSENT_WEIGHT * (1 - present) * long).sum(1).mean()


def he_normal_(weight: Tensor, fan_in: int, *, gain: float = 2.0) -> None:
    """A normal distribution cut at two deviations and of variance gain / fan_in after the cut."""
    std = math.sqrt(gain / fan_in) / 0.87962566103423978
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


class EfficientCapsNet(nn.Module):
    """Images (B, C, S, S) with values in 0..1 -> lengths of the class capsules (B, classes), which serve as logits."""

    channels_last = False  # a third faster on a CPU

    def __init__(self, *, in_channels: int, num_classes: int, image_size: int, reconstruction: float) -> None:
        super().__init__()
        side = (image_size - 8 - 3) // 2 + 1  # three valid convolutions, 5, 3, 3, and one of 3 with stride 2
        if side < 1:
            raise ValueError(f"image_size is {image_size}: Efficient-CapsNet needs at least 11 pixels.")
        layers: list[nn.Module] = []
        for inner, outer, size, stride in ((in_channels, 32, 5, 1), (32, 64, 3, 1), (64, 64, 3, 1), (64, 128, 3, 2)):
            conv = nn.Conv2d(inner, outer, size, stride)
            he_normal_(conv.weight, inner * size * size)
            assert conv.bias is not None
            nn.init.zeros_(conv.bias)
            layers += [conv, nn.ReLU(), nn.BatchNorm2d(outer, eps=1e-3, momentum=0.01)]
        features = PRIMARY * PRIMARY_LENGTH
        whole = nn.Conv2d(features, features, side, groups=features)
        bound = math.sqrt(
            6 / (side * side * (features + 1))
        )  # Glorot's, with the fans that Keras counts for this kernel
        nn.init.uniform_(whole.weight, -bound, bound)
        assert whole.bias is not None
        nn.init.zeros_(whole.bias)
        self.features = nn.Sequential(*layers, whole)
        self.weight = nn.Parameter(torch.empty(num_classes, PRIMARY, PRIMARY_LENGTH, CLASS_LENGTH))
        he_normal_(self.weight, num_classes * PRIMARY * PRIMARY_LENGTH)  # Keras' fan of such a tensor
        self.prior = nn.Parameter(torch.zeros(num_classes, PRIMARY))
        self.reconstruction = reconstruction
        self.decoder = None
        if reconstruction:
            self.decoder = self._decoder(num_classes * CLASS_LENGTH, in_channels * image_size**2)

    @staticmethod
    def _decoder(inner: int, outer: int) -> nn.Sequential:
        linear = [nn.Linear(inner, 512), nn.Linear(512, 1024), nn.Linear(1024, outer)]
        for layer in linear:
            nn.init.zeros_(layer.bias)
        for layer in linear[:2]:
            he_normal_(layer.weight, layer.in_features)
        he_normal_(linear[2].weight, 1024 + outer)  # Glorot's normal: 2 / (fan in + fan out)
        return nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2], nn.Sigmoid())

    @property
    def training_only(self) -> list[nn.Module]:
        """What the deployed network does without."""
        return [] if self.decoder is None else [self.decoder]

    def capsules(self, images: Tensor) -> Tensor:
        """The class capsules, (B, classes, 16), in float32 whatever the convolutions compute in."""
        primary = squash(self.features(images).float().view(len(images), PRIMARY, PRIMARY_LENGTH))
        predictions = torch.einsum("bic,kicd->bkid", primary, self.weight).float()
        return route(predictions, self.prior)

    def forward(self, images: Tensor) -> Tensor:
        return lengths(self.capsules(images))

    def training_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Margin loss, plus `reconstruction` times the decoder's mean squared error; and the lengths."""
        capsules = self.capsules(images)
        logits = lengths(capsules)
        loss = margin_loss(logits, labels)
        if self.decoder is not None:
            true = F.one_hot(labels, capsules.shape[1])[..., None].to(capsules.dtype)
            made = self.decoder((capsules * true).flatten(1)).float()
            loss = loss + self.reconstruction * F.mse_loss(made, images.flatten(1))
        return loss, logits


def lengths(capsules: Tensor) -> Tensor:
    """(..., n) -> (...): how present each capsule's class is, 0 to 1."""
    return (capsules.square().sum(-1) + 1e-7).sqrt()


@system
def efficient_capsnet(
    *, in_channels: int, num_classes: int, image_size: int, reconstruction: float = RECONSTRUCTION_WEIGHT
) -> nn.Module:
    """Efficient-CapsNet. `reconstruction`: weight of the decoder's mean squared error; 0 leaves the decoder out.

    Raises ValueError for a negative weight and for images of less than 11 pixels.
    """
    if not reconstruction >= 0:
        raise ValueError(f"reconstruction is {reconstruction!r}: give a weight from 0 up.")
    return EfficientCapsNet(
        in_channels=in_channels, num_classes=num_classes, image_size=image_size, reconstruction=reconstruction
    )
