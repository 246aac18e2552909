"""CCNN-4,140 (Knigge et al. 2023): depthwise FlexConv kernels in four residual blocks of 140 channels.

201,042 parameters with 10 classes. Stem: separable FlexConv, BN, GELU. Block: BN, separable FlexConv, GELU, dropout of whole maps,
1x1, GELU, plus the input. Then BN, global average, linear. A separable FlexConv is one 33x33 kernel a channel (FlexConv's: a MAGNet
under a learned Gaussian, here always centred, cropped), then a 1x1 convolution. Written anew; facts of the published commands:
* On CIFAR-10 sigma starts at 0.75, the whole grid, where FlexNet, and CCNN with 380 channels, start at 0.075.
* The penalty is weight times the sum of norms (not squared) of the kernels and of every parameter outside the kernel networks.
* The commands ask for a lower learning rate of the Gaussians. The published code looks for them by a name that they do not have, so
  that they train at the recipe's; here, too.
* Dropout of single values, not maps, on STL-10.
* Convolution is direct. Backend "auto" takes the Fourier transform for kernels of more than 7x7 cells: the same function, at 33x33 on
  32-pixel images 25 times faster (measured on one core of an x86 server, where the two cross between 5x5 and 7x7).

Deviations: the lower bound on |sigma| is FlexConv's (`flexconv.SIGMA_GUARD`; the authors add 1e-8 to sigma squared). Images keep their
size; the published loader of STL-10 makes them 256 pixels wide.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.fft_depthwise import fft_depthwise_conv2d
from baselines.flexconv import FlexConv, centre
from baselines.growing import POSITIONS, GrowingKernels
from baselines.kernel_nets import MAGNet
from baselines.registry import system

CHANNELS, BLOCKS, POINTS = 140, 4, 33
DROPOUT = 0.1
DIRECT_CELLS = 49  # backend "auto" convolves directly with kernels up to these


class DepthwiseFlexConv(FlexConv):
    """One FlexConv kernel a channel, its Gaussian centred: (B, C, H, W) -> (B, C, H, W). `omega_0`: of the kernel network's sines."""

    def __init__(self, channels: int, *, omega_0: float, sigma: float, backend: str) -> None:
        super().__init__(1, channels, horizon=POINTS, sigma=sigma, backend=backend)
        self.initial_sigma = sigma
        self.draw_kernel_net(omega_0)

    def add_gaussian(self, sigma: float) -> None:
        """Widths alone: the mean is not learned."""
        self.widths = nn.Parameter(torch.tensor([sigma, sigma]))

    def gaussians(self) -> Tensor:
        """[[0, s_y], [0, s_x]]."""
        return torch.stack([torch.zeros_like(self.widths), self.widths], 1)

    @torch.no_grad()
    def draw_kernel_net(self, omega_0: float) -> None:
        """CCNN's initial values where they are not FlexConv's; the last map is scaled by the kernel's initial number of cells."""
        net, cells = self.kernel_net, self.size[0] * self.size[1]
        assert isinstance(net, MAGNet)
        reach = 1.667 * self.initial_sigma
        net.mu.uniform_(-reach, reach)
        net.frequency.uniform_(-1, 1).mul_(2 * math.pi * omega_0 / math.sqrt(2)).mul_(net.gamma)
        net.phase.zero_()
        bound = math.sqrt(3 / net.weight.shape[-1])
        net.weight.uniform_(-bound, bound)
        net.bias.fill_(1.0)
        net.output_weight.uniform_(-bound, bound).div_(math.sqrt(cells))
        net.output_bias.zero_()

    def convolve(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Each channel with its own kernel, without the cells that meet nothing but padding."""
        rows, columns = (min(k, 2 * n - 1) for k, n in zip(kernel.shape[-2:], x.shape[-2:], strict=True))
        kernel = centre(kernel, (rows, columns))
        if self.backend == "fft" or self.backend == "auto" and rows * columns > DIRECT_CELLS:
            return fft_depthwise_conv2d(x, kernel, self.bias)
        return F.conv2d(x, kernel, self.bias, 1, (rows // 2, columns // 2), 1, len(kernel))


def pointwise(inner: int, outer: int) -> nn.Conv2d:
    """A biased 1x1 convolution with CCNN's initial values."""
    convolution = nn.Conv2d(inner, outer, 1)
    nn.init.kaiming_normal_(convolution.weight)
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)
    return convolution


def separable(inner: int, outer: int, **options: Any) -> nn.Sequential:
    """A depthwise FlexConv with its `options`, then a pointwise convolution."""
    return nn.Sequential(DepthwiseFlexConv(inner, **options), pointwise(inner, outer))


class Block(nn.Module):
    """(B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, convolution: nn.Module, dropout: nn.Module) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.convolution, self.dropout, self.linear = convolution, dropout, pointwise(CHANNELS, CHANNELS)

    def forward(self, x: Tensor) -> Tensor:
        h = self.dropout(F.gelu(self.convolution(self.norm(x))))
        return F.gelu(self.linear(h)) + x


class Head(nn.Module):
    """Global average and a linear classifier."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(CHANNELS, num_classes)
        nn.init.kaiming_normal_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean((2, 3)))


class CCNN(GrowingKernels):
    """The network with its penalty. Every parameter trains at the recipe's rate; it may train by any convolution."""

    timed_backends = ("direct", "auto")

    def penalty(self) -> Tensor:
        """Norms of the kernels and of all that is outside the kernel networks, times the weight; zero where it is off."""
        kernels = super().penalty()  # with the biases of the depthwise convolutions
        if not self.norm_penalty:
            return kernels
        counted = {id(p) for layer in self.layers() for p in (*layer.kernel_net.parameters(), layer.bias)}
        others = [torch.linalg.vector_norm(p) for p in self.parameters() if id(p) not in counted]
        return kernels + self.norm_penalty * torch.stack(others).sum()

    def parameter_groups(self, recipe: object) -> list[dict]:
        """One group."""
        return [{"params": list(self.parameters()), "name": "all"}]

    @torch.no_grad()
    def pretend_sizes(self, position: str) -> None:
        """Sizes as at the start, at every position: no trained CCNN's are published. ValueError for another position."""
        if position not in POSITIONS:
            raise ValueError(f"there is no position '{position}': choose one of {', '.join(POSITIONS)}.")
        for layer in self.layers():
            assert isinstance(layer, DepthwiseFlexConv)
            layer.widths.fill_(layer.initial_sigma)
        self._mode = None


@system
def ccnn4_140(
    *,
    in_channels: int,
    num_classes: int,
    image_size: int,
    backend: str = "direct",
    omega_0: float = 4231.57,
    sigma: float = 0.75,
    drop_maps: bool = True,
    norm_penalty: float = 1e-4,
    decide_every: int | None = None,
) -> nn.Module:
    """CCNN-4,140; the defaults are those of the published command for CIFAR-10.

    Args:
        in_channels: of the images.
        num_classes: of the output.
        image_size: side of the images; the grid has 33 points a side for all sizes.
        backend: "direct" as published, "fft", or "auto" (see the module).
        omega_0: scale of the kernel networks' frequencies.
        sigma: of the Gaussians at the start.
        drop_maps: dropout of whole maps; else of single values.
        norm_penalty: weight of the norms; 0 for none.
        decide_every: training steps between two decisions on sizes (`growing.GrowingKernels`).

    Raises:
        ValueError: for a sigma or omega_0 that is not above 0.
    """
    for name, value in (("sigma", sigma), ("omega_0", omega_0)):
        if not value > 0:
            raise ValueError(f"{name} is {value}: give a number above 0.")
    own = {"omega_0": omega_0, "sigma": sigma, "backend": backend}
    blocks = [
        Block(separable(CHANNELS, CHANNELS, **own), nn.Dropout2d(DROPOUT) if drop_maps else nn.Dropout(DROPOUT))
        for _ in range(BLOCKS)
    ]
    network = nn.Sequential(
        separable(in_channels, CHANNELS, **own), nn.BatchNorm2d(CHANNELS), nn.GELU(), *blocks, nn.BatchNorm2d(CHANNELS),
        Head(num_classes),
    )  # fmt: skip
    return CCNN(network, norm_penalty=norm_penalty, decide_every=decide_every)
