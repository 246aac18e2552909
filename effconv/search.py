"""Stage 1 of Algorithm 1 as one module that any training loop can drive: the network with predicted kernels, and both predictors.

A step: `logits = search(images)`; loss = cross-entropy + `search.penalty()` (Eq. 8); backward; `search.after_backward()`; then the
optimizer over `search.parameter_groups()`. A forward rounds the soft sizes, and predicts and masks kernels of these sizes.
Deviation: with the option `data_free` the classification loss is kept from the sizes (a control).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from effconv.budget import Budget, Costs
from effconv.convert import Selection, find_layers, with_predicted_kernels
from effconv.counting import count_macs, count_parameters
from effconv.kernel_predictor import KernelPredictors
from effconv.learned import LearnedSizes
from effconv.mask import mask_profiles
from effconv.memory import check_memory
from effconv.options import SearchOptions
from effconv.progress import Progress
from effconv.size_predictor import SizePredictor, round_straight_through


class KernelSizeSearch(nn.Module):
    """Learns the kernel sizes of `model`, which stays as it is, under budgets of the whole network's parameters or MACs, or both.

    Images (N, C, H, W) of `input_shape` (C, H, W) -> logits. Without a budget the sizes are free. `layers`: names or a predicate
    instead of the default rule. `seed` draws the predictors; the network starts with the model's values. Raises ValueError for a
    budget out of reach, for layers that cannot be learned, and where the predictors do not fit into memory.
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
    ) -> None:
        super().__init__()
        self.options = options = options or SearchOptions()
        self.input_shape, self.seed = tuple(input_shape), seed
        self.layers = find_layers(model, self.input_shape, layers=layers, k=options.k, b=options.b)
        self.costs = self._costs_of(model)
        self.budget = Budget(parameters=parameters, macs=macs, scope=options.budget_scope)
        self.budget.check(self.costs, [layer.greatest for layer in self.layers])
        shapes = [(layer.inner, layer.outer) for layer in self.layers]
        device = next(model.parameters()).device
        check_memory(shapes, options, device)
        names = [layer.name for layer in self.layers]
        self.network, self._convolutions = with_predicted_kernels(model, names, even_padding=options.even_padding)
        generator = torch.Generator().manual_seed(seed)
        self.size_predictor = SizePredictor(
            len(names),
            variant=options.size_predictor,
            k=[layer.k for layer in self.layers],
            tau=options.tau,
            b=[layer.b for layer in self.layers],
            generator=generator,
        )
        self.kernel_predictors = KernelPredictors(
            shapes,
            variant=options.kernel_predictor,
            hidden=options.hidden,
            start_sizes=[layer.size for layer in self.layers],
            generator=generator,
        )
        self.size_predictor.to(device)
        self.kernel_predictors.to(device)
        self.progress = Progress(self.costs, self.budget, options)
        self._penalty: Tensor | None = None
        self._cached: tuple | None = None

    def _costs_of(self, model: nn.Module) -> Costs:
        weights = tuple(layer.inner * layer.outer for layer in self.layers)
        positions = tuple(layer.positions for layer in self.layers)
        learned = [(w * layer.size**2, p) for w, p, layer in zip(weights, positions, self.layers, strict=True)]
        self.before = {"parameters": count_parameters(model), "macs": count_macs(model, self.input_shape)}
        return Costs(
            weights=weights,
            positions=positions,
            fixed_parameters=self.before["parameters"] - sum(w for w, _ in learned),
            fixed_macs=self.before["macs"] - sum(w * p for w, p in learned),
        )

    def forward(self, images: Tensor) -> Tensor:
        soft, sizes = self._predict_sizes()
        try:
            for convolution, kernel in zip(self._convolutions, self._kernels(soft, sizes), strict=True):
                convolution.weight = kernel
            return self.network(images)
        finally:
            for convolution in self._convolutions:
                convolution.weight = None

    def step_sizes(self) -> None:
        """A step of the budget alone, without images or kernels: `penalty()` is then ready. For the data-free control."""
        self._predict_sizes()

    def _predict_sizes(self) -> tuple[Tensor, tuple[int, ...]]:
        """(soft sizes for the mask, integer sizes); sets the penalty, and notes a training step."""
        soft = self.size_predictor.soft()
        # Two separate readers of the soft sizes, so that the gradients from the loss and from the budget can be told apart.
        for_mask = soft.detach() if self.options.data_free else soft.view_as(soft)
        for_budget = soft.view_as(soft)
        rounded = round_straight_through(for_budget)
        self._penalty = self.options.lam * self.budget.loss(self.costs, rounded)
        soft_values = soft.detach().tolist()
        sizes = tuple(round(value) for value in soft_values)
        if self.training and torch.is_grad_enabled():
            self.progress.note(sizes, soft_values, for_mask, for_budget)
        return for_mask, sizes

    def _kernels(self, soft: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
        """Masked kernels (out, in, s, s); made once for all batches of an evaluation."""
        reuse = not self.training and not torch.is_grad_enabled()
        state = tuple((p.data_ptr(), p._version) for p in self._predictor_parameters()) if reuse else None
        if reuse and self._cached and self._cached[0] == state:
            return self._cached[1]
        whole = torch.tensor(sizes, dtype=soft.dtype, device=soft.device)
        profiles = mask_profiles(soft, whole, max(sizes), self.options.mask_centre).unbind(0)
        kernels = []
        for kernel, profile, size in zip(self.kernel_predictors(sizes), profiles, sizes, strict=True):
            own = profile[:size]
            kernels.append(kernel * torch.outer(own, own))
        self._cached = (state, kernels) if reuse else None
        return kernels

    def _predictor_parameters(self) -> list[nn.Parameter]:
        return [*self.size_predictor.parameters(), *self.kernel_predictors.parameters()]

    def penalty(self) -> Tensor:
        """lambda x L_param of the last forward, a scalar to be added to the cross-entropy."""
        if self._penalty is None:
            raise ValueError("penalty() belongs to a forward: call the search on a batch of images first.")
        return self._penalty

    def after_backward(self) -> None:
        """Record the step, every `record_every` steps: call it after backward() and before the optimizer's step."""
        self.progress.record()
        if self._penalty is not None:
            self._penalty = self._penalty.detach()  # its value stays readable, its graph goes

    def parameter_groups(self) -> list[dict]:
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
        """The soft sizes as the predictor has them now, in forward order."""
        with torch.no_grad():
            return tuple(self.size_predictor.soft().tolist())

    @property
    def sizes(self) -> tuple[int, ...]:
        """The integer sizes as the predictor has them now, in forward order."""
        return tuple(round(value) for value in self.soft_sizes)

    def deployed_parameters(self, sizes: Sequence[int] | None = None) -> int:
        """Parameters of the plain network at these sizes (those of now where None)."""
        return self.costs.total("parameters", sizes or self.sizes)

    def deployed_macs(self, sizes: Sequence[int] | None = None) -> int:
        """Multiply-accumulates of the plain network for one image at these sizes (those of now where None)."""
        return self.costs.total("macs", sizes or self.sizes)

    def learned(self) -> LearnedSizes:
        """The search's result, by the rule `final_sizes`."""
        sizes, soft, chosen = self.progress.final(self.soft_sizes)
        names = [layer.name for layer in self.layers]
        return LearnedSizes(
            sizes=dict(zip(names, sizes, strict=True)),
            soft_sizes=dict(zip(names, soft, strict=True)),
            parameters=self.deployed_parameters(sizes),
            macs=self.deployed_macs(sizes),
            before=self.before,
            budget={"parameters": self.budget.parameters, "macs": self.budget.macs, "scope": self.budget.scope},
            chosen=chosen,
            input_shape=self.input_shape,
            seed=self.seed,
            options=self.options,
            trajectory=self.progress.trajectory(),
        )

    def get_extra_state(self) -> dict:
        """What a checkpoint needs besides tensors: steps done, the state of the rule for final sizes, the trajectory."""
        return self.progress.state()

    def set_extra_state(self, state: dict) -> None:
        self.progress.restore(state)
