"""Parameters and multiply-accumulates as functions of the kernel sizes, and the budget loss (Eqs. 3, 4): |log(count / budget)|.

Eq. 3 counts the learned kernels alone, sum_l c_l c_{l-1} s_l^2; the tables' sizes are whole networks. Scope "total" (default)
therefore takes what is not learned off the budget, scope "kernels" compares Eq. 3 with the budget as it is. Deviation: budgets in
multiply-accumulates, which the paper does not have: each kernel's parameters times its layer's number of output positions.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from effconv.convert import LearnableLayer

SCOPES = ("total", "kernels")


def budget_loss(count: Tensor, budget: float | Tensor) -> Tensor:
    """|log(count / budget)|, a scalar; both positive, in the same unit."""
    return torch.log(count / budget).abs()


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What a network costs as a function of its learned sizes; one entry a learned layer."""

    weights: tuple[int, ...]  # parameters of one kernel position: output channels x input channels a group
    positions: tuple[int, ...]  # output positions a multiply-accumulate of each weight is done at, for one image
    fixed_parameters: int  # everything that is not a learned kernel
    fixed_macs: int

    @classmethod
    def of(cls, layers: "Sequence[LearnableLayer]", before: Mapping[str, int]) -> "Costs":
        """The costs of a network whose counts are `before` at its layers' own sizes."""
        weights = tuple(layer.inner * layer.outer for layer in layers)
        positions = tuple(layer.positions for layer in layers)
        learned = [(w * layer.size**2, p) for w, p, layer in zip(weights, positions, layers, strict=True)]
        return cls(
            weights=weights,
            positions=positions,
            fixed_parameters=before["parameters"] - sum(w for w, _ in learned),
            fixed_macs=before["macs"] - sum(w * p for w, p in learned),
        )

    def factors(self, unit: str) -> tuple[int, ...]:
        """Cost of one kernel position of each layer in `unit`: "parameters" or "macs"."""
        if unit == "parameters":
            return self.weights
        return tuple(w * p for w, p in zip(self.weights, self.positions, strict=True))

    def kernels(self, unit: str, sizes: Sequence[int]) -> int:
        """The learned kernels' cost alone (Eq. 3)."""
        return sum(factor * size * size for factor, size in zip(self.factors(unit), sizes, strict=True))

    def total(self, unit: str, sizes: Sequence[int]) -> int:
        """The whole network's cost."""
        return self.kernels(unit, sizes) + (self.fixed_parameters if unit == "parameters" else self.fixed_macs)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The desired counts; either, both or none (sizes are then free)."""

    parameters: int | None = None
    macs: int | None = None
    scope: str = "total"

    def __post_init__(self) -> None:
        if self.scope not in SCOPES:
            raise ValueError(f"budget_scope is {self.scope!r}: choose one of {', '.join(SCOPES)}.")

    def wanted(self) -> dict[str, int]:
        """The counts that are asked for, by unit."""
        both = {"parameters": self.parameters, "macs": self.macs}
        return {unit: int(count) for unit, count in both.items() if count is not None}

    def count(self, costs: Costs, unit: str, sizes: Sequence[int]) -> int:
        """The count that the budget is about, at these sizes."""
        return costs.total(unit, sizes) if self.scope == "total" else costs.kernels(unit, sizes)

    def check(self, costs: Costs, greatest: Sequence[int]) -> None:
        """ValueError where no assignment of sizes 1..greatest reaches the budget."""
        for unit, wanted in self.wanted().items():
            least = self.count(costs, unit, [1] * len(greatest))
            most = self.count(costs, unit, greatest)
            if not least <= wanted <= most:
                what = "the whole network" if self.scope == "total" else "the learned kernels"
                raise ValueError(
                    f"No kernel sizes give {what} {wanted:,} {unit}: choose a budget from {least:,} (every size 1) "
                    f"to {most:,} (every size its greatest)."
                )

    def targets(self, costs: Costs) -> dict[str, int]:
        """p_d of Eq. 4: what is left of each budget for the learned kernels."""
        fixed = {"parameters": costs.fixed_parameters, "macs": costs.fixed_macs}
        return {u: wanted - (fixed[u] if self.scope == "total" else 0) for u, wanted in self.wanted().items()}

    def loss(self, costs: Costs, sizes: Tensor) -> Tensor:
        """L_param (plus the same in multiply-accumulates where asked for) of differentiable sizes (L,)."""
        return self.loss_of_areas(costs, sizes.square())

    def loss_of_areas(self, costs: Costs, areas: Tensor) -> Tensor:
        """The same of differentiable numbers of kernel positions (L,)."""
        total = areas.new_zeros(())
        for unit, target in self.targets(costs).items():
            factors = torch.tensor(costs.factors(unit), dtype=areas.dtype, device=areas.device)
            # All sizes 1 may be exactly the budget's least: a target of 0 is then one weight, not log(0).
            total = total + budget_loss((factors * areas).sum(), max(target, 1))
        return total

    def signed(self, costs: Costs, sizes: Tensor) -> Tensor:
        """log(count / budget) of differentiable sizes (L,), summed over the units asked for; 0 without a budget."""
        total = sizes.new_zeros(())
        for unit, target in self.targets(costs).items():
            factors = torch.tensor(costs.factors(unit), dtype=sizes.dtype, device=sizes.device)
            total = total + torch.log((factors * sizes.square()).sum() / max(target, 1))
        return total

    def deviation(self, costs: Costs, sizes: Sequence[int]) -> float:
        """Greatest |count / budget - 1| over the units asked for; 0 without a budget."""
        wanted = self.wanted()
        return max((abs(self.count(costs, u, sizes) / n - 1) for u, n in wanted.items()), default=0.0)


def parse_count(text: str) -> int:
    """Reads '0.66M', "80M", "660k", "1.2G" or "660000" -> a whole number. ValueError for anything else."""
    scale = {"k": 1e3, "m": 1e6, "g": 1e9}.get(text[-1:].lower(), 1)
    try:
        value = float(text[:-1] if scale > 1 else text) * scale
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 1:
        raise ValueError(f"{text!r} is not a count: write it like 660000, 660k, 0.66M or 1.2G.")
    return round(value)
