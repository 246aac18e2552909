"""Kernels under a learned Gaussian envelope, cropped where it has fallen off: the adaptive kernels of Tek, Cam and Karli (2021).

Free weights of the greatest size a layer times exp(-(x^2 + y^2) / (2 sigma^2)), one learnable sigma a layer, scaled so that the
envelope keeps the weights' norm. Here they learn sizes as EffConv does: a size is the width over which the envelope is above
`threshold`, v = 2 sigma sqrt(2 ln(1 / threshold)), kept within EffConv's range by Eq. 2's sigma; the budget term is Eq. 4 of the
rounded sizes. Deviations from the source: the budget, and a network that is trained anew at the cropped sizes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.free_kernels import FreeKernelSearch
from effconv import SearchOptions, SizePredictor
from effconv.convert import LearnableLayer
from effconv.size_predictor import straight_through


@dataclass(frozen=True, kw_only=True)
class EnvelopeOptions(SearchOptions):
    """EffConv's options and the envelope's: where a kernel ends, and the learning rate of the widths."""

    threshold: float = 0.1
    lr_envelope: float = 5e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.threshold < 1:
            raise ValueError(f"threshold is {self.threshold!r}: give a share of the envelope's peak between 0 and 1.")


class EnvelopeSearch(FreeKernelSearch):
    """Learns kernel sizes as the widths of Gaussian envelopes; see `SizeSearch` for arguments and errors."""

    options: EnvelopeOptions

    def __init__(self, model: nn.Module, *, options: EnvelopeOptions | None = None, seed: int = 0, **arguments):
        super().__init__(model, options=options or EnvelopeOptions(), seed=seed, **arguments)
        self.widths = SizePredictor(
            len(self.layers), variant="free", k=[layer.k for layer in self.layers], tau=self.options.tau,
            b=[layer.b for layer in self.layers],
        ).to(self.start_device)  # fmt: skip

    def spread_size(self, layer: LearnableLayer) -> int:
        return layer.greatest  # the envelope keeps the whole kernel's norm

    def step_kernels(self) -> list[Tensor]:
        soft = self.widths.soft()
        for_mask = soft.detach() if self.options.data_free else soft.view_as(soft)
        for_budget = soft.view_as(soft)
        values = soft.detach().tolist()
        sizes = self.progress.rounded(values)
        self._penalty = self.options.lam * self.budget.loss(self.costs, straight_through(for_budget, sizes))
        if self._in_training:
            self.progress.note(sizes, values, for_mask, for_budget)
        pairs = zip(self.kernels, for_mask.unbind(0), strict=True)
        return [kernel * envelope(kernel.shape[-1], width, self.options.threshold) for kernel, width in pairs]

    def parameter_groups(self) -> list[dict]:
        """Groups for AdamW; the widths are not decayed."""
        return self.groups(list(self.widths.parameters()), self.options.lr_envelope, "widths")

    @property
    def soft_sizes(self) -> tuple[float, ...]:
        with torch.no_grad():
            return tuple(self.widths.soft().tolist())

    def set_sizes(self, sizes: Sequence[int]) -> None:
        self.widths.start_at(sizes)


def envelope(size: int, width: Tensor, threshold: float) -> Tensor:
    """The Gaussian (size, size) that falls to `threshold` of its peak at half the width from the middle, of norm `size`.

    `width`: a differentiable scalar, in pixels.
    """
    offsets = torch.arange(size, dtype=width.dtype, device=width.device) - (size - 1) / 2
    rate = 4 * math.log(1 / threshold) / width.square()  # 1 / (2 sigma^2)
    profile = torch.exp(-rate * offsets.square())
    profile = profile * (size / profile.square().sum()).sqrt()
    return torch.outer(profile, profile)
