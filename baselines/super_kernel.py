"""A super-kernel a layer with nested sizes and a Gumbel choice: kernel sizes as architecture search would learn them.

One kernel of the greatest size a layer; size s is its s x s part, as in Single-Path NAS (Stamoulis et al. 2019). Each step draws a
size a layer (`size_choice`, hard). No recurrent predictor, no mask but the choice. A size's gradient needs what the sizes above it
would add, so a training step convolves with the whole kernel.
"""

import torch
from torch import Tensor, nn

from baselines.size_choice import ChoiceOptions, ChoiceSearch
from effconv.convert import LearnableLayer
from effconv.same_conv import centre


class SuperKernelSearch(ChoiceSearch):
    """Learns kernel sizes by choosing among the nested parts of one kernel; see `SizeSearch` for arguments and errors."""

    hard = True

    def __init__(self, model: nn.Module, *, options: ChoiceOptions | None = None, seed: int = 0, **arguments):
        super().__init__(model, options=options, seed=seed, **arguments)
        for greatest in {layer.greatest for layer in self.layers}:
            nested = nested_parts(greatest, self.options.even_padding).to(self.logits.device)
            self.register_buffer(f"nested{greatest}", nested, persistent=False)

    def spread_size(self, layer: LearnableLayer) -> int:
        return layer.size  # what the network starts with

    def mixed_kernel(self, kernel: Tensor, greatest: int, weights: Tensor) -> Tensor:
        return kernel * (weights[:, None, None] * self.get_buffer(f"nested{greatest}")).sum(0)


def nested_parts(greatest: int, even_padding: str = "end") -> Tensor:
    """Which positions of a kernel each size 1..greatest covers, (greatest, greatest, greatest) of 0 and 1.

    As "same" padding puts them: even sizes reach one further at the end, or at the start.
    """
    parts = torch.zeros(greatest, greatest, greatest)
    for size in range(1, greatest + 1):
        before = centre(greatest, even_padding) - centre(size, even_padding)
        parts[size - 1, before : before + size, before : before + size] = 1
    return parts
