"""Initial values drawn from an explicit generator, so that building a predictor leaves torch's global random state alone."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

Made = TypeVar("Made", bound=nn.Module)


def without_init(kind: Callable[..., Made], *arguments: object, **options: object) -> Made:
    """A module whose parameters are allocated but not filled: the caller fills every one of them."""
    return kind(*arguments, device="meta", **options).to_empty(device="cpu")


@torch.no_grad()
def fill_uniform(tensors: Iterable[Tensor], bound: float, generator: torch.Generator | None) -> None:
    """Uniform in +-bound, the law of torch's GRU and linear layers with bound = 1 / sqrt(width)."""
    for tensor in tensors:
        tensor.uniform_(-bound, bound, generator=generator)
