"""Stage 1 of Algorithm 1 as one module that any training loop can drive: the network with predicted kernels, and both predictors.

A step: `logits = search(images)`; loss = cross-entropy + `search.penalty()` (Eq. 8); backward; `search.after_backward()`; then the
optimizer over `search.parameter_groups()`. A forward rounds the soft sizes, and predicts and masks kernels of these sizes.
Deviations: none with the default options. `data_free`, `mask="none"` and `odd_only` are controls; `budget_method`,
`mask="fractional"` and `kernel_order` are a variant of ours (README.md).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from effconv.convert import Selection
from effconv.kernel_predictor import KernelPredictors
from effconv.mask import fractional_mask, mask_profiles
from effconv.memory import check_memory
from effconv.options import SearchOptions
from effconv.size_predictor import SizePredictor, soft_size, straight_through
from effconv.size_search import SizeSearch
from effconv.surface import shift_onto


class KernelSizeSearch(SizeSearch):
    """EffConv's search for the kernel sizes of `model` under budgets of the whole network's parameters or MACs, or both.

    Everything that `SizeSearch` says holds. `seed` draws the predictors; the network starts with the model's values. Raises
    ValueError besides where the predictors do not fit into memory, and for "rescale" with two budgets.
    """

    multiplier: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        input_shape: tuple[int, int, int],
        parameters: int | None = None,
        macs: int | None = None,
        options: SearchOptions | None = None,
        layers: Selection = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            model,
            input_shape=input_shape,
            parameters=parameters,
            macs=macs,
            options=options,
            layers=layers,
            seed=seed,
        )
        options = self.options
        self._targets = self.budget.targets(self.costs)
        if options.budget_method == "rescale" and len(self._targets) > 1:
            raise ValueError(
                "budget_method 'rescale' meets one budget exactly and two are given: leave out parameters or macs."
            )
        shapes = [(layer.inner, layer.outer) for layer in self.layers]
        device = next(model.parameters()).device
        check_memory(shapes, options, device)
        generator = torch.Generator().manual_seed(seed)
        self.size_predictor = SizePredictor(
            len(self.layers),
            variant=options.size_predictor,
            k=[layer.k for layer in self.layers],
            tau=options.tau,
            b=[layer.b for layer in self.layers],
            generator=generator,
        ).to(device)
        self.kernel_predictors = KernelPredictors(
            shapes,
            variant=options.kernel_predictor,
            hidden=options.hidden,
            order=options.kernel_order,
            even_padding=options.even_padding,
            start_sizes=[layer.size for layer in self.layers],
            generator=generator,
        ).to(device)
        self.register_buffer("multiplier", torch.zeros((), device=device))
        self._miss: Tensor | None = None  # log(count / budget) of this step, for the multiplier
        self._cached: tuple[object, list[Tensor]] | None = None

    def train(self, mode: bool = True) -> "KernelSizeSearch":
        """Between training and evaluation kernels are not kept: a replayed CUDA graph changes parameters and not their versions."""
        self._cached = None
        return super().train(mode)

    def step_kernels(self) -> list[Tensor]:
        return self._kernels(*self._predict_sizes())

    def step_sizes(self) -> None:
        self._predict_sizes()  # kernels are not needed

    def _soft(self) -> Tensor:
        """The soft sizes, on the budget's surface where it is met by construction."""
        if self.options.budget_method != "rescale" or not self._targets:
            return self.size_predictor.soft()
        ((unit, target),) = self._targets.items()
        predictor = self.size_predictor
        factors = predictor.k.new_tensor(self.costs.factors(unit))
        host = partial(soft_size, k=predictor.k.double().cpu(), tau=predictor.tau, b=predictor.b.double().cpu())
        return predictor.soft(lambda f: shift_onto(f, predictor.sigma, factors, target, host))

    def _readers(self, soft: Tensor) -> tuple[Tensor, Tensor]:
        """The soft sizes for the mask and for the budget, apart, so that the gradients from loss and budget can be told apart."""
        return soft.detach() if self.options.data_free else soft.view_as(soft), soft.view_as(soft)

    def _predict_sizes(self) -> tuple[Tensor, list[float], tuple[int, ...]]:
        """The soft sizes for the mask, their values, and the whole sizes; sets the penalty, and notes a training step."""
        soft = self._soft()
        for_mask, for_budget = self._readers(soft)
        soft_values = soft.detach().tolist()
        sizes = self.progress.rounded(soft_values)
        self._penalty = self._budget_term(for_budget, sizes)
        if self._noting:
            self.progress.note(sizes, soft_values, for_mask, for_budget)
        return for_mask, soft_values, sizes

    def _budget_term(self, soft: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """What the loss gets for the budget: lambda |log(count / budget)|, or by the option `budget_method`."""
        method, lam = self.options.budget_method, self.options.lam
        if method == "penalty":
            return lam * self.budget.loss(self.costs, straight_through(soft, sizes))
        if method == "rescale" or not self._targets:
            return soft.sum() * 0.0
        miss = self.budget.signed(self.costs, straight_through(soft, sizes))
        self._miss = miss.detach()
        return self.multiplier * miss + lam / 2 * miss.square()

    def after_backward(self) -> None:
        super().after_backward()
        if self._miss is not None and self.training:
            self.multiplier.add_(MULTIPLIER_RATE * self._miss)
            self._miss = None

    def _kernels(self, soft: Tensor, values: list[float], sizes: tuple[int, ...]) -> list[Tensor]:
        """Masked kernels (out, in, s, s); made once for all batches of an evaluation."""
        reuse = not self.training and not torch.is_grad_enabled()
        state = tuple((p.data_ptr(), p._version) for p in self._predictor_parameters()) if reuse else None
        if reuse and self._cached and self._cached[0] == state:
            return self._cached[1]
        kernels = self._fractional(soft, values) if self.options.mask == "fractional" else self._modulated(soft, sizes)
        self._cached = (state, kernels) if reuse else None
        return kernels

    def _modulated(self, soft: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
        """Kernels of the whole sizes under Eq. 6's mask, or under none."""
        predicted: list[Tensor] = self.kernel_predictors(sizes)
        if self.options.mask == "none":
            return predicted
        whole = torch.tensor(sizes, dtype=soft.dtype, device=soft.device)
        profiles = mask_profiles(soft, whole, max(sizes), self.options.mask_centre).unbind(0)
        kernels = []
        for kernel, profile, size in zip(predicted, profiles, sizes, strict=True):
            own = profile[:size]
            kernels.append(kernel * torch.outer(own, own))
        return kernels

    def _fractional(self, soft: Tensor, values: list[float]) -> list[Tensor]:
        """Kernels of the next size up, what that size adds weighted by the fraction of the way to it."""
        step = 2 if self.options.odd_only else 1
        lower = [1 + step * int((v - 1) // step) for v in values]
        frames = [min(low + step, layer.greatest) for low, layer in zip(lower, self.layers, strict=True)]
        inner = [min(low, frame - step) for low, frame in zip(lower, frames, strict=True)]
        fractions = (soft - soft.new_tensor(inner)) / step
        masks = (
            fractional_mask(frame, small, fraction, self.options.even_padding)
            for frame, small, fraction in zip(frames, inner, fractions.unbind(0), strict=True)
        )
        return [kernel * mask for kernel, mask in zip(self.kernel_predictors(frames), masks, strict=True)]

    def _predictor_parameters(self) -> list[nn.Parameter]:
        return [*self.size_predictor.parameters(), *self.kernel_predictors.parameters()]

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for AdamW (params, lr, weight_decay, name) with Algorithm 1's rates."""
        options = self.options
        groups = [
            ("size_predictor", self.size_predictor, options.lr_size_predictor),
            ("network", self.network, options.lr_network),
            ("kernel_predictor", self.kernel_predictors, options.lr_kernel_predictor),
        ]
        return [
            {"params": list(module.parameters()), "lr": lr, "weight_decay": options.weight_decay, "name": name}
            for name, module, lr in groups
        ]

    @property
    def soft_sizes(self) -> tuple[float, ...]:
        with torch.no_grad():
            return tuple(self._soft().tolist())

    def set_sizes(self, sizes: Sequence[int]) -> None:
        self.size_predictor.start_at(sizes)


MULTIPLIER_RATE = 0.01
