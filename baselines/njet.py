"""The N-Jet layer (Pintea, Tomen, Goes, Loog, van Gemert 2021): kernels of Gaussian derivatives with one learned scale a layer.

A kernel is a combination, with learned alpha, of sigma^(i+j) d^i/dx^i d^j/dy^j G(x, y; sigma) for i + j <= order, and sigma = 2^s
with one learned s a layer. The grid is -R..R, R = ceil(2 sigma + 0.5); on it G's profile is normalised to sum one, and
sigma^m g^(m)(x) = (-1)^m He_m(x / sigma) g(x). No bias, stride 1 or more, zero padding R. No gradient flows through R.

By default a layer makes its kernel and convolves with it, as published. `backend="basis"` computes the same by the linearity of it
all: rows and columns are filtered with the profiles, as products with banded matrices, and a 1x1 convolution mixes what comes out,
with alpha as its weights: about 6 / 49 of the multiplications for order 2 at sigma = 1. "auto" does so where it saves enough of them.

R decides shapes, so the host has to know it: `NJetNetwork` fetches all scales in one transfer, in every step on a CPU (exactly the
method) and every CUDA_EVERY-th training step elsewhere, besides each change between training and evaluation. Timed at sigma = 1, where
training starts: no trained scales are published.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.one_backend import OneBackend

CUDA_EVERY = 10
EXTENT = 2.0  # R is this many sigmas and a half, rounded up
SHRINK_FROM = 4.0  # r of the safe subsampling
BACKENDS = ("direct", "basis", "auto")
WORTHWHILE = 5  # "auto": the basis has to save this factor of multiplications; products of narrow maps are slower ones


def orders(order: int) -> list[tuple[int, int]]:
    """(i, j) of the basis: derivatives along x and along y with i + j <= order."""
    return [(i, total - i) for total in range(order + 1) for i in range(total, -1, -1)]


def profiles(sigma: Tensor, radius: int, order: int, cut: int | None = None) -> Tensor:
    """sigma^m g^(m) on -radius..radius for m = 0..order: sigma (...) -> (order + 1, ..., 2 radius + 1), g summing to one.

    cut: g is zero farther out than this.
    """
    x = torch.arange(-radius, radius + 1, device=sigma.device, dtype=sigma.dtype)
    z = x / sigma[..., None]
    g = torch.exp(-z.square() / 2)
    if cut is not None:
        g = g * (x.abs() <= cut)
    g = g / g.sum(-1, keepdim=True)
    hermite = [torch.ones_like(z), z]
    for m in range(1, order):
        hermite.append(z * hermite[m] - m * hermite[m - 1])
    return torch.stack([(-1) ** m * hermite[m] * g for m in range(order + 1)])


def bands(sigma: Tensor, length: int, *, radius: int, order: int, stride: int) -> Tensor:
    """Matrices (order + 1, length, ceil(length / stride)) that filter a row (..., length) from the right, zero outside it."""
    reach = max(radius, length - 1)
    p = profiles(sigma, reach, order, cut=radius)
    inner = torch.arange(length, device=sigma.device)[:, None]
    return p[:, inner - torch.arange(0, length, stride, device=sigma.device) + reach]


class NJetConv2d(nn.Module):
    """(B, inner, H, W) -> (B, outer, ceil(H / stride), ceil(W / stride)).

    subsample: before the convolution the map shrinks to floor(H / f) by nearest interpolation, f = max(1, 2^sigma / 4), which
    does nothing up to sigma = 2. `sigma_now` is the scale as the host knows it.
    """

    def __init__(
        self,
        inner: int,
        outer: int,
        *,
        order: int,
        stride: int = 1,
        subsample: bool = False,
        backend: str = "direct",
    ) -> None:
        super().__init__()
        if order not in (1, 2, 3, 4):
            raise ValueError(f"order is {order!r}: choose 1, 2, 3 or 4.")
        if backend not in BACKENDS:
            raise ValueError(f"backend is {backend!r}: choose one of {', '.join(BACKENDS)}.")
        self.order, self.stride, self.subsample, self.backend = order, stride, subsample, backend
        self.alpha = nn.Parameter(torch.randn(len(orders(order)), inner, outer))
        self.scale = nn.Parameter(torch.zeros(()))  # s, sigma = 2^s
        self.sigma_now = 1.0

    @property
    def radius(self) -> int:
        return math.ceil(EXTENT * self.sigma_now + 0.5)

    def kernel(self) -> Tensor:
        """(outer, inner, 2R + 1, 2R + 1)."""
        p = profiles(torch.exp2(self.scale), self.radius, self.order)
        basis = torch.stack([p[j][:, None] * p[i] for i, j in orders(self.order)])  # rows are y
        kernel = torch.einsum("bio,bp->oip", self.alpha, basis.flatten(1))
        return kernel.unflatten(2, basis.shape[1:])

    def forward(self, images: Tensor) -> Tensor:
        if self.subsample:
            factor = max(1.0, 2.0**self.sigma_now / SHRINK_FROM)
            if factor > 1:
                images = F.interpolate(images, size=[max(1, int(side / factor)) for side in images.shape[2:]])
        if self.backend == "basis" or self.backend == "auto" and self.saving(images.shape[3]) >= WORTHWHILE:
            return self.by_basis(images)
        return F.conv2d(images, self.kernel(), stride=self.stride, padding=self.radius)

    def saving(self, width: int) -> float:
        """How many times fewer multiplications the basis needs than the kernel, for maps of this width."""
        basis, _, outer = self.alpha.shape
        return (2 * self.radius + 1) ** 2 * outer / (basis * outer + (basis + self.order + 1) * width)

    def by_basis(self, images: Tensor) -> Tensor:
        """The convolution without its kernel."""
        sigma, shape = (
            torch.exp2(self.scale),
            {"radius": self.radius, "order": self.order, "stride": self.stride},
        )
        across = bands(sigma, images.shape[3], **shape)
        down = bands(sigma, images.shape[2], **shape).transpose(1, 2)
        rows = [images @ matrix for matrix in across]
        filtered = torch.cat([down[j] @ rows[i] for i, j in orders(self.order)], 1)
        return F.conv2d(filtered, self.alpha.flatten(0, 1).t()[:, :, None, None])


class NJetNetwork(OneBackend, nn.Module):
    """A network with N-Jet layers, images (B, C, H, W) -> logits: tells the layers' scales to the host when they are due."""

    static_shapes = False

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.channels_last = self.backend == "direct"
        self._passes = 0  # since the mode last changed
        self._mode: bool | None = None  # of the last pass

    def layers(self) -> list[NJetConv2d]:
        """In forward order."""
        return [module for module in self.network.modules() if isinstance(module, NJetConv2d)]

    def kernel_sizes(self) -> list[int]:
        """Sides of the layers' kernels in the last forward pass."""
        return [2 * layer.radius + 1 for layer in self.layers()]

    @torch.no_grad()
    def decide(self) -> None:
        """Fetch every layer's scale now, in one transfer."""
        layers = self.layers()
        sigmas = torch.exp2(torch.stack([layer.scale for layer in layers]))
        if not sigmas.is_meta:
            for layer, sigma in zip(layers, sigmas.tolist(), strict=True):
                layer.sigma_now = sigma

    def forward(self, images: Tensor) -> Tensor:
        if self._mode != self.training:
            self._mode, self._passes = self.training, 0
        every = 1 if images.device.type == "cpu" else CUDA_EVERY
        if self._passes % every == 0 and (self.training or self._passes == 0):
            self.decide()
        self._passes += 1
        return self.network(images)

    def get_extra_state(self) -> dict[str, Any]:
        """The scales that the host knows, and where between two transfers the run is."""
        return {"sigmas": [layer.sigma_now for layer in self.layers()], "passes": self._passes, "mode": self._mode}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """See get_extra_state."""
        self._passes, self._mode = state["passes"], state["mode"]
        for layer, sigma in zip(self.layers(), state["sigmas"], strict=True):
            layer.sigma_now = sigma
