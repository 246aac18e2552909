"""Held-out training images, and the learning-rate rule that goes by the accuracy on them.

Which images are held out depends on their number alone: the same for every seed, row and run. The rule is VGG-5's (Kabir et al.
2020): after an epoch whose accuracy is not the best so far, the rate becomes the first one's times u^3, u uniform in 0..1, and
stays there until the next such epoch. There it went by the test set; here by the held-out images.
"""

import numpy as np
import torch

from workflow.engine.randomness import generator


def split(data, held_out: int, whole: int) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray] | None]:
    """Training images and labels, and those held out (None where `held_out` is 0).

    held_out: how many of a data set of `whole` training images; of a smaller one, in proportion, at least one.
    """
    images, labels = np.asarray(data.train.images), np.asarray(data.train.labels)
    if not held_out:
        return images, labels, None
    count = max(1, round(held_out * len(images) / whole))
    order = torch.randperm(len(images), generator=generator(0, "held out", len(images))).numpy()
    kept, aside = np.sort(order[count:]), np.sort(order[:count])
    return images[kept], labels[kept], (images[aside], labels[aside])


def rate_scale(rows: list[dict], *, seed: int) -> float:
    """What the next epoch's rate is multiplied by, after epochs with these history rows."""
    best, changed = -1.0, None
    for row in rows:
        if row["validation_accuracy"] <= best:
            changed = row["epoch"]
        best = max(best, row["validation_accuracy"])
    if changed is None:
        return 1.0
    return float(torch.rand((), generator=generator(seed, "train", "rate", changed), dtype=torch.float64)) ** 3
