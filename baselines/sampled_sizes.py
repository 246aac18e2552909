"""Sizes by what they do to the loss: pairs of size vectors on the same images, and a regression of the difference on the sizes.

Ours, made to ask whether images can choose sizes at all. One nested kernel a layer, as in Single-Path NAS; a step draws two size
vectors on the budget (Gumbel noise as scores, `sizes_at_budget`) and trains the shared weights at both, as one-shot search does (Guo
et al. 2020). The difference of the two losses, in which the images' own difficulty cancels, is regressed on the differences of log s
and s in every layer, by ridge regression that forgets with `window`. The sizes are those of the least predicted loss on the budget. So
the budget is met by construction, takes part in no gradient, and what tells layers apart comes from images alone; without images the
prior is left, which draws all sizes to one.

A step costs two of its network's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.free_kernels import FreeKernelSearch
from baselines.size_choice import available_sizes, budget_shares, sizes_at_budget
from effconv import SearchOptions
from effconv.convert import LearnableLayer
from effconv.learned import LearnedSizes
from effconv.same_conv import centre

RIDGE = 1.0  # in pairs: the noise of a difference (0.03) is taken for as large as what a size may do
PRIOR = 1e-4  # loss by which a size one off the even one is worse, where nothing is known
SETTLE_EVERY = 50  # steps between two regressions


@dataclass(frozen=True, kw_only=True)
class SampledOptions(SearchOptions):
    """EffConv's options, of which the rates and the padding are used, and `window`: how many pairs the regression remembers."""

    window: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window < 1:
            raise ValueError(f"window is {self.window!r}: give a number of pairs above 0.")


class SampledSearch(FreeKernelSearch):
    """Learns kernel sizes by regression; see `SizeSearch` for arguments and errors. ValueError, too, without exactly one budget."""

    options: SampledOptions
    information: Tensor
    evidence: Tensor

    def __init__(self, model: nn.Module, *, options: SampledOptions | None = None, seed: int = 0, **arguments) -> None:
        super().__init__(model, options=options or SampledOptions(), seed=seed, **arguments)
        self.available = available_sizes(self.layers, odd_only=self.options.odd_only)
        shares = budget_shares(self.budget, self.costs, self.available.shape[1])
        if shares is None:
            raise ValueError("Sampled sizes lie on one budget: give parameters or macs, one of them.")
        self.shares, self.values = shares, np.arange(1, shares.shape[1] + 1)
        self.even = shares[:, 0].sum() ** -0.5  # what all sizes would be, were they equal
        features = 2 * len(self.layers)
        zeros = torch.zeros(features, features, dtype=torch.float64, device=self.start_device)
        self.register_buffer("information", zeros)
        self.register_buffer("evidence", zeros[0].clone())
        self._pairs: list[tuple[Tensor, Tensor]] = []
        self._now: tuple[int, ...] | None = None  # the sizes of the forward under way
        self._fixed: tuple[int, ...] | None = None
        self._best = self._least_loss()

    def spread_size(self, layer: LearnableLayer) -> int:
        return layer.size

    def _draw(self) -> list[tuple[int, ...]]:
        """The two size vectors of a step, both on the budget: each layer's scores are independent Gumbel noise."""
        noise = np.random.default_rng([self.seed, self.progress.step]).gumbel(size=(2, *self.shares.shape))
        return [
            self._fixed or sizes_at_budget(np.where(self.available, scores, -np.inf), self.shares) for scores in noise
        ]

    def _features(self, sizes: Sequence[int]) -> Tensor:
        """log s of every layer, then s over the greatest."""
        drawn = torch.tensor(sizes, dtype=torch.float64)
        return torch.cat([drawn.log(), drawn / len(self.values)])

    def training_loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mean loss of the step's two size vectors, and the logits of the second."""
        losses, drawn = [], self._draw()
        for sizes in drawn:
            self._now = sizes
            logits = self(images)
            losses.append(F.cross_entropy(logits.float(), labels))
        self._now = None
        if self._in_training:
            self._pairs.append((self._features(drawn[0]) - self._features(drawn[1]), (losses[0] - losses[1]).detach()))
            self._note()
        return (losses[0] + losses[1]) / 2, logits

    def step_sizes(self) -> None:
        self._note()

    def _note(self) -> None:
        if len(self._pairs) >= SETTLE_EVERY:
            self._settle()
        self._penalty = 0 * self.kernels[0].sum()  # the budget asks for nothing
        sizes = self._fixed or self._best
        self.progress.note(sizes, [float(size) for size in sizes])

    @torch.no_grad()
    def _settle(self) -> None:
        """Take the pairs of the last steps into the regression."""
        if not self._pairs:
            return
        device, keep = self.evidence.device, 1 - 1 / self.options.window
        apart = torch.stack([features.to(device) for features, _ in self._pairs])
        losses = torch.stack([loss.to(device, torch.float64) for _, loss in self._pairs])
        weights = keep ** torch.arange(len(losses) - 1, -1, -1, device=device, dtype=torch.float64)
        self.information.mul_(keep ** len(losses)).add_((apart.mT * weights) @ apart)
        self.evidence.mul_(keep ** len(losses)).add_((apart.mT * weights) @ losses)
        self._pairs.clear()
        self._best = self._least_loss()

    def _least_loss(self) -> tuple[int, ...]:
        """The sizes on the budget whose predicted loss is least."""
        ridge = RIDGE * torch.eye(len(self.evidence), dtype=torch.float64, device=self.evidence.device)
        effects = np.array(torch.linalg.solve(self.information + ridge, self.evidence).tolist())
        of_logs, of_sizes = np.split(effects, 2)
        loss = of_logs[:, None] * np.log(self.values) + of_sizes[:, None] * self.values / len(self.values)
        loss = loss + PRIOR * (self.values - self.even) ** 2
        return sizes_at_budget(np.where(self.available, -loss, -np.inf), self.shares)

    def step_kernels(self) -> list[Tensor]:
        parts = []
        for kernel, size in zip(self.kernels, self._now or self.sizes, strict=True):
            first = centre(kernel.shape[-1], self.options.even_padding) - centre(size, self.options.even_padding)
            parts.append(kernel[..., first : first + size, first : first + size])
        return parts

    def parameter_groups(self) -> list[dict]:
        """Groups for AdamW: the network and the kernels."""
        return self.groups([], 0.0, "choice")[1:]

    @property
    def soft_sizes(self) -> tuple[float, ...]:
        """The sizes: they are whole numbers throughout."""
        return tuple(map(float, self.sizes))

    @property
    def sizes(self) -> tuple[int, ...]:
        return self._fixed or self._best

    def set_sizes(self, sizes: Sequence[int]) -> None:
        self._fixed = tuple(sizes)

    def learned(self) -> LearnedSizes:
        self._settle()
        return super().learned()

    def get_extra_state(self) -> dict:
        pairs = [(features.tolist(), float(loss)) for features, loss in self._pairs]
        return {**super().get_extra_state(), "pairs": pairs}

    def set_extra_state(self, state: dict) -> None:
        super().set_extra_state(state)
        self._pairs = [
            (torch.tensor(features, dtype=torch.float64), torch.tensor(loss)) for features, loss in state["pairs"]
        ]
        self._best = self._least_loss()
