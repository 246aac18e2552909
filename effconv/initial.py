"""Initial values drawn from an explicit generator, so that building a predictor leaves torch's global random state alone."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

Made = TypeVar("Made", bound=nn.Module)


def build_on_cpu(kind: Callable[..., Made], *arguments: object, **options: object) -> Made:
    """A module on the CPU whose values the caller fills anew: what its constructor draws leaves torch's random state alone.

    Allocating it without values, through the meta device, would import sympy, which takes longer than a short search.
    """
    with torch.random.fork_rng(devices=[]):
        return kind(*arguments, device="cpu", **options)


@torch.no_grad()
def fill_uniform(tensors: Iterable[Tensor], bound: float, generator: torch.Generator | None) -> None:
    """Uniform in +-bound, the law of torch's GRU and linear layers with bound = 1 / sqrt(width)."""
    for tensor in tensors:
        tensor.uniform_(-bound, bound, generator=generator)
