"""A search in the manner of DASH (Shen, Khodak and Talwalkar 2022): every size and dilation has a kernel of its own, and a step mixes
all of them.

Convolution is linear in its kernel, so the sum of the candidates' outputs, weighed by a soft Gumbel choice, is one convolution with
the sum of their kernels, each padded to the greatest extent: the sharing of work that DASH is named for. The network's topology is
fixed; a layer's outcome is its likeliest size at the budget with that size's likeliest dilation, and the network is trained anew.
Beside `super_kernel`: no weights are shared between candidates, none is drawn, and kernels may be dilated.

Deviations: candidates are EffConv's sizes 1 to 7 with every dilation that keeps within 7 x 7 pixels (15 of them), instead of sizes
3, 5, 7 and 9 with dilations 1, 3, 7 and 15, which cover up to 121 pixels a side of images of 32; EffConv's budget, optimizer and
rates instead of a pull of 1e-5 times the field's size and SGD with normalised gradients; He's spread instead of 0.01 for first
weights; dense instead of depthwise candidates; no search of hyperparameters after it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from baselines.dilated_resnet import extent
from baselines.size_choice import ChoiceOptions, ChoiceSearch
from effconv.convert import LearnableLayer
from effconv.same_conv import centre


class DashSearch(ChoiceSearch):
    """Learns kernel sizes and dilations by mixing one kernel a candidate; see `SizeSearch` for arguments and errors."""

    hard = False

    def __init__(self, model: nn.Module, *, options: ChoiceOptions | None = None, seed: int = 0, **arguments):
        super().__init__(model, options=options, seed=seed, **arguments)
        for greatest in {layer.greatest for layer in self.layers}:
            owner, cell = self._positions(greatest).flatten(1).nonzero().unbind(1)
            place = nn.functional.one_hot(cell, greatest**2).float()
            for name, values in (("owner", owner), ("place", place)):
                self.register_buffer(f"{name}{greatest}", values.to(self.logits.device), persistent=False)

    def candidates(self, greatest: int) -> list[tuple[int, int]]:
        dilated = [(size, dilation) for size in range(2, greatest + 1) for dilation in range(1, greatest)]
        within = [one for one in dilated if extent(*one) <= greatest]
        return [(1, 1), *sorted(within, key=lambda one: (extent(*one), one))]

    def _positions(self, greatest: int) -> Tensor:
        """Where each candidate has weights, (candidates, greatest, greatest) of 0 and 1, as "same" padding puts them."""
        candidates, even = self.candidates(greatest), self.options.even_padding
        positions = torch.zeros(len(candidates), greatest, greatest)
        for covered, (size, dilation) in zip(positions, candidates, strict=True):
            whole = extent(size, dilation)
            before = centre(greatest, even) - centre(whole, even)
            covered[before : before + whole : dilation, before : before + whole : dilation] = 1
        return positions

    def first_kernel(self, layer: LearnableLayer, generator: torch.Generator) -> Tensor:
        """The kernels of all candidates, one after the other: (out, in, 1 + 4 + ...)."""
        sizes = [size for size, _ in self.candidates(layer.greatest)]
        spreads = torch.cat([torch.full((size * size,), (2 / (layer.inner * size * size)) ** 0.5) for size in sizes])
        return torch.randn(layer.outer, layer.inner, len(spreads), generator=generator) * spreads

    def mixed_kernel(self, kernel: Tensor, greatest: int, weights: Tensor) -> Tensor:
        owner, place = self.get_buffer(f"owner{greatest}"), self.get_buffer(f"place{greatest}")
        return ((kernel * weights[owner]) @ place).unflatten(2, (greatest, greatest))

    def dilations(self, sizes: Sequence[int]) -> tuple[int, ...]:
        """The likeliest dilation of each layer's size, as the search has it now."""
        scores, found = self._scores(), []
        for own, wanted in zip(scores, sizes, strict=True):
            places = [place for place, (size, _) in enumerate(self.all_candidates) if size == wanted]
            found.append(self.all_candidates[places[int(np.argmax(own[places]))]][1])
        return tuple(found)
