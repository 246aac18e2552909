"""What an untrained kernel predictor predicts: how soon its steps stop to differ, and what a change of size does to its kernel.

A GRU whose input never changes moves towards a fixed point, so that most positions of an untrained kernel are nearly alike. And row by
row, a position's step depends on the kernel's size: when a size flips from s to s + 1, most pixels get another step's values.
"""

from typing import Any

import torch
from torch import Tensor

from effconv.kernel_predictor import KernelPredictors, nested_order
from effconv.same_conv import centre

Line = dict[str, Any]


def position_changes(
    *,
    variant: str = "projected",
    hidden: int = 64,
    channels: tuple[int, int] = (16, 16),
    size: int = 7,
    seeds: int = 10,
) -> list[Line]:
    """How far each position of an untrained kernel is from the one a step before: lines {seed, step, change}, steps 2 to size^2.

    `change`: Euclidean distance of the two hidden states over the length of the later one. In the literal predictor the
    hidden state is the kernel position itself.
    """
    lines = []
    for seed in range(seeds):
        states = _states(variant, hidden, channels, size, seed)
        changes = (states[1:] - states[:-1]).norm(dim=1) / states[1:].norm(dim=1)
        lines += [{"seed": seed, "step": step, "change": change} for step, change in enumerate(changes.tolist(), 2)]
    return lines


def _states(variant: str, hidden: int, channels: tuple[int, int], size: int, seed: int) -> Tensor:
    """Hidden states (size^2, width) of one layer's untrained predictor."""
    predictors = KernelPredictors(
        [channels], variant=variant, hidden=hidden, generator=torch.Generator().manual_seed(seed)
    )
    with torch.no_grad():
        return predictors.states([size * size])[0]


def size_flips(
    *, order: str = "rows", even_padding: str = "end", hidden: int = 64, channels: tuple[int, int] = (16, 16), seeds: int = 10,
    greatest: int = 7,
) -> list[Line]:  # fmt: skip
    """What a flip of a size from s to s + 1 does to an untrained kernel: lines {seed, size, moved, change}, sizes 1 to greatest - 1.

    Compared are the s x s pixels that both kernels cover. `moved`: the share of them whose recurrent step differs; `change`: the
    Euclidean distance of the two kernels there over the smaller kernel's length. Both are 0 with `order` "nested", up to rounding.
    """
    lines = []
    for seed in range(seeds):
        predictors = KernelPredictors(
            [channels], variant="projected", hidden=hidden, order=order, even_padding=even_padding,
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        for size in range(1, greatest):
            before = centre(size + 1, even_padding) - centre(size, even_padding)
            shared = slice(before, before + size)
            steps, later = (_steps(s, order, even_padding) for s in (size, size + 1))
            with torch.no_grad():
                small, large = predictors([size])[0], predictors([size + 1])[0][..., shared, shared]
            lines.append({
                "seed": seed, "size": size, "moved": float((steps != later[shared, shared]).float().mean()),
                "change": float((large - small).norm() / small.norm()),
            })  # fmt: skip
    return lines


def _steps(size: int, order: str, even_padding: str) -> Tensor:
    """The recurrent step of each position of a kernel, (size, size)."""
    steps = list(range(size * size)) if order == "rows" else nested_order(size, even_padding)
    return torch.tensor(steps).view(size, size)
