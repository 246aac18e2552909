"""FlexConv (Romero et al. 2022): convolution whose kernel a coordinate network draws under a learned Gaussian; CKConv: without it.

    K = exp(-1/2 ((y - m_y) / s_y)^2) * exp(-1/2 ((x - m_x) / s_x)^2) * MAGNet(y, x)

on a grid of `horizon` points a side from -1 to 1. Where the Gaussian is below a threshold the kernel is cropped, symmetrically about
the grid's centre, so its sides follow from the Gaussian and are always odd. Mean and sigma learn through the retained cells only.

The authors' code crops the grid *before* it evaluates the network ("before", the default). "after" evaluates the whole grid and
crops then: the same kernel at a higher cost, as others have described the method. "never" masks without cropping.

Deviations: |sigma| has a lower bound, SIGMA_GUARD, since the gradient grows as 1 / sigma and is inf or NaN near zero; the authors
mended the same in their next network (CCNN) by adding 1e-8 to sigma squared. Where |sigma| is above the bound, outputs and gradients
are bit for bit those without it. Below it the bound's value is used and sigma gets the gradient of that, so that it can grow again.
A centred Gaussian at the bound leaves one cell of every grid of up to 900 points, so no size is kept from being learned.
`sigma_guard=None` is as published. Off by default: convolution through the Fourier transform.
"""

import math
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.fft_conv import fft_conv2d, fft_pays
from baselines.kernel_nets import KERNEL_NETS

SIGMA = 0.075  # initial, of both axes
SIGMA_GUARD = 1e-3
THRESHOLD = 0.1
CROPS = ("before", "after", "never")
# Above this side torch's CPU backward pass in channels-last order was measured up to 40 times slower than in the usual order.
CPU_CHANNELS_LAST_LIMIT = 13
BACKENDS = ("direct", "fft", "auto")


def cropped_size(mean: float, sigma: float, horizon: int, threshold: float = THRESHOLD) -> int:
    """Side of the kernel that one axis of the Gaussian leaves: odd, from 1 to `horizon`.

    Kept are the points strictly closer to the grid's centre than the farther of the two places where the Gaussian falls to
    `threshold`; all of them where that place is on or outside the grid's edge.
    """
    reach = abs(mean) + abs(sigma) * math.sqrt(-2 * math.log(threshold))
    if not reach < 1:  # also where training has diverged to NaN: the loss is to show it, not an index
        return horizon
    return 2 * max(0, math.ceil(reach * (horizon // 2)) - 1) + 1


def keep_above(sigma: Tensor, bound: float) -> Tensor:
    """`sigma` where it is at least `bound` away from zero, else the bound with its sign; the gradient passes as it is."""
    bounded = sigma.abs().clamp(min=bound).copysign(sigma)
    return sigma + (bounded - sigma).detach()  # adds exactly 0 above the bound


def centre(tensor: Tensor, size: tuple[int, int]) -> Tensor:
    """The central (h, w) window of the last two axes; sides of odd parity."""
    top, left = ((n - k) // 2 for n, k in zip(tensor.shape[-2:], size, strict=True))
    return tensor[..., top : top + size[0], left : left + size[1]]


def convolve(x: Tensor, kernel: Tensor, bias: Tensor, *, stride: int = 1, backend: str = "direct") -> Tensor:
    """Cross-correlation with zero padding of half a kernel, then every stride-th output.

    Args:
        x: (B, in, H, W)
        kernel: (out, in, kh, kw), sides odd.
        bias: (out,)
        stride: of both axes.
        backend: "direct", "fft", or "auto" for whichever is expected to be faster at these shapes.

    Returns:
        (B, out, ceil(H / stride), ceil(W / stride))
    """
    # Cells farther from the centre than the image is long meet only padding.
    rows, columns = (min(k, 2 * n - 1) for k, n in zip(kernel.shape[-2:], x.shape[-2:], strict=True))
    reached = (rows, columns)
    kernel = centre(kernel, reached)
    if backend == "auto":
        backend = "fft" if fft_pays(x.shape, kernel.shape, stride=stride) else "direct"
    if backend == "fft":
        return fft_conv2d(x, kernel, bias)[..., ::stride, ::stride]
    if x.device.type == "cpu" and max(reached) > CPU_CHANNELS_LAST_LIMIT:
        x = x.contiguous()
    return F.conv2d(x, kernel, bias, stride=stride, padding=(reached[0] // 2, reached[1] // 2))


class CKConv(nn.Module):
    """Convolution with a generated kernel over the whole grid: no mask, no cropping.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        horizon: points a side of the grid, odd, at least 3; the kernel's size.
        kernel: a name of `kernel_nets.KERNEL_NETS`.
        backend: see `convolve`.
        stride: of the output.

    Raises:
        ValueError: for an even horizon or an unknown kernel or backend.
    """

    steps: Tensor
    mu_scale = 1.0  # bound on the Gabor filters' initial centres

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        horizon: int,
        kernel: str = "magnet",
        backend: str = "direct",
        stride: int = 1,
    ) -> None:
        super().__init__()
        if horizon < 3 or horizon % 2 == 0:
            raise ValueError(
                f"horizon {horizon} is no odd number of grid points >= 3: take the image's side + 1 or - 1."
            )
        for key, value, known in (("kernel", kernel, KERNEL_NETS), ("backend", backend, BACKENDS)):
            if value not in known:
                raise ValueError(f"there is no {key} '{value}': choose one of {', '.join(known)}.")
        self.in_channels, self.out_channels, self.horizon = in_channels, out_channels, horizon
        self.backend, self.stride = backend, stride
        self.size = (horizon, horizon)  # (kh, kw) of the kernel, known to the host
        scaled: dict[str, Any] = {"mu_scale": self.mu_scale} if kernel in ("magnet", "gabor") else {}
        self.kernel_net = KERNEL_NETS[kernel](out_channels * in_channels, **scaled)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        # Steps from the centre, whole numbers and so exact in any dtype the module is moved to.
        self.register_buffer("steps", torch.arange(horizon).float() - horizon // 2, persistent=False)
        self.keep_kernel = False
        self.kept_kernel: Tensor | None = None

    def coordinates(self, size: int) -> Tensor:
        """(size,) central coordinates of one axis of the grid, in -1..1."""
        start = (self.horizon - size) // 2
        return self.steps[start : start + size] / (self.horizon // 2)

    def generate(self) -> Tensor:
        """The kernel, (out, in, kh, kw), in the parameters' precision also under autocast (its sines are steep)."""
        rows, columns = (self.coordinates(size) for size in self.size)
        return self.kernel_net(rows, columns).view(self.out_channels, self.in_channels, *self.size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        device = x.device.type
        autocast = device != "meta" and torch.is_autocast_enabled(device)
        with torch.autocast(device, enabled=False) if autocast else nullcontext():
            kernel = self.generate()
        self.kept_kernel = kernel if self.keep_kernel and self.training else None
        return self.convolve(x, kernel)

    def convolve(self, x: Tensor, kernel: Tensor) -> Tensor:
        """(B, in, H, W) with the drawn kernel -> what `forward` returns."""
        return convolve(x, kernel, self.bias, stride=self.stride, backend=self.backend)

    def extra_repr(self) -> str:
        """What print shows."""
        return f"{self.in_channels}, {self.out_channels}, horizon={self.horizon}, stride={self.stride}, backend={self.backend}"


class FlexConv(CKConv):
    """Convolution with a generated kernel under a learned Gaussian, cropped to where that counts.

    Args:
        in_channels: of the input.
        out_channels: of the output.
        crop: "before", "after" or "never" (see the module).
        sigma: the Gaussian's at the start, of both axes.
        sigma_guard: lower bound on |sigma| (see the module), or None for none, as published.
        options: of CKConv.

    Raises ValueError for another `crop`, and for a `sigma_guard` that is not above 0.

    By itself a layer reads its Gaussian on the host in every forward pass. A network that decides for all its layers at once sets
    `network_decides` and `size` (`growing.GrowingKernels`), and a pass then never waits for the device.
    """

    mu_scale = 1.667 * SIGMA

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        crop: str = "before",
        sigma: float = SIGMA,
        sigma_guard: float | None = SIGMA_GUARD,
        **options: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, **options)
        if crop not in CROPS:
            raise ValueError(f"there is no crop '{crop}': choose one of {', '.join(CROPS)}.")
        if sigma_guard is not None and not sigma_guard > 0:
            raise ValueError(f"sigma_guard is {sigma_guard}: give a number above 0, or none to go without.")
        self.crop, self.sigma_guard = crop, sigma_guard
        self.add_gaussian(sigma)
        self.network_decides = False
        self.decide([[0.0, sigma], [0.0, sigma]])

    def add_gaussian(self, sigma: float) -> None:
        """Create the Gaussian's parameters."""
        self.mask = nn.Parameter(torch.tensor([[0.0, sigma], [0.0, sigma]]))  # [[m_y, s_y], [m_x, s_x]]

    def gaussians(self) -> Tensor:
        """[[m_y, s_y], [m_x, s_x]], differentiable."""
        return self.mask

    def decide(self, mask: list[list[float]]) -> None:
        """Set `size` from the Gaussian's values [[m_y, s_y], [m_x, s_x]]."""
        if self.crop != "never":
            guard = self.sigma_guard or 0.0
            rows, columns = (cropped_size(mean, max(abs(sigma), guard), self.horizon) for mean, sigma in mask)
            self.size = (rows, columns)

    def gaussian(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Factors on a grid of coordinates: (kh,), (kw,) -> (kh, kw)."""
        mean, sigma = self.gaussians().unbind(1)
        if self.sigma_guard is not None:
            sigma = keep_above(sigma, self.sigma_guard)
        vertical, horizontal = (((x - mean[i]) / sigma[i]).square() for i, x in enumerate((rows, columns)))
        return torch.exp(-0.5 * (vertical[:, None] + horizontal))

    def generate(self) -> Tensor:
        """The masked, cropped kernel, (out, in, kh, kw)."""
        if not self.network_decides and not self.bias.is_meta:
            self.decide(self.gaussians().tolist())
        drawn = self.size if self.crop == "before" else (self.horizon, self.horizon)
        rows, columns = (self.coordinates(size) for size in drawn)
        kernel = self.kernel_net(rows, columns, self.gaussian(rows, columns))
        return centre(kernel, self.size).view(self.out_channels, self.in_channels, *self.size)
