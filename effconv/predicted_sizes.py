"""The size predictor under its budget (Eqs. 1 to 4): what a step of the search does about sizes. It sees no image.

A search with images takes the soft sizes on to its masks (`effconv.search`); without images this is the whole search
(`effconv.image_free`). `budget_method` "multiplier" and "rescale" are ours, not the paper's.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from effconv.budget_projection import shift_to_budget
from effconv.convert import LearnableLayer
from effconv.progress import Progress
from effconv.size_predictor import SizePredictor, soft_size, straight_through

MULTIPLIER_RATE = 0.01


class PredictedSizes(nn.Module):
    """Soft and whole sizes of `layers`, and the budget's term; `progress` holds the budget and the options, and notes the steps.

    `generator` draws the size predictor. ValueError for `budget_method` "rescale" with two budgets.
    """

    multiplier: Tensor

    def __init__(self, layers: Sequence[LearnableLayer], progress: Progress, generator: torch.Generator) -> None:
        super().__init__()
        self.progress, self.options = progress, progress.options
        self._targets = progress.budget.targets(progress.costs)
        if self.options.budget_method == "rescale" and len(self._targets) > 1:
            raise ValueError(
                "budget_method 'rescale' meets one budget exactly and two are given: leave out parameters or macs."
            )
        self.size_predictor = SizePredictor(
            len(layers),
            variant=self.options.size_predictor,
            k=[layer.k for layer in layers],
            tau=self.options.tau,
            b=[layer.b for layer in layers],
            generator=generator,
        )
        self.register_buffer("multiplier", torch.zeros(()))
        self._miss: Tensor | None = None  # log(count / budget) of this step, for the multiplier

    def soft(self) -> Tensor:
        """The soft sizes (L,), moved to where they meet the budget exactly with "rescale"."""
        if self.options.budget_method != "rescale" or not self._targets:
            return self.size_predictor.soft()
        ((unit, target),) = self._targets.items()
        predictor = self.size_predictor
        factors = predictor.k.new_tensor(self.progress.costs.factors(unit))
        host = partial(soft_size, k=predictor.k.double().cpu(), tau=predictor.tau, b=predictor.b.double().cpu())
        return predictor.soft(lambda f: shift_to_budget(f, predictor.sigma, factors, target, host))

    def readers(self, soft: Tensor) -> tuple[Tensor, Tensor]:
        """The soft sizes for the mask and for the budget, apart, so that the gradients from loss and budget can be told apart."""
        return soft.detach() if self.options.data_free else soft.view_as(soft), soft.view_as(soft)

    def step(self, *, training: bool) -> tuple[Tensor, list[float], tuple[int, ...], Tensor]:
        """The soft sizes for the mask, their values, the whole sizes, and the budget's term; notes a step of training."""
        soft = self.soft()
        for_mask, for_budget = self.readers(soft)
        values = soft.detach().tolist()
        sizes = self.progress.rounded(values)
        term = self._budget_term(for_budget, sizes)
        if training:
            self.progress.note(sizes, values, for_mask, for_budget)
        return for_mask, values, sizes, term

    def _budget_term(self, soft: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """What the loss gets for the budget: lambda |log(count / budget)|, or by the option `budget_method`."""
        method, lam, budget, costs = (
            self.options.budget_method,
            self.options.lam,
            self.progress.budget,
            self.progress.costs,
        )
        if method == "penalty":
            return lam * budget.loss(costs, straight_through(soft, sizes))
        if method == "rescale" or not self._targets:
            return soft.sum() * 0.0
        miss = budget.signed(costs, straight_through(soft, sizes))
        self._miss = miss.detach()
        return self.multiplier * miss + lam / 2 * miss.square()

    def after_backward(self) -> None:
        """Adapt the multiplier to the step's miss of the budget."""
        if self._miss is not None and self.training:
            self.multiplier.add_(MULTIPLIER_RATE * self._miss)
            self._miss = None
