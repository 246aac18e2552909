"""The size predictor (Eqs. 1, 2): soft sizes v = sigma(f(z)), sigma(x) = k tanh(x / tau + b) + k + 1, and s = round(v).

The paper says "a GRU followed by feed-forward layers" on a fixed, untrained input z. Variants:
* gru (default): z is one orthogonal 64-vector a layer; a bidirectional GRU (128 units each way) reads them in the order of the
  layers; LayerNorm, ReLU; one weight-normalised linear map a layer to one number.
* gru-step: one GRU step on one fixed vector, then a two-layer perceptron to all numbers at once.
* free: the numbers are parameters themselves, without a network (a control).
All start so near f = 0 that a layer's size starts at sigma(0), 2.991 with the printed constants.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from effconv.initial import build_on_cpu, fill_uniform

VARIANTS = ("gru", "gru-step", "free")
START_SCALE = (
    0.6  # over k: length of the last map's weight vectors at the start; soft sizes start within about 0.3 of sigma(0)
)


def soft_size(x: Tensor, *, k: float | Tensor = 3, tau: float = 3.0, b: float | Tensor = -0.35) -> Tensor:
    """Eq. 2's sigma: any real x to a soft size in (1, 2k + 1), elementwise."""
    return k * torch.tanh(x / tau + b) + k + 1


class _RoundStraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor) -> Tensor:
        return v.round()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


def round_straight_through(v: Tensor) -> Tensor:
    """round(v), exactly whole numbers; the gradient passes unchanged."""
    rounded: Tensor = _RoundStraightThrough.apply(v)
    return rounded


class _Stand(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, whole: Tensor) -> Tensor:
        return whole.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def straight_through(v: Tensor, sizes: Sequence[int]) -> Tensor:
    """The given sizes, as a tensor like v; the gradient passes to v unchanged, whatever rule chose the sizes."""
    standing: Tensor = _Stand.apply(v, torch.tensor(sizes, dtype=v.dtype, device=v.device))
    return standing


class SizePredictor(nn.Module):
    """Predicts the sizes of `num_layers` kernels. Call it without arguments: (soft sizes, sizes), both (num_layers,).

    The sizes are whole numbers in a floating tensor, their gradient that of the soft sizes. `k` and `b` are numbers for all layers
    or sequences, one a layer. Raises ValueError for an unknown variant.
    """

    k: Tensor
    b: Tensor
    z: Tensor

    def __init__(
        self,
        num_layers: int,
        *,
        variant: str = "gru",
        k: float | Sequence[float] = 3,
        tau: float = 3.0,
        b: float | Sequence[float] = -0.35,
        input_size: int = 64,
        hidden: int = 128,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"size_predictor is {variant!r}: choose one of {', '.join(VARIANTS)}.")
        self.variant, self.tau = variant, tau
        self.register_buffer("k", torch.as_tensor(k, dtype=torch.get_default_dtype()).expand(num_layers).clone())
        self.register_buffer("b", torch.as_tensor(b, dtype=torch.get_default_dtype()).expand(num_layers).clone())
        if variant == "free":
            self.x = nn.Parameter(torch.zeros(num_layers))
            return
        rows = num_layers if variant == "gru" else 1
        self.register_buffer("z", nn.init.orthogonal_(torch.empty(rows, input_size), generator=generator))
        both_ways = variant == "gru"
        self.gru = build_on_cpu(nn.GRU, input_size, hidden, bidirectional=both_ways)
        features = 2 * hidden if both_ways else hidden
        fill_uniform(self.gru.parameters(), hidden**-0.5, generator)
        self.norm = nn.LayerNorm(features) if both_ways else nn.Identity()
        self.inner = None if both_ways else build_on_cpu(nn.Linear, features, features)
        if self.inner is not None:
            fill_uniform(self.inner.parameters(), features**-0.5, generator)
        self.direction = nn.Parameter(torch.empty(num_layers, features).normal_(generator=generator))
        self.scale = nn.Parameter(START_SCALE / self.k)
        self.bias = nn.Parameter(torch.zeros(num_layers))

    def numbers(self) -> Tensor:
        """f(z), (num_layers,): what sigma is applied to."""
        if self.variant == "free":
            return self.x
        features = self.gru(self.z.unsqueeze(1))[0].squeeze(1)  # (L or 1, features)
        if self.inner is not None:
            features = self.inner(F.relu(features))
        features = F.relu(self.norm(features))
        return (F.normalize(self.direction, dim=1) * features).sum(1) * self.scale + self.bias

    def sigma(self, numbers: Tensor) -> Tensor:
        """Eq. 2 with each layer's constants, (num_layers,), in the precision and on the device of `numbers`."""
        return soft_size(numbers, k=self.k.to(numbers), tau=self.tau, b=self.b.to(numbers))

    def soft(self, shift: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """The soft sizes v, (num_layers,); `shift` of f(z) is what is added to it before."""
        with torch.autocast(self.k.device.type, enabled=False):
            numbers = self.numbers()
            return self.sigma(numbers if shift is None else numbers + shift(numbers))

    @torch.no_grad()
    def start_at(self, sizes: Sequence[int]) -> None:
        """Move the predictor so that it predicts `sizes` now."""
        # Eq. 2's range is open: its ends, 1 and 2k + 1, are aimed at from inside.
        target = torch.tensor(sizes, dtype=self.k.dtype, device=self.k.device).clamp(min=1.1).minimum(2 * self.k + 0.9)
        wanted = self.tau * (torch.atanh((target - self.k - 1) / self.k) - self.b)
        (self.x if self.variant == "free" else self.bias).add_(wanted - self.numbers())

    def forward(self) -> tuple[Tensor, Tensor]:
        soft = self.soft()
        return soft, round_straight_through(soft)
