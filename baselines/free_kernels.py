"""What the searches with free weights share: the layers' kernels as parameters, and their groups for AdamW."""

from typing import Any

import torch
from torch import Tensor, nn

from effconv import SearchOptions
from effconv.convert import LearnableLayer
from effconv.size_search import SizeSearch


class FreeKernelSearch(SizeSearch):
    """A `SizeSearch` with free kernels, drawn from `seed`."""

    def __init__(self, model: nn.Module, *, options: SearchOptions, seed: int = 0, **arguments: Any) -> None:
        super().__init__(model, options=options, seed=seed, **arguments)
        generator, device = torch.Generator().manual_seed(seed), self.start_device
        self.kernels = nn.ParameterList()
        for layer in self.layers:
            self.kernels.append(nn.Parameter(self.first_kernel(layer, generator).to(device)))

    def first_kernel(self, layer: LearnableLayer, generator: torch.Generator) -> Tensor:
        """(out, in, greatest, greatest), with He's spread for the size that `spread_size` says."""
        spread = (2 / (layer.inner * self.spread_size(layer) ** 2)) ** 0.5
        shape = (layer.outer, layer.inner, layer.greatest, layer.greatest)
        return torch.empty(shape).normal_(0, spread, generator=generator)

    def spread_size(self, layer: LearnableLayer) -> int:
        """The size for which the kernel's values start with He's spread."""
        raise NotImplementedError

    def groups(self, choice: list[nn.Parameter], rate: float, name: str) -> list[dict]:
        """Groups for AdamW: what chooses the sizes, which is not decayed, the network, and the kernels."""
        options = self.options
        return [
            {"params": choice, "lr": rate, "weight_decay": 0.0, "name": name},
            {"params": list(self.network.parameters()), "lr": options.lr_network, "weight_decay": options.weight_decay,
             "name": "network"},
            {"params": list(self.kernels), "lr": options.lr_kernel_predictor, "weight_decay": options.weight_decay,
             "name": "kernels"},
        ]  # fmt: skip
