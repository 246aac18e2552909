"""Stage 1 of Algorithm 1 as one module that any training loop can drive: the network with predicted kernels, and both predictors.

A step: `logits = search(images)`; loss = cross-entropy + `search.penalty()` (Eq. 8); backward; `search.after_backward()`; then the
optimizer over `search.parameter_groups()`. A forward rounds the soft sizes, and predicts and masks kernels of these sizes.
Deviations with the default options, both in `SearchOptions`: the kernel predictor is the projected one, and the sizes returned are
those of the last step near the budget, not those after the last step as Algorithm 1 reads (these stand beside them). `data_free`,
`mask="none"` and `odd_only` are controls; `budget_method`, `mask="fractional"` and `kernel_order` are a variant of ours (README.md).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from effconv.convert import Selection
from effconv.kernel_predictor import KernelPredictors
from effconv.mask import fractional_mask, mask_profiles
from effconv.memory import fitting_options
from effconv.options import SearchOptions
from effconv.predicted_sizes import PredictedSizes
from effconv.size_predictor import SizePredictor
from effconv.size_search import SizeSearch


class KernelSizeSearch(SizeSearch):
    """EffConv's search for the kernel sizes of `model` under budgets of the whole network's parameters or MACs, or both.

    Everything that `SizeSearch` says holds. `seed` draws the predictors; the network starts with the model's values. `options` then
    holds the kernel predictor's width that was chosen. Raises ValueError besides where the predictors do not fit into the memory of
    the device, and for "rescale" with two budgets.
    """

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
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__(
            model,
            input_shape=input_shape,
            parameters=parameters,
            macs=macs,
            options=options,
            layers=layers,
            seed=seed,
            device=device,
        )
        options = self.options
        generator = torch.Generator().manual_seed(seed)
        self.predicted = PredictedSizes(self.layers, self.progress, generator).to(self.start_device)
        self.kernel_predictors = KernelPredictors(
            self._shapes(),
            variant=options.kernel_predictor,
            hidden=options.hidden,
            order=options.kernel_order,
            even_padding=options.even_padding,
            start_sizes=[layer.size for layer in self.layers],
            generator=generator,
        ).to(self.start_device)
        self._cached: tuple[object, list[Tensor]] | None = None

    def _shapes(self) -> list[tuple[int, int]]:
        return [(layer.inner, layer.outer) for layer in self.layers]

    def fit_memory(self) -> None:
        self.options = fitting_options(self._shapes(), self.options, self.start_device)

    @property
    def size_predictor(self) -> SizePredictor:
        """The size predictor (Eq. 1)."""
        return self.predicted.size_predictor

    def train(self, mode: bool = True) -> "KernelSizeSearch":
        """Between training and evaluation kernels are not kept: a replayed CUDA graph changes parameters and not their versions."""
        self._cached = None
        return super().train(mode)

    def step_kernels(self) -> list[Tensor]:
        for_mask, values, sizes, self._penalty = self.predicted.step(training=self._in_training)
        return self._kernels(for_mask, values, sizes)

    def step_sizes(self) -> None:
        *_, self._penalty = self.predicted.step(training=self._in_training)  # kernels are not needed

    def after_backward(self) -> None:
        super().after_backward()
        self.predicted.after_backward()

    def _kernels(self, soft: Tensor, values: list[float], sizes: tuple[int, ...]) -> list[Tensor]:
        """Masked kernels (out, in, s, s); made once for all batches of an evaluation."""
        reuse = not self.training and not torch.is_grad_enabled()
        state = tuple((p.data_ptr(), p._version) for p in self._predictors()) if reuse else None
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

    def _predictors(self) -> list[nn.Parameter]:
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
            return tuple(self.predicted.soft().tolist())

    def set_sizes(self, sizes: Sequence[int]) -> None:
        self.size_predictor.start_at(sizes)
