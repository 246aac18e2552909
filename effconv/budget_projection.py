"""The surface of all sizes that meet a budget exactly, and the two ways onto it: for soft sizes and for whole ones.

Not in the paper, which pulls at the sizes with |log(count / budget)| instead (`effconv.budget`). Soft sizes are moved onto the surface
by one number t that is added to every f(z) of Eq. 2: v = sigma(f + t), with t such that sum factor * v^2 is the budget. Its derivative
follows from the implicit function theorem, so that the classification loss's gradient reaches f with its part across the surface
taken out: it can trade one layer's size for another's, and nothing else.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

REACH = 60.0  # t is looked for in +-REACH; tanh is flat to the last bit well before
HALVINGS = 60


def shift_to_budget(
    numbers: Tensor,
    sigma: Callable[[Tensor], Tensor],
    factors: Tensor,
    target: float,
    host_sigma: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """t, a scalar, with sum(factors * sigma(numbers + t)^2) = target; differentiable with respect to `numbers` (L,).

    `factors` (L,): the cost of one kernel position of each layer. `sigma` must rise; `host_sigma`: the same for numbers on the host in
    double precision, where its constants would have to be fetched at every call. At a target that no t reaches, t is an end of the
    interval in which it is looked for.
    """
    # On the host and in double precision: it is a few hundred numbers, and an exact budget is the point.
    x, f = numbers.detach().double().cpu(), factors.double().cpu()
    low, high, on_host = -REACH, REACH, host_sigma or sigma
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if float((f * on_host(x + middle).square()).sum()) < target:
            low = middle
        else:
            high = middle
    start = (low + high) / 2
    # One step of Newton's method from the solution: it moves t by nothing, and carries the implicit function's derivative.
    moved = (numbers.detach() + start).requires_grad_(True)
    with torch.enable_grad():
        (slopes,) = torch.autograd.grad((factors * sigma(moved).square()).sum(), moved)
    total = slopes.sum()
    if float(total) <= 0:
        return numbers.new_tensor(start)
    return start - (slopes / total * (numbers - numbers.detach())).sum()


def round_to_budget(
    soft: Sequence[float], factors: Sequence[int], target: float, tolerance: float, step: int = 1
) -> tuple[int, ...]:
    """Whole sizes near `soft` with sum(factors * sizes^2) near `target`: each layer's next size below or above.

    Layers go up in the order of their fractions, and from there any one layer may be turned. Within `tolerance` (a share of the
    target) the nearest sizes win, by least squares; else those that miss the least. `step` 2 keeps to sizes 1, 3, 5, ...
    """
    down = [1 + step * math.floor((value - 1) / step) for value in soft]
    rest = [value - below for value, below in zip(soft, down, strict=True)]
    order = sorted((layer for layer in range(len(down)) if rest[layer] > 0), key=lambda layer: -rest[layer])
    # What a layer's going up adds to the count, and to the sum of squared distances.
    costs = [factor * ((below + step) ** 2 - below**2) for factor, below in zip(factors, down, strict=True)]
    strays = [(step - part) ** 2 - part**2 for part in rest]
    count = sum(factor * below**2 for factor, below in zip(factors, down, strict=True))
    distance = sum(part**2 for part in rest)
    best: tuple[tuple[bool, float, float], int, int | None] | None = None
    for ups in range(len(order) + 1):
        if ups:
            count, distance = count + costs[order[ups - 1]], distance + strays[order[ups - 1]]
        for place, turned in enumerate([None, *order], -1):
            sign = 0 if turned is None else (-1 if place < ups else 1)
            away = 0 if turned is None else sign * strays[turned]
            miss = abs((count + (0 if turned is None else sign * costs[turned])) / target - 1)
            key = (miss > tolerance, distance + away if miss <= tolerance else miss, miss)
            if best is None or key < best[0]:
                best = key, ups, turned
    assert best is not None  # the first way is always noted
    _, ups, turned = best
    up = set(order[:ups]) ^ ({turned} if turned is not None else set())
    return tuple(below + step * (layer in up) for layer, below in enumerate(down))
