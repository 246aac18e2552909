"""What a network costs as deployed: parameters, and multiply-accumulates for one image."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(model: nn.Module) -> int:
    """Number of parameters as deployed, each counted once however many modules share it; buffers are not parameters.

    Those of the modules in the model's `training_only`, which only its training loss uses, are left out.
    """
    left_out = {id(parameter) for module in getattr(model, "training_only", ()) for parameter in module.parameters()}
    return sum(parameter.numel() for parameter in model.parameters() if id(parameter) not in left_out)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every module's own mode is put back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def example_input(model: nn.Module, input_shape: tuple[int, int, int]) -> torch.Tensor:
    """One black image (1, C, H, W) on the model's device."""
    parameter = next(model.parameters(), None)
    if parameter is None:
        return torch.zeros(1, *input_shape)
    return torch.zeros(1, *input_shape, device=parameter.device, dtype=parameter.dtype)


def count_macs(model: nn.Module, input_shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of the convolutions and matrix products (linear layers) for one image of shape (C, H, W).

    Counted on the operations that run, functional ones included; biases, normalisation and pooling are not counted. A model that can
    convolve in several ways (it has `timed_backends` and `backend`) is counted in the direct one, whichever it uses.
    """
    chooser: Any = model  # `backend` is a plain attribute, and no part of every module
    backend = chooser.backend if hasattr(model, "timed_backends") else None
    if backend is not None:
        chooser.backend = "direct"
    try:
        with evaluating(model), FlopCounterMode(display=False) as counter:
            model(example_input(model, input_shape))
    finally:
        if backend is not None:
            chooser.backend = backend
    operations: int = counter.get_total_flops()
    return operations // 2
