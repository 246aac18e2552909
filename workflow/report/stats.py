"""Means, spreads and intervals of a handful of seeds, by SciPy's distributions.

A spread is the sample standard deviation (n - 1); one value has none. Comparisons use Welch's interval, which needs only means,
spreads and counts and so works against published numbers as well.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Sample:
    """`n` values by their mean and sample standard deviation (None: unknown, or one value); `values` where they are known."""

    mean: float
    std: float | None
    n: int
    values: tuple[float, ...] = ()

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
        """Student's interval for the mean; None without a spread."""
        if self.std is None or self.n < 2:
            return None
        half = _t(self.n - 1, confidence) * self.std / math.sqrt(self.n)
        return self.mean - half, self.mean + half


@dataclass(frozen=True)
class Difference:
    """a - b with Welch's interval and two-sided p value; the last three are None where either side has no spread."""

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def decided(self) -> bool:
        """Whether there is an interval at all."""
        return self.low is not None


def sample(values: Iterable[float | None]) -> Sample | None:
    """The sample of the values that are not None; None where there are none."""
    kept = tuple(float(value) for value in values if value is not None)
    if not kept:
        return None
    mean = math.fsum(kept) / len(kept)
    std = None
    if len(kept) > 1:
        std = math.sqrt(math.fsum((value - mean) ** 2 for value in kept) / (len(kept) - 1))
    return Sample(mean, std, len(kept), kept)


def _t(freedom: float, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2))


def welch(a: Sample, b: Sample, confidence: float = CONFIDENCE) -> Difference:
    """The difference of two means with Welch's interval from summary statistics (Welch 1947; Satterthwaite's degrees of freedom)."""
    return contrast([(1, a), (-1, b)], confidence)


def contrast(parts: Iterable[tuple[float, Sample]], confidence: float = CONFIDENCE) -> Difference:
    """The sum of coefficient x mean over independent samples, with Satterthwaite's interval (Welch's is that of +1 and -1).

    Without an interval where a sample has no spread.
    """
    parts = [(coefficient, found) for coefficient, found in parts if coefficient]
    value = math.fsum(coefficient * found.mean for coefficient, found in parts)
    if any(found.std is None or found.n < 2 for _, found in parts):
        return Difference(value)
    pieces = [(coefficient**2 * found.std**2 / found.n, found.n - 1) for coefficient, found in parts]
    variance = math.fsum(piece for piece, _ in pieces)
    if variance == 0:
        return Difference(value, value, value, 1.0 if value == 0 else 0.0)
    from scipy.special import stdtr

    freedom = variance**2 / math.fsum(piece**2 / free for piece, free in pieces)
    error = math.sqrt(variance)
    half = _t(freedom, confidence) * error
    return Difference(value, value - half, value + half, float(2 * stdtr(freedom, -abs(value) / error)))


def exact_interval(correct: int, images: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Clopper and Pearson's interval (percent) for an accuracy of `correct` out of `images`."""
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if correct == 0 else float(betaincinv(correct, images - correct + 1, tail))
    high = 1.0 if correct == images else float(betaincinv(correct + 1, images - correct, 1 - tail))
    return 100 * low, 100 * high


def sampling_error(accuracy: float, images: int) -> float:
    """Binomial standard error (percent points) of an accuracy (percent) on a test set of `images`."""
    share = accuracy / 100
    return 100 * math.sqrt(share * (1 - share) / images)
