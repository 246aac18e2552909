"""A search in the manner of DASH (Shen, Khodak and Talwalkar 2022): every size has a kernel of its own, and a step mixes all of them.

Convolution is linear in its kernel, so the sum of the candidates' outputs, weighed by a soft Gumbel choice, is one convolution with
the sum of their kernels, each padded to the greatest size: the sharing of work that DASH is named for. The network's topology is
fixed; a layer's outcome is its likeliest size, and the network is trained anew. Beside `super_kernel`: no weights are shared between
sizes, and no size is drawn.

Deviations: candidates are EffConv's sizes 1 to 7 instead of 3, 5, 7 and 9, and dilation is left out, which the residual networks
here do not take; EffConv's budget, optimizer and rates instead of a pull of 1e-5 times the field's size and SGD with normalised
gradients; He's spread instead of 0.01 for first weights; dense instead of depthwise candidates; no search of hyperparameters after it.
"""

import torch
from torch import Tensor, nn

from baselines.size_choice import ChoiceOptions, ChoiceSearch
from baselines.super_kernel import nested_parts
from effconv.convert import LearnableLayer


class DashSearch(ChoiceSearch):
    """Learns kernel sizes by mixing one kernel a size; see `SizeSearch` for arguments and errors."""

    hard = False

    def __init__(self, model: nn.Module, *, options: ChoiceOptions | None = None, seed: int = 0, **arguments):
        super().__init__(model, options=options, seed=seed, **arguments)
        for greatest in {layer.greatest for layer in self.layers}:
            owner, cell = nested_parts(greatest, self.options.even_padding).flatten(1).nonzero().unbind(1)
            place = nn.functional.one_hot(cell, greatest**2).float()
            for name, values in (("owner", owner), ("place", place)):
                self.register_buffer(f"{name}{greatest}", values.to(self.logits.device), persistent=False)

    def first_kernel(self, layer: LearnableLayer, generator: torch.Generator) -> Tensor:
        """The kernels of all sizes, one after the other: (out, in, 1 + 4 + 9 + ...)."""
        sizes = range(1, layer.greatest + 1)
        spreads = torch.cat([torch.full((size * size,), (2 / (layer.inner * size * size)) ** 0.5) for size in sizes])
        return torch.randn(layer.outer, layer.inner, len(spreads), generator=generator) * spreads

    def mixed_kernel(self, kernel: Tensor, greatest: int, weights: Tensor) -> Tensor:
        owner, place = self.get_buffer(f"owner{greatest}"), self.get_buffer(f"place{greatest}")
        return ((kernel * weights[owner]) @ place).unflatten(2, (greatest, greatest))
