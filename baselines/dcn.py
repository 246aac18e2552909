"""DCN-sigma^ji (Tomen, Pintea, van Gemert 2021): three blocks that integrate an ODE over [0, 2], on CIFAR-10; 472,202 parameters.

dh/dt = GN(S2([t, CELU(GN(S1([t, CELU(GN(h))])))])): [t, .] puts a channel equal to t in front; S is a convolution whose 7x7 kernels
combine the Gaussian derivatives up to order 2, one learned sigma for each pair of an input and an output channel. The kernels do
not depend on t and are built once a forward pass; the channel of t is convolved once, and multiplied by t afterwards.

Solver: Dormand-Prince 5(4), adaptive, both tolerances 1e-3; its steps depend on the whole batch. Deviation: gradients by
back-propagation through the solver's steps, not by the adjoint equation; cheaper and more accurate; `gradient="adjoint"` is as
published. The state is float32 in every precision, since bfloat16 is coarser than the tolerance. MACs are those of one black image.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.njet import orders, profiles
from baselines.registry import system

CHANNELS, RADIUS, ORDER, END = (32, 64, 128), 3, 2, 2.0
TOLERANCE, MAX_STEPS = 1e-3, 100
GRADIENTS = ("direct", "adjoint")


class PairwiseGaussian(nn.Module):
    """Kernels of Gaussian derivatives with a sigma for each (input, output) pair: () -> (outer, inner, 7, 7)."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(0.1 * torch.randn(len(orders(ORDER)), inner, outer))
        self.scale = nn.Parameter(2 / 3 * torch.randn(inner, outer))  # s, sigma = 2^s

    def forward(self) -> Tensor:
        p = profiles(torch.exp2(self.scale), RADIUS, ORDER)  # (3, inner, outer, 7)
        alpha = dict(zip(orders(ORDER), self.alpha.unbind(), strict=True))
        kernel: Any = 0
        for j in range(ORDER + 1):
            along_x: Any = sum(alpha[i, j][..., None] * p[i] for i in range(ORDER + 1 - j))
            kernel = kernel + p[j][..., :, None] * along_x[..., None, :]
        return kernel.transpose(0, 1).contiguous()


class ODEBlock(nn.Module):
    """h(0) -> h(2), (B, C, H, W) both. `evaluations`: of the right-hand side in the last forward pass; with the gradient "adjoint"
    those of the backward pass, too."""

    def __init__(self, channels: int, *, tolerance: float, max_steps: int, gradient: str) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(min(32, channels), channels) for _ in range(3))
        self.first, self.second = (PairwiseGaussian(channels + 1, channels) for _ in range(2))
        self.tolerance, self.max_steps, self.gradient = tolerance, max_steps, gradient
        self.evaluations = 0

    def derivative(self, t: Tensor, h: Tensor, kernels: list[Tensor]) -> Tensor:
        """dh/dt; `kernels`: what `make_kernels` returns."""
        first, first_t, second, second_t = kernels
        h = F.conv2d(F.celu(self.norms[0](h)), first, padding=RADIUS) + t * first_t
        h = F.conv2d(F.celu(self.norms[1](h)), second, padding=RADIUS) + t * second_t
        return self.norms[2](h)

    def make_kernels(self, h: Tensor) -> list[Tensor]:
        """Of both layers: the kernels for h's channels, and the response (1, C, H, W) to a channel of ones, t's for t = 1."""
        ones, parts = torch.ones_like(h[:1, :1]), []
        for layer in (self.first, self.second):
            kernel = layer()
            parts += [kernel[:, 1:], F.conv2d(ones, kernel[:, :1], padding=RADIUS)]
        return parts

    def forward(self, h: Tensor) -> Tensor:
        if h.is_meta:  # no numbers to adapt the steps to: one evaluation has the shapes
            return self.derivative(torch.zeros((), device="meta"), h, self.make_kernels(h))
        with torch.autocast(h.device.type, enabled=False):
            h = h.to(self.first.alpha.dtype)
            return self.integrate(h, self.make_kernels(h))

    def integrate(self, h: Tensor, kernels: list[Tensor]) -> Tensor:
        """Solve from 0 to 2. Raises ArithmeticError where the solver takes more than its steps, or meets numbers that are none."""
        import torchdiffeq

        self.evaluations = 0

        def function(t: Tensor, state: Tensor) -> Tensor:
            self.evaluations += 1
            return self.derivative(t, state, kernels)

        settings = {"rtol": self.tolerance, "atol": self.tolerance, "method": "dopri5"}
        settings["options"] = {"max_num_steps": self.max_steps}
        times = torch.tensor([0.0, END], device=h.device, dtype=h.dtype)
        try:
            if self.gradient == "adjoint":
                learned = (*kernels, *self.norms.parameters())
                return torchdiffeq.odeint_adjoint(function, h, times, adjoint_params=learned, **settings)[-1]
            return torchdiffeq.odeint(function, h, times, **settings)[-1]
        except AssertionError as error:  # how the solver says that it cannot go on
            raise ArithmeticError(
                f"the ODE solver gave up ({str(error).split(':')[0].strip()}; at most {self.max_steps} steps): "
                "lower the learning rate, or raise max_steps."
            ) from None


class DCN(nn.Module):
    """Images (B, C, H, W) in 0..1 -> logits (B, classes)."""

    static_shapes = False  # the number of solver steps changes
    channels_last = False

    def __init__(self, *, in_channels: int, num_classes: int, **solver: Any) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(in_channels, CHANNELS[0], 3)]
        for width, following in zip(CHANNELS, (*CHANNELS[1:], None), strict=True):
            layers += [ODEBlock(width, **solver), nn.GroupNorm(min(32, width), width), nn.CELU()]
            if following:
                layers.append(nn.Conv2d(width, following, 4, 2, 1))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(CHANNELS[-1], num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images).mean((2, 3)))

    def history_columns(self) -> dict:
        """Evaluations of each block's right-hand side in the last forward pass, for the record of an epoch."""
        return {"solver_evaluations": [m.evaluations for m in self.features if isinstance(m, ODEBlock)]}


@system
def dcn_sigma_ji(
    *,
    in_channels: int,
    num_classes: int,
    image_size: int,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    gradient: str = "direct",
) -> nn.Module:
    """DCN-sigma^ji.

    Args:
        in_channels: of the images.
        num_classes: of the output.
        image_size: side of the images; at least 10.
        tolerance: of the solver, relative and absolute.
        max_steps: of the solver in one block; more end the run.
        gradient: "direct", through the solver's steps, or "adjoint" as published.
    """
    if gradient not in GRADIENTS:
        raise ValueError(f"gradient is {gradient!r}: choose one of {', '.join(GRADIENTS)}.")
    if not tolerance > 0 or max_steps < 1:
        raise ValueError(f"tolerance is {tolerance!r} and max_steps {max_steps!r}: give numbers above 0.")
    return DCN(
        in_channels=in_channels, num_classes=num_classes, tolerance=tolerance, max_steps=max_steps, gradient=gradient
    )
