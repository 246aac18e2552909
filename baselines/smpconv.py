"""SMPConv (Kim and Park, CVPR 2023): large kernels as a few points that move, in its CIFAR-10 network of 490,174 parameters.

A kernel on [-1, 1]^2: K(x)[o, c] = (1 / n(x)) sum_p w[o, c, p] max(0, 1 - |x - x_op|_1 / r_op); n(x) points reach x.
Positions and radii belong to an output channel and are shared by its inputs. Every such convolution (33 x 33, by Fourier transform)
runs beside a plain 3 x 3 one, each with its own batch normalisation, summed. Built from these formulas; nothing deviates.
"""

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.fft_conv import fft_conv2d
from baselines.registry import system

POINTS, SIDE, RADIUS = 16, 33, 0.12
SMALLEST, LARGEST = 1e-4, 1.0  # radii
RADIUS_RATE = 0.1
WIDTHS = (24, 24, 36, 36, 36, 48, 48)


def point_kernel(weights: Tensor, positions: Tensor, radii: Tensor, side: int) -> Tensor:
    """(out, in, P) weights, (out, P, 2) positions as (row, column) in [-1, 1], (out, P) radii -> (out, in, side, side)."""
    axis = torch.linspace(-1, 1, side, dtype=weights.dtype, device=weights.device)
    rows = (axis - positions[..., :1]).abs()  # (out, P, side)
    columns = (axis - positions[..., 1:]).abs()
    near = 1 - (rows.unsqueeze(3) + columns.unsqueeze(2)) / radii[..., None, None]  # (out, P, side, side)
    near = near.clamp(min=0)
    active = (near > 0).sum(1, keepdim=True).clamp(min=1)
    return torch.einsum("ocp,opyx->ocyx", weights, near / active)


class PointConv2d(nn.Module):
    """A "same" convolution (N, in, H, W) -> (N, out, H, W) whose kernel is made of points."""

    def __init__(
        self, inner: int, outer: int, *, points: int = POINTS, side: int = SIDE, radius: float = RADIUS
    ) -> None:
        super().__init__()
        self.side = side
        self.weights = nn.Parameter(nn.init.trunc_normal_(torch.empty(outer, inner, points), std=0.02))
        self.positions = nn.Parameter(nn.init.trunc_normal_(torch.empty(outer, points, 2), std=0.05))
        self.radii = nn.Parameter(torch.full((outer, points), radius))
        self.bias = nn.Parameter(torch.zeros(outer))

    def forward(self, images: Tensor) -> Tensor:
        with nullcontext() if images.is_meta else torch.autocast(images.device.type, enabled=False):
            kernel = point_kernel(self.weights, self.positions, self.radii.clamp(SMALLEST, LARGEST), self.side)
            # What lies further than an image is high or wide never meets it.
            reaches = [min(self.side // 2, pixels - 1) for pixels in images.shape[-2:]]
            rows, columns = (slice(self.side // 2 - reach, self.side // 2 + reach + 1) for reach in reaches)
            return fft_conv2d(images, kernel[:, :, rows, columns], self.bias)


class _Pair(nn.Module):
    """A point convolution and a 3 x 3 one side by side, each normalised, summed."""

    def __init__(self, inner: int, outer: int, *, bias: bool = False) -> None:
        super().__init__()
        self.large, self.small = PointConv2d(inner, outer), nn.Conv2d(inner, outer, 3, padding=1, bias=bias)
        self.large_norm, self.small_norm = nn.BatchNorm2d(outer), nn.BatchNorm2d(outer)
        nn.init.trunc_normal_(self.small.weight, std=0.02)
        if self.small.bias is not None:
            nn.init.zeros_(self.small.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.large_norm(self.large(images)) + self.small_norm(self.small(images))


class _Block(nn.Module):
    def __init__(self, inner: int, outer: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = _Pair(inner, outer), _Pair(outer, outer)
        self.shortcut = nn.Identity() if inner == outer else nn.Conv2d(inner, outer, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, images: Tensor) -> Tensor:
        out = self.dropout(F.relu(self.first(images)))
        return F.relu(self.second(out) + self.shortcut(images))


class SmpNetwork(nn.Module):
    """Stem, seven residual blocks at full resolution, mean, linear. Images (N, C, H, W) -> logits."""

    channels_last = False  # the Fourier transform wants whole planes

    def __init__(
        self, in_channels: int, num_classes: int, widths: tuple[int, ...] = WIDTHS, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.stem = _Pair(in_channels, widths[0], bias=True)
        pairs = zip((widths[0], *widths), widths, strict=False)
        self.blocks = nn.Sequential(*(_Block(inner, outer, dropout) for inner, outer in pairs))
        self.classifier = nn.Linear(widths[-1], num_classes)
        nn.init.kaiming_normal_(self.classifier.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.blocks(F.relu(self.stem(images))).mean((2, 3)))

    def parameter_groups(self, recipe) -> list[dict]:
        """Biases, positions and radii are not decayed; radii learn at a tenth of the rate."""
        kinds: dict[str, list[nn.Parameter]] = {"weights": [], "free": [], "radii": []}
        for name, parameter in self.named_parameters():
            last = name.rpartition(".")[2]
            kinds[last if last == "radii" else "free" if last in ("positions", "bias") else "weights"].append(parameter)
        return [
            {"params": kinds["weights"], "name": "weights"},
            {"params": kinds["free"], "name": "biases and positions", "weight_decay": 0.0},
            {"params": kinds["radii"], "name": "radii", "lr_factor": RADIUS_RATE, "weight_decay": 0.0},
        ]


@system
def smpconv490k(*, in_channels: int, num_classes: int, image_size: int) -> nn.Module:
    """SMPConv's network for CIFAR-10."""
    return SmpNetwork(in_channels, num_classes)
