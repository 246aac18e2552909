"""Two systems on the same test images: how often they disagree, and intervals over images, from stored predictions.

Arrays are (seeds, images): True where the run classified the image rightly, or any number per image such as the log-probability of
the true class. Intervals over seeds (`stats`) say what another training would give on these images, those over images what these
trainings would give on other images.
"""

from dataclasses import dataclass

import numpy as np

from workflow.report.stats import CONFIDENCE, Interval

CHUNK = 64  # resamples at a time: 64 x 50,000 indices are 13 MB


@dataclass(frozen=True)
class Disagreement:
    """Images that one of two runs alone has right, of how many, and McNemar's exact two-sided p value."""

    first: int
    second: int
    images: int
    p: float

    @property
    def share(self) -> float:
        """Percent of the images on which one is right and the other wrong."""
        return 100 * (self.first + self.second) / self.images


def disagreement(first: np.ndarray, second: np.ndarray) -> Disagreement:
    """Where two runs differ, both (images,) of bool. ValueError for arrays of different images."""
    from scipy.special import bdtr

    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"predictions of {first.shape} and {second.shape} images: give two runs on the same test set.")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    fewer, either = min(only_first, only_second), only_first + only_second
    p = min(1.0, 2 * float(bdtr(fewer, either, 0.5))) if either else 1.0
    return Disagreement(only_first, only_second, first.size, p)


def over_images(
    first: np.ndarray, second: np.ndarray, *, resamples: int = 2000, seed: int = 0, confidence: float = CONFIDENCE
) -> Interval:
    """Mean of first minus second with the percentile interval of a bootstrap over images, both systems on the same ones.

    first, second: (seeds, images), each with seeds of its own; the unit of the result is that of their values (1 for bool).
    """
    first, second = (np.atleast_2d(np.asarray(values, np.float64)) for values in (first, second))
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"predictions of {first.shape[1]} and {second.shape[1]} images: give runs on the same test set."
        )
    by_image = first.mean(0) - second.mean(0)  # (images,)
    draw, means = np.random.default_rng(seed), np.empty(resamples)
    for start in range(0, resamples, CHUNK):
        count = min(CHUNK, resamples - start)
        means[start : start + count] = by_image[draw.integers(0, by_image.size, (count, by_image.size))].mean(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(by_image.mean()), float(low), float(high))
