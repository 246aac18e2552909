"""Networks that map a coordinate to the values of a kernel there: MAGNet, Gabor, Fourier and SIREN (Romero et al. 2022, FlexConv).

Initial distributions are those of the published experiments, constants included; in particular every bias keeps torch's default,
so kernels start almost constant in space, and no correction scales the generated kernel.

A kernel of size (kh, kw) is evaluated on the grid of kh row and kw column coordinates. What separates over the axes (the exponent
of a Gaussian, the phase of a sine) is computed per axis and added, and a mask enters before the last linear map,
    mask * (W z + b) = [W b] [mask * z; mask],
which spares two passes over all channel pairs; neither changes the result beyond rounding.
"""

import math

import torch
from torch import Tensor, nn

HIDDEN = 32  # units of every layer
LAYERS = 3  # hidden linear maps
INPUT_SCALE = 25.6
OMEGA_0 = 30.0


def _default_uniform(*shape: int, fan_in: int) -> Tensor:
    """torch's default for linear weights and biases: U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
    return torch.empty(*shape).uniform_(-1, 1) / math.sqrt(fan_in)


class KernelNet(nn.Module):
    """A coordinate network; `features` is what a subclass adds, the last map to all channel pairs is linear."""

    def __init__(self, outputs: int, *, hidden: int = HIDDEN, output_bound: float | None = None) -> None:
        super().__init__()
        weight = _default_uniform(outputs, hidden, fan_in=hidden)
        if output_bound is not None:
            weight = weight * (output_bound * math.sqrt(hidden))
        self.output_weight = nn.Parameter(weight)
        self.output_bias = nn.Parameter(_default_uniform(outputs, fan_in=hidden))

    def features(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Coordinates (kh,), (kw,) -> hidden units (hidden, kh * kw)."""
        raise NotImplementedError

    def forward(self, rows: Tensor, columns: Tensor, mask: Tensor | None = None) -> Tensor:
        """Kernel values on a grid.

        Args:
            rows: (kh,) vertical coordinates.
            columns: (kw,) horizontal coordinates.
            mask: (kh, kw) factors, or None for none.

        Returns:
            (outputs, kh, kw)
        """
        z = self.features(rows, columns)
        if mask is None:
            values = torch.addmm(self.output_bias[:, None], self.output_weight, z)
        else:
            factors = mask.reshape(1, -1)
            weights = torch.cat([self.output_weight, self.output_bias[:, None]], 1)
            values = weights @ torch.cat([z * factors, factors])
        return values.view(-1, len(rows), len(columns))


class MultiplicativeFilterNet(KernelNet):
    """z_0 = g_0(x), z_l = g_l(x) * (W_l z_{l-1} + b_l): a subclass says what the filters g_l are."""

    def __init__(
        self, outputs: int, *, hidden: int = HIDDEN, layers: int = LAYERS, input_scale: float = INPUT_SCALE
    ) -> None:
        super().__init__(outputs, hidden=hidden)
        filters = layers + 1
        self.weight = nn.Parameter(_default_uniform(layers, hidden, hidden, fan_in=hidden))
        self.bias = nn.Parameter(_default_uniform(layers, hidden, fan_in=hidden))
        # The factor spreads the frequencies of a product of `filters` sines over those of one.
        frequency = _default_uniform(filters, hidden, 2, fan_in=2) * (input_scale / math.sqrt(filters))
        self.frequency = nn.Parameter(frequency)
        self.phase = nn.Parameter(torch.empty(filters, hidden).uniform_(-math.pi, math.pi))

    def filters(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Coordinates (kh,), (kw,) -> all filters at once, (layers + 1, hidden, kh, kw)."""
        vertical = self.frequency[..., :1] * rows + self.phase[..., None]  # (layers + 1, hidden, kh)
        horizontal = self.frequency[..., 1:] * columns
        return torch.sin(vertical[..., :, None] + horizontal[..., None, :])

    def features(self, rows: Tensor, columns: Tensor) -> Tensor:
        """See KernelNet."""
        g = self.filters(rows, columns).flatten(2)  # (layers + 1, hidden, kh * kw)
        z = g[0]
        for i in range(len(self.weight)):
            z = g[i + 1] * torch.addmm(self.bias[i][:, None], self.weight[i], z)
        return z


class FourierNet(MultiplicativeFilterNet):
    """Multiplicative filter network of plain sines."""


class GaborNet(MultiplicativeFilterNet):
    """Multiplicative filter network whose sines sit under round Gaussians; `mu_scale` bounds their initial centres."""

    anisotropic = False

    def __init__(
        self,
        outputs: int,
        *,
        hidden: int = HIDDEN,
        layers: int = LAYERS,
        input_scale: float = INPUT_SCALE,
        mu_scale: float = 1.0,
    ) -> None:
        super().__init__(outputs, hidden=hidden, layers=layers, input_scale=input_scale)
        self.mu = nn.Parameter(torch.empty(layers + 1, hidden, 2).uniform_(-mu_scale, mu_scale))
        axes = 2 if self.anisotropic else 1
        shapes = torch.tensor(self.gamma_shapes(layers + 1)).view(-1, 1, 1).expand(-1, hidden, axes)
        # Gamma variates have no kernel for the meta device, on which networks are built to be counted.
        gamma = (
            torch.empty(shapes.shape) if shapes.is_meta else torch.distributions.Gamma(shapes, torch.ones(())).sample()
        )
        self.gamma = nn.Parameter(gamma)
        with torch.no_grad():
            self.frequency.mul_(gamma)

    @staticmethod
    def gamma_shapes(filters: int) -> list[float]:
        """Shape parameter of the Gamma distribution (rate 1) that each filter's inverse widths start from."""
        return [6.0 / filters] * filters

    def filters(self, rows: Tensor, columns: Tensor) -> Tensor:
        """Coordinates (kh,), (kw,) -> all filters at once, (layers + 1, hidden, kh, kw)."""
        vertical = (self.gamma[..., :1] * (rows - self.mu[..., :1])).square()  # (layers + 1, hidden, kh)
        horizontal = (self.gamma[..., -1:] * (columns - self.mu[..., 1:])).square()
        envelope = torch.exp(-0.5 * (vertical[..., :, None] + horizontal[..., None, :]))
        return envelope * super().filters(rows, columns)


class MAGNet(GaborNet):
    """Multiplicative anisotropic Gabor network: one inverse width an axis, later filters wider."""

    anisotropic = True

    @staticmethod
    def gamma_shapes(filters: int) -> list[float]:
        """See GaborNet."""
        return [6.0 / (i + 1) for i in range(filters)]


class SIREN(KernelNet):
    """Sinusoidal network (Sitzmann et al. 2020): sin(omega_0 (W x + b)) twice, then linear; omega_0 is fixed."""

    def __init__(self, outputs: int, *, hidden: int = HIDDEN, omega_0: float = OMEGA_0) -> None:
        bound = math.sqrt(6 / hidden) / omega_0
        super().__init__(outputs, hidden=hidden, output_bound=bound)
        self.omega_0 = omega_0
        self.weight1 = nn.Parameter(torch.empty(hidden, 2).uniform_(-0.5, 0.5))
        self.bias1 = nn.Parameter(_default_uniform(hidden, fan_in=2))
        self.weight2 = nn.Parameter(torch.empty(hidden, hidden).uniform_(-bound, bound))
        self.bias2 = nn.Parameter(_default_uniform(hidden, fan_in=hidden))

    def features(self, rows: Tensor, columns: Tensor) -> Tensor:
        """See KernelNet."""
        vertical = self.weight1[:, :1] * rows + self.bias1[:, None]
        horizontal = self.weight1[:, 1:] * columns
        z = torch.sin(self.omega_0 * (vertical[:, :, None] + horizontal[:, None, :])).flatten(1)
        return torch.sin(self.omega_0 * torch.addmm(self.bias2[:, None], self.weight2, z))


KERNEL_NETS: dict[str, type[KernelNet]] = {"magnet": MAGNet, "gabor": GaborNet, "fourier": FourierNet, "siren": SIREN}
