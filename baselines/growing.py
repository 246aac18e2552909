"""What networks with generated kernels offer the training loop: kernel sizes, all decided at once, a penalty, rates.

A crop is an index, so it has to be known to the host. Asking for each layer's Gaussian makes the host wait for the device once a
layer; here one transfer fetches them all, in every step on a CPU (exactly the method) and every CUDA_EVERY-th training step on
other devices, besides each change between training and evaluation. Between transfers a layer keeps its size: a cell enters or
leaves, at a tenth of the peak, a few steps late. The state dict carries sizes and position, so a resumed run does the same.

Deviation: the norm penalty is off by default; its published weight, used on downsampled ImageNet alone, is 1e-5.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines.flexconv import SIGMA, CKConv, FlexConv
from baselines.one_backend import OneBackend

CUDA_EVERY = 10
MASK_LR_FACTOR = 0.1

# (sigma_y, sigma_x) of the 15 layers of a trained CIFAR-10 FlexNet-16, by depth: Gaussians fitted to the published figure of its
# masks. Which axis is which is not certain there; means, 0.00 to 0.12, are left out.
TRAINED_SIGMAS = (
    (0.131, 0.141), (0.113, 0.107), (0.077, 0.098), (0.087, 0.181), (0.097, 0.067),
    (0.090, 0.053), (0.212, 0.167), (0.181, 0.289), (0.220, 0.303), (0.166, 0.216),
    (0.156, 0.307), (0.321, 0.316), (0.558, 0.292), (0.520, 0.393), (0.467, 0.783),
)  # fmt: skip
POSITIONS = ("start", "middle", "end")


def trained_sigmas(layers: int) -> Tensor:
    """TRAINED_SIGMAS for a network of another depth, (layers, 2): interpolated in the logarithm at equal relative depth."""
    known = torch.tensor(TRAINED_SIGMAS).log()
    where = torch.linspace(0, len(known) - 1, layers)
    below = where.floor().long().clamp(max=len(known) - 2)
    return torch.lerp(known[below], known[below + 1], (where - below)[:, None]).exp()


class GeneratedKernels(OneBackend, nn.Module):
    """A network whose convolutions are CKConv layers of fixed size.

    Args:
        network: images -> logits.
        norm_penalty: weight of the sum over layers of ||kernel|| + ||bias|| (not squared); 0 for none.
    """

    def __init__(self, network: nn.Module, *, norm_penalty: float = 0.0) -> None:
        super().__init__()
        self.network, self.norm_penalty = network, norm_penalty
        for layer in self.layers():
            layer.keep_kernel = norm_penalty > 0

    def layers(self) -> Sequence[CKConv]:
        """The layers with generated kernels, in forward order."""
        return [module for module in self.network.modules() if isinstance(module, CKConv)]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, classes)."""
        return self.network(images)

    def kernel_sizes(self) -> list[list[int]]:
        """[height, width] of every layer's kernel in the last forward pass."""
        return [list(layer.size) for layer in self.layers()]

    def penalty(self) -> Tensor:
        """The norm penalty of the training step whose forward pass just ran; zero where it is off. Lets go of the kernels."""
        if not self.norm_penalty:
            return next(self.parameters()).new_zeros(())
        norms = []
        for layer in self.layers():
            if layer.kept_kernel is None:
                raise RuntimeError(
                    "the norm penalty needs the kernels of a training step: call it once after each forward pass."
                )
            norms.append(torch.linalg.vector_norm(layer.kept_kernel) + torch.linalg.vector_norm(layer.bias))
            layer.kept_kernel = None
        return self.norm_penalty * torch.stack(norms).sum()


class GrowingKernels(GeneratedKernels):
    """A network whose convolutions are FlexConv layers: decides their sizes, and trains their Gaussians at a lower rate.

    Args:
        network: images -> logits.
        norm_penalty: see GeneratedKernels.
        decide_every: training steps between two decisions; None for every step on a CPU and CUDA_EVERY elsewhere.
    """

    def __init__(self, network: nn.Module, *, norm_penalty: float = 0.0, decide_every: int | None = None) -> None:
        super().__init__(network, norm_penalty=norm_penalty)
        if decide_every is not None and decide_every < 1:
            raise ValueError(f"decide_every is {decide_every}: give a number of steps >= 1, or none for the default.")
        self.decide_every = decide_every
        self._passes = 0  # since the mode last changed
        self._mode: bool | None = None  # of the last pass
        for layer in self.layers():
            layer.network_decides = True

    def layers(self) -> Sequence[FlexConv]:
        """The layers with learned sizes, in forward order."""
        return [module for module in self.network.modules() if isinstance(module, FlexConv)]

    def decide(self) -> None:
        """Set every layer's size from its Gaussian now, in one transfer to the host."""
        layers = self.layers()
        masks = torch.stack([layer.gaussians().detach() for layer in layers])
        if not masks.is_meta:
            for layer, mask in zip(layers, masks.tolist(), strict=True):
                layer.decide(mask)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, classes)."""
        if self._mode != self.training:
            self._mode, self._passes = self.training, 0
        every = self.decide_every or (1 if images.device.type == "cpu" else CUDA_EVERY)
        if self._passes % every == 0 and (self.training or self._passes == 0 or every == 1):
            self.decide()
        self._passes += 1
        return self.network(images)

    def parameter_groups(self, recipe: object) -> list[dict]:
        """The Gaussians' parameters, at a tenth of the recipe's rate, and all others."""
        masks = [layer.mask for layer in self.layers()]
        chosen = {id(mask) for mask in masks}
        others = [parameter for parameter in self.parameters() if id(parameter) not in chosen]
        return [
            {"params": others, "name": "network"},
            {"params": masks, "lr_factor": MASK_LR_FACTOR, "name": "masks"},
        ]

    @torch.no_grad()
    def pretend_sizes(self, position: str) -> None:
        """Set the Gaussians as they are at the start, the middle or the end of training, to time a step there.

        "start" is the initial sigma. "end" is that of a trained CIFAR-10 FlexNet-16 at the same relative depth (TRAINED_SIGMAS), in
        units of half the image, so other data sets and networks are assumed to grow alike; "middle" is the geometric mean of the
        two. No statement about a particular run: its own sizes are in its history.

        Raises ValueError for another position.
        """
        if position not in POSITIONS:
            raise ValueError(f"there is no position '{position}': choose one of {', '.join(POSITIONS)}.")
        layers = self.layers()
        share = POSITIONS.index(position) / 2
        sigmas = torch.lerp(torch.full((len(layers), 2), SIGMA).log(), trained_sigmas(len(layers)).log(), share).exp()
        for layer, sigma in zip(layers, sigmas, strict=True):
            layer.mask.copy_(torch.stack([torch.zeros(2), sigma], 1))
        self._mode = None

    def get_extra_state(self) -> dict[str, Any]:
        """Sizes, and where between two decisions the run is."""
        return {"sizes": self.kernel_sizes(), "passes": self._passes, "mode": self._mode}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """See get_extra_state."""
        self._passes, self._mode = state["passes"], state["mode"]
        for layer, size in zip(self.layers(), state["sizes"], strict=True):
            layer.size = tuple(size)
