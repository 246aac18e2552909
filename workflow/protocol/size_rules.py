"""Kernel sizes by rule instead of by search: what the learned ones are compared with. Torch-free, since plans are made with it.

A row's `sizes` names a rule. Rules that need no search give their sizes when the plan is made:
* uniform: every layer `size`. mixed: sizes k and k + 1 only, the mix whose count is nearest to `budget`.
* rising, falling, bell: sizes that grow with depth, shrink, or are largest in the middle, nearest to `budget`.
* per-stage: one size a stage, by BKSEF's published score and candidates; it takes no budget.
* random: drawn uniformly from all assignments of 1..7 whose count is within 1% of `budget`; `draw` numbers the draws. With `macs`
  only those within 5% of so many multiply-accumulates.
Rules that start from another row's search (`of`) give them when that search is done:
* of: its sizes as they are. uneven: a few large kernels among 1x1, at the cost of its sizes (within what whole sizes allow).
* permuted: shuffled among layers of equal cost, so that parameters and MACs stay the same
  (`within: stage`), or among all layers (`within: network`). random with `of`: multiply-accumulates within 5% of its sizes'.
Budgets count the whole network.
"""

import math
import random
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from workflow.protocol import bksef
from workflow.protocol.datasets import DatasetInfo
from workflow.support.errors import UserError

LARGEST = 7
TOLERANCE = 0.01  # of a random draw's parameters
MACS_TOLERANCE = 0.05
TRIES = 10_000


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The residual convolutions of a CIFAR ResNet in forward order, and what the rest of the network costs."""

    weights: tuple[int, ...]  # parameters of one kernel position
    positions: tuple[int, ...]  # output positions of one image
    stages: tuple[int, ...]
    fixed_parameters: int
    fixed_macs: int

    def parameters(self, sizes: Sequence[int]) -> int:
        """The whole network's parameters at these sizes."""
        return self.fixed_parameters + sum(w * s * s for w, s in zip(self.weights, sizes, strict=True))

    def macs(self, sizes: Sequence[int]) -> int:
        """The whole network's multiply-accumulates for one image at these sizes."""
        costs = zip(self.weights, self.positions, sizes, strict=True)
        return self.fixed_macs + sum(w * p * s * s for w, p, s in costs)


def cifar_resnet_layers(
    depth: int, *, widths: Sequence[int] = (16, 32, 64), channels: int = 3, classes: int = 10, image_size: int = 32
) -> Layers:
    """The layers of a CIFAR ResNet (depth 6n + 2, parameter-free shortcuts, stride 2 at the start of stages 2 and 3)."""
    weights, positions, stages = [], [], []
    inner, side = widths[0], image_size
    for stage, width in enumerate(widths):
        side = side if stage == 0 else math.ceil(side / 2)
        for _ in range((depth - 2) // 3):
            weights.append(inner * width)
            positions.append(side * side)
            stages.append(stage)
            inner = width
    normalisation = 2 * widths[0] + sum(2 * width * ((depth - 2) // 3) for width in widths)
    stem = 9 * channels * widths[0]
    return Layers(
        weights=tuple(weights),
        positions=tuple(positions),
        stages=tuple(stages),
        fixed_parameters=stem + normalisation + (widths[-1] + 1) * classes,
        fixed_macs=stem * image_size**2 + widths[-1] * classes,
    )


def uniform(layers: Layers, spec: Mapping) -> list[int]:
    """Every layer the same size."""
    return [spec["size"]] * len(layers.weights)


def mixed(layers: Layers, spec: Mapping) -> list[int]:
    """Sizes k and k + 1 with the count nearest to the budget; of layers that cost the same, the first ones get k + 1."""
    budget, count = spec["budget"], len(layers.weights)
    size = max((k for k in range(1, LARGEST) if layers.parameters([k] * count) <= budget), default=1)
    kinds = sorted(set(layers.weights))
    # What the layers of each cost may add together, by how many of them are larger.
    sums: dict[int, tuple[int, ...]] = {layers.parameters([size] * count): ()}
    for kind in kinds:
        step = kind * (2 * size + 1)
        sums = {
            total + number * step: (*chosen, number)
            for total, chosen in sums.items()
            for number in range(layers.weights.count(kind) + 1)
        }
    left = dict(zip(kinds, sums[min(sums, key=lambda total: (abs(total - budget), total))], strict=True))
    sizes = []
    for weight in layers.weights:
        sizes.append(size + (left[weight] > 0))
        left[weight] -= left[weight] > 0
    return sizes


def _profile(shape: Callable[[float], float]) -> Callable[[Layers, Mapping], list[int]]:
    """The rule that follows a shape over the depth (0..1 -> -1/2..1/2): level and height are those whose count is nearest."""

    def at(level: int, height: float, last: int) -> list[int]:
        heights = (level / 100 + height * shape(layer / last) for layer in range(last + 1))
        return [min(LARGEST, max(1, math.floor(value + 0.5))) for value in heights]

    def rule(layers: Layers, spec: Mapping) -> list[int]:
        last, budget, found = len(layers.weights) - 1, spec["budget"], []
        for height in (step / 4 for step in range(12, 25)):  # from 3 to 6 sizes between the smallest and the largest
            levels = range(-200, 100 * (LARGEST + 3))
            above = bisect_left(levels, budget, key=lambda level: layers.parameters(at(level, height, last)))  # noqa: B023
            for place in (above - 1, above):
                sizes = at(levels[min(max(place, 0), len(levels) - 1)], height, last)
                found.append((abs(layers.parameters(sizes) - budget), -height, sizes))
        return min(found)[2]

    return rule


def per_stage(layers: Layers, spec: Mapping) -> list[int]:
    """BKSEF's size of each of the three stages: 7, 7, 5."""
    sizes = bksef.sizes_by_stage()
    return [sizes[stage] for stage in layers.stages]


@cache
def _ways(weights: tuple[int, ...], low: int, high: int) -> tuple[list[float], ...]:
    """For each layer and each count so far: how many assignments of the layers from it on end between low and high."""
    table = [[1.0 if count >= low else 0.0 for count in range(high + 1)]]
    for weight in reversed(weights):
        after, steps = table[0], [weight * size * size for size in range(1, LARGEST + 1)]
        table.insert(0, [sum(after[c + s] for s in steps if c + s <= high) for c in range(high + 1)])
    return tuple(table)


def _drawn(layers: Layers, budget: int, source: random.Random) -> list[int]:
    """One draw, uniform over all assignments of 1..7 within the tolerance of the budget."""
    unit = math.gcd(*layers.weights)
    weights = tuple(weight // unit for weight in layers.weights)
    low = math.ceil((budget * (1 - TOLERANCE) - layers.fixed_parameters) / unit)
    high = math.floor((budget * (1 + TOLERANCE) - layers.fixed_parameters) / unit)
    if high < sum(weights) or not _ways(weights, low, high)[0][0]:
        raise UserError(
            f"no kernel sizes from 1 to {LARGEST} come within {TOLERANCE:.0%} of {budget:,} parameters: change the row's budget."
        )
    table, count, sizes = _ways(weights, low, high), 0, []
    for layer, weight in enumerate(weights):
        nexts = [count + weight * size * size for size in range(1, LARGEST + 1)]
        ways = [table[layer + 1][total] if total <= high else 0.0 for total in nexts]
        point, size = source.random() * sum(ways), 1
        while size < LARGEST and point >= ways[size - 1]:
            point -= ways[size - 1]
            size += 1
        while not ways[size - 1]:  # only where the last bit of a sum pushed the point past the end
            size -= 1
        sizes.append(size)
        count = nexts[size - 1]
    return sizes


def random_sizes(layers: Layers, spec: Mapping, base: Sequence[int] | None = None) -> list[int]:
    """A random draw; of those that match in multiply-accumulates, if asked for."""
    source = random.Random(f"sizes {spec.get('draw', 0)}")
    macs = spec.get("macs") if base is None else layers.macs(base)
    for _ in range(TRIES):
        sizes = _drawn(layers, spec["budget"], source)
        if macs is None or abs(layers.macs(sizes) / macs - 1) <= MACS_TOLERANCE:
            return sizes
    raise UserError(
        f"none of {TRIES:,} random draws at {spec['budget']:,} parameters has {macs:,} multiply-accumulates: change the row's macs."
    )


def _groups(layers: Layers, within: str = "stage") -> list[list[int]]:
    """The layers of equal cost, or (`within` network) all of them."""
    kinds = list(zip(layers.stages, layers.weights, layers.positions, strict=True))
    if within == "network":
        return [list(range(len(kinds)))]
    return [[layer for layer, kind in enumerate(kinds) if kind == own] for own in dict.fromkeys(kinds)]


def permuted(layers: Layers, spec: Mapping, base: Sequence[int]) -> list[int]:
    """The sizes of a search in another order; a different one, wherever there is one."""
    groups = _groups(layers, spec.get("within", "stage"))
    source, sizes = random.Random(f"permutation {spec.get('draw', 0)}"), list(base)
    for _ in range(100):
        for group in groups:
            order = sorted(group, key=lambda layer: source.random())
            for layer, other in zip(group, order, strict=True):
                sizes[layer] = base[other]
        if sizes != list(base):
            break
    return sizes


def uneven(layers: Layers, spec: Mapping, base: Sequence[int]) -> list[int]:
    """Among layers of equal cost, the first as large as the sum of squared sizes allows, 1x1 after them: a bad use of that cost."""
    sizes = list(base)
    for group in _groups(layers):
        left = sum(base[layer] ** 2 for layer in group)
        for after, layer in zip(range(len(group) - 1, -1, -1), group, strict=True):
            sizes[layer] = min(LARGEST, math.isqrt(left - after))
            left -= sizes[layer] ** 2
    return sizes


PLANNED: dict[str, Callable[[Layers, Mapping], list[int]]] = {
    "uniform": uniform,
    "mixed": mixed,
    "rising": _profile(lambda depth: depth - 0.5),
    "falling": _profile(lambda depth: 0.5 - depth),
    "bell": _profile(lambda depth: 0.5 - abs(2 * depth - 1)),
    "per-stage": per_stage,
    "random": random_sizes,
}
SEARCHED: dict[str, Callable[[Layers, Mapping, Sequence[int]], list[int]]] = {
    "of": lambda layers, spec, base: list(base),
    "permuted": permuted,
    "uneven": uneven,
    "random": random_sizes,
}
NEEDS = {"uniform": "size", "per-stage": None, "of": "of", "permuted": "of", "uneven": "of"}  # else a budget


def layers_of(system: str, arguments: Mapping, info: DatasetInfo) -> Layers:
    """The layers of a run's network, which must be a CIFAR ResNet."""
    found = re.fullmatch(r"cifar_resnet(\d+)", system)
    if not found:
        raise UserError(
            f"rules of kernel sizes are for CIFAR ResNets, not for '{system}': take 'sizes' out of the row."
        )
    widths = arguments.get("widths", (16, 32, 64))
    return cifar_resnet_layers(
        int(found[1]), widths=widths, channels=info.channels, classes=info.classes, image_size=info.image_size
    )
