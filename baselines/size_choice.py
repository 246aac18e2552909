"""Searches that choose each layer's size among 1, 2, 3, ... by logits: the choice, the budget, the likeliest sizes at it.

A candidate is a size with a dilation, 1 unless a method has others; a budget knows the size alone.

A step weighs a layer's sizes by the Gumbel trick (Jang, Gu and Poole 2017; Maddison, Mnih and Teh 2017): hard, one size is drawn and
the gradient is that of the soft weights, or soft, all sizes take part. The budget term is EffConv's Eq. 4 of the weighed areas, the
optimizer and its other rates are EffConv's. The draws take torch's global random state, as dropout does.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.free_kernels import FreeKernelSearch
from effconv import SearchOptions
from effconv.budget import Budget, Costs
from effconv.convert import LearnableLayer

PRICE, HALVINGS = 1e4, 50  # the price of the whole budget is looked for in +-PRICE
NEAR = 0.01  # share of the budget


def sizes_at_budget(scores: np.ndarray, shares: np.ndarray) -> tuple[int, ...]:
    """The sizes that maximise the sum of scores less a price times their shares, the price such that these sum up nearest to 1.

    No price may bring them near: then single layers change their size, at the least loss of score, until within 1% of the budget or
    no change comes nearer. scores, shares of the budget: (layers, sizes 1, 2, ...); a score of minus infinity: the layer does not
    have the size.
    """
    low, high = -PRICE, PRICE
    layers, best, nearest = np.arange(len(scores)), math.inf, np.zeros(len(scores), int)
    for _ in range(HALVINGS):
        price = (low + high) / 2
        places = (scores - price * shares).argmax(1)
        share = shares[layers, places].sum()
        if abs(share - 1) < best:
            best, nearest = abs(share - 1), places
        low, high = (price, high) if share > 1 else (low, price)
    while best > NEAR:
        total = shares[layers, nearest].sum()
        apart = abs(total - shares[layers, nearest][:, None] + shares - 1)  # of every single change
        apart[~np.isfinite(scores)] = math.inf
        gain = np.where(apart <= NEAR, scores - scores[layers, nearest][:, None], -math.inf)
        layer, place = np.unravel_index(gain.argmax() if np.isfinite(gain).any() else apart.argmin(), apart.shape)
        if apart[layer, place] >= best:
            break
        best, nearest = apart[layer, place], nearest.copy()
        nearest[layer] = place
    return tuple(int(place) + 1 for place in nearest)


def available_sizes(layers: Sequence[LearnableLayer], *, odd_only: bool) -> np.ndarray:
    """Which of the sizes 1, 2, ... each layer has: (layers, sizes) of bool."""
    sizes = np.arange(1, max(layer.greatest for layer in layers) + 1)
    return np.array([(sizes <= layer.greatest) & ((sizes % 2 == 1) | (not odd_only)) for layer in layers])


def budget_shares(budget: Budget, costs: Costs, count: int) -> np.ndarray | None:
    """What each layer's sizes 1 to `count` take of the budget, (layers, sizes); None where there is not exactly one."""
    targets = budget.targets(costs)
    if len(targets) != 1:
        return None
    ((unit, target),) = targets.items()
    return np.array(costs.factors(unit), float)[:, None] * np.arange(1, count + 1) ** 2 / target


@dataclass(frozen=True, kw_only=True)
class ChoiceOptions(SearchOptions):
    """EffConv's options and, open in the sources, the choice's: its temperature and learning rate. ValueError where not above 0."""

    temperature: float = 1.0
    lr_choice: float = 3e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("temperature", "lr_choice"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}: give a number above 0.")


class ChoiceSearch(FreeKernelSearch):
    """Learns kernel sizes as choices; a method says which kernel a layer has for the weights of its sizes (`mixed_kernel`).

    Arguments and errors: `SizeSearch`.
    """

    hard: bool  # a step draws one size a layer, or weighs all
    options: ChoiceOptions
    values: Tensor
    unavailable: Tensor

    def __init__(self, model: nn.Module, *, options: ChoiceOptions | None = None, seed: int = 0, **arguments):
        super().__init__(model, options=options or ChoiceOptions(), seed=seed, **arguments)
        device = self.start_device
        self.all_candidates = self.candidates(max(layer.greatest for layer in self.layers))
        sizes = torch.tensor([float(size) for size, _ in self.all_candidates], device=device)
        self.counts = [len(self.candidates(layer.greatest)) for layer in self.layers]
        unavailable = torch.arange(len(sizes), device=device) >= torch.tensor(self.counts, device=device)[:, None]
        if self.options.odd_only:
            unavailable = unavailable | (sizes % 2 == 0)
        self.logits = nn.Parameter(torch.zeros(unavailable.shape, device=device))
        self.register_buffer("values", sizes, persistent=False)
        self.register_buffer("unavailable", unavailable, persistent=False)

    def candidates(self, greatest: int) -> list[tuple[int, int]]:
        """(size, dilation) of what a layer of this greatest size chooses among; those of a smaller one come first."""
        return [(size, 1) for size in range(1, greatest + 1)]

    def _available_logits(self) -> Tensor:
        """The logits, minus infinity where a layer does not have a candidate."""
        return self.logits.masked_fill(self.unavailable, -torch.inf)

    def _weights(self) -> Tensor:
        """The weights of the candidates in this step, (layers, candidates), each row of sum 1."""
        logits = self._available_logits()
        if self.training:
            return F.gumbel_softmax(logits, tau=self.options.temperature, hard=self.hard)
        return F.one_hot(logits.argmax(1), logits.shape[1]).to(logits) if self.hard else logits.softmax(1)

    def mixed_kernel(self, kernel: Tensor, greatest: int, weights: Tensor) -> Tensor:
        """A layer's parameter, its greatest size and the weights of its candidates -> (out, in, greatest, greatest)."""
        raise NotImplementedError

    def step_kernels(self) -> list[Tensor]:
        with torch.autocast(self.logits.device.type, enabled=False):
            choice = self._weights()
            for_loss = choice.detach() if self.options.data_free else choice
            self._penalty = self.options.lam * self.budget.loss_of_areas(self.costs, choice @ self.values.square())
        if self._in_training:
            soft = torch.tensor(self.soft_sizes)  # the gradients reach logits and no sizes: none are recorded
            self.progress.note(self.sizes, soft.tolist(), soft, soft)
        parts = zip(self.kernels, self.layers, for_loss, self.counts, strict=True)
        return [self.mixed_kernel(kernel, layer.greatest, own[:count]) for kernel, layer, own, count in parts]

    def parameter_groups(self) -> list[dict]:
        """Groups for AdamW; the choice is not decayed, which would pull it to equal chances."""
        return self.groups([self.logits], self.options.lr_choice, "choice")

    @property
    def soft_sizes(self) -> tuple[float, ...]:
        """The expected size of each layer's draw."""
        with torch.no_grad():
            return tuple((self._available_logits().softmax(1) @ self.values).tolist())

    def _scores(self) -> np.ndarray:
        """log p of each layer's candidates, (layers, candidates); minus infinity where a layer does not have one."""
        with torch.no_grad():
            return np.array(self._available_logits().log_softmax(1).tolist())

    @property
    def sizes(self) -> tuple[int, ...]:
        """The likeliest sizes at the budget: those that maximise log p(s) - mu count(s), mu such that the count is nearest to it.

        A size is as likely as the likeliest of its dilations.
        """
        scores, each = self._scores(), np.array([size for size, _ in self.all_candidates])
        best = np.stack([scores[:, each == size].max(1) for size in range(1, each.max() + 1)], axis=1)
        shares = budget_shares(self.budget, self.costs, best.shape[1])
        if shares is None:
            return tuple((best.argmax(1) + 1).tolist())
        return sizes_at_budget(best, shares)

    @torch.no_grad()
    def set_sizes(self, sizes: Sequence[int]) -> None:
        self.logits.zero_()
        places = [[self.all_candidates.index((size, 1))] for size in sizes]
        self.logits.scatter_(1, torch.tensor(places, device=self.logits.device), 10.0)
