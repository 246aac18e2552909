"""What every search for kernel sizes shares, however it makes its kernels: the network, its costs, the budget, the record, the result.

A step: `logits = search(images)`; loss = cross-entropy + `search.penalty()`; backward; `search.after_backward()`; then the optimizer
over `search.parameter_groups()`. A method says in `step_kernels` which kernels this step has and notes the sizes they stand for.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from effconv.budget import Budget, Costs
from effconv.convert import Selection, find_layers, with_predicted_kernels
from effconv.counting import count_macs, count_parameters
from effconv.learned import LearnedSizes
from effconv.options import SearchOptions
from effconv.progress import Progress


class SizeSearch(nn.Module):
    """Learns the kernel sizes of `model`, which stays as it is, under budgets of the whole network's parameters or MACs, or both.

    Images (N, C, H, W) of `input_shape` (C, H, W) -> logits. Without a budget the sizes are free. `layers`: names or a predicate
    instead of the default rule. `device`: where the search will run, and is put; the model's where None. Raises ValueError for
    a budget out of reach and for layers that cannot be learned.
    """

    static_shapes = False  # kernels change their size from step to step

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
        super().__init__()
        self.options = options = options or SearchOptions()
        channels, height, width = input_shape
        self.input_shape, self.seed = (channels, height, width), seed
        self.layers = find_layers(model, self.input_shape, layers=layers, k=options.k, b=options.b)
        self.before = {"parameters": count_parameters(model), "macs": count_macs(model, self.input_shape)}
        self.costs = Costs.of(self.layers, self.before)
        self.budget = Budget(parameters=parameters, macs=macs, scope=options.budget_scope)
        self.budget.check(self.costs, [layer.greatest for layer in self.layers])
        names = [layer.name for layer in self.layers]
        self.start_device = next(model.parameters()).device if device is None else torch.device(device)
        self.fit_memory()
        network, self._convolutions = with_predicted_kernels(
            model, names, input_shape=self.input_shape, even_padding=options.even_padding
        )
        self.network = network.to(self.start_device)
        self.progress = Progress(self.costs, self.budget, options)
        self._penalty: Tensor | None = None

    def fit_memory(self) -> None:
        """Before anything is allocated: choose options that fit into the memory of `start_device`, or raise ValueError."""

    def forward(self, images: Tensor) -> Tensor:
        try:
            for convolution, kernel in zip(self._convolutions, self.step_kernels(), strict=True):
                convolution.weight = kernel
            logits: Tensor = self.network(images)
            return logits
        finally:
            for convolution in self._convolutions:
                convolution.weight = None

    def step_kernels(self) -> list[Tensor]:
        """This step's kernels (out, in, s, s), one a layer; sets `_penalty` and notes a training step in `progress`."""
        raise NotImplementedError

    def step_sizes(self) -> None:
        """A step of the budget alone, without images: `penalty()` is then ready. For the data-free control."""
        self.step_kernels()

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for AdamW: params, lr, weight_decay, name."""
        raise NotImplementedError

    @property
    def soft_sizes(self) -> tuple[float, ...]:
        """The sizes before rounding, as the search has them now, in forward order."""
        raise NotImplementedError

    def set_sizes(self, sizes: Sequence[int]) -> None:
        """Put the search where it chooses `sizes` now, so that the work at these sizes can be timed."""
        raise NotImplementedError

    @property
    def _in_training(self) -> bool:
        """Whether this forward is a step of training."""
        return self.training and torch.is_grad_enabled()

    def penalty(self) -> Tensor:
        """The budget's term of the last forward, a scalar to be added to the cross-entropy."""
        if self._penalty is None:
            raise ValueError("penalty() belongs to a forward: call the search on a batch of images first.")
        return self._penalty

    def after_backward(self) -> None:
        """Record the step, every `record_every` steps: call it after backward() and before the optimizer's step."""
        self.progress.record()
        if self._penalty is not None:
            self._penalty = self._penalty.detach()  # its value stays readable, its graph goes

    @property
    def sizes(self) -> tuple[int, ...]:
        """The integer sizes as the search has them now, in forward order."""
        return self.progress.rounded(self.soft_sizes)

    def deployed_parameters(self, sizes: Sequence[int] | None = None) -> int:
        """Parameters of the plain network at these sizes (those of now where None)."""
        return self.costs.total("parameters", sizes or self.sizes)

    def deployed_macs(self, sizes: Sequence[int] | None = None) -> int:
        """Multiply-accumulates of the plain network for one image at these sizes (those of now where None)."""
        return self.costs.total("macs", sizes or self.sizes)

    def learned(self) -> LearnedSizes:
        """The search's result, by the rule `final_sizes`."""
        sizes, soft, chosen = self.progress.final(self.soft_sizes, self.sizes)
        names = [layer.name for layer in self.layers]
        last = list(self.sizes)
        return LearnedSizes(
            sizes=dict(zip(names, sizes, strict=True)),
            soft_sizes=dict(zip(names, soft, strict=True)),
            parameters=self.deployed_parameters(sizes),
            macs=self.deployed_macs(sizes),
            before=self.before,
            budget={"parameters": self.budget.parameters, "macs": self.budget.macs, "scope": self.budget.scope},
            chosen=chosen,
            last={
                "step": self.progress.step,
                "sizes": dict(zip(names, last, strict=True)),
                "soft_sizes": dict(zip(names, self.soft_sizes, strict=True)),
                "parameters": self.deployed_parameters(last),
                "macs": self.deployed_macs(last),
                "deviation": self.budget.deviation(self.costs, last),
            },
            convolutions=tuple(self.layers),
            input_shape=self.input_shape,
            seed=self.seed,
            options=self.options,
            trajectory=self.progress.trajectory(),
        )

    def get_extra_state(self) -> dict[str, Any]:
        """What a checkpoint needs besides tensors: steps done, the state of the rule for final sizes, the trajectory."""
        return self.progress.state()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.progress.restore(state)
