"""BKSEF's hand rule (Shreyas099/BKSEF): one kernel size a stage, the candidate with the best score. No search, no budget, no torch.

Constants and candidates are those of its published case study on CIFAR-10. With them the best are 7, 7 and 5: 0.92M parameters in
CIFAR ResNet-20, so rows that are compared take other widths.
"""

import math
from collections.abc import Sequence

CANDIDATES = ((3, 5, 7), (3, 5, 7), (1, 3, 5))  # by stage
WEIGHTS = (0.45, 0.45, 0.10)  # of information, accuracy and cost
INFORMATION_RATE, ACCURACY_RATE = 0.75, 0.35


def scores(candidates: Sequence[int]) -> list[float]:
    """A layer's score of each size k: information log(1 + 0.75 k) and accuracy 1 - exp(-0.35 k) less cost, each scaled to 0..1.

    Cost means multiply-accumulates. A layer's own factor falls out when they are scaled over the candidates, which leaves k^2: the
    layers of a stage get one size, whatever their width.
    """
    gains = (
        [math.log(1 + INFORMATION_RATE * size) for size in candidates],
        [1 - math.exp(-ACCURACY_RATE * size) for size in candidates],
        [float(size * size) for size in candidates],
    )
    information, accuracy, cost = ([(v - min(g)) / (max(g) - min(g)) for v in g] for g in gains)
    first, second, third = WEIGHTS
    return [first * i + second * a - third * c for i, a, c in zip(information, accuracy, cost, strict=True)]


def sizes_by_stage() -> list[int]:
    """The size of each stage."""
    return [max(zip(scores(sizes), sizes, strict=True))[1] for sizes in CANDIDATES]
