"""Means, spreads, intervals and tests of a handful of seeds, by SciPy's distributions.

A spread is the sample standard deviation (n - 1); one value has none. Every comparison is a `Difference`: an estimate with its
standard error and degrees of freedom, from which its intervals, the test against zero, the two one-sided tests (equivalence) and the
smallest difference that could have been seen follow. What is not known is infinite, never None: an interval that reaches from minus
to plus infinity decides nothing by itself.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from workflow.support.known import known

CONFIDENCE, NARROW = 0.95, 0.90  # NARROW: inside +-delta is what two one-sided tests at 5 % ask for
LEVEL, POWER = 0.05, 0.80


@dataclass(frozen=True)
class Interval:
    """A value between two bounds, in its own unit; both bounds infinite where there is no spread to make them from."""

    value: float
    low: float = -math.inf
    high: float = math.inf

    @property
    def decided(self) -> bool:
        """Whether there are bounds at all."""
        return math.isfinite(self.low)

    @property
    def ends(self) -> tuple[float | None, float | None]:
        """The bounds for files and texts: None where there are none."""
        return (self.low, self.high) if self.decided else (None, None)

    def over(self, other: "Interval") -> "Interval":
        """The ratio of two positive values, with all that the ranges of both allow."""
        return Interval(self.value / other.value, self.low / other.high, self.high / other.low)

    def inside(self, delta: float) -> bool:
        """Whether all of it lies within -delta to +delta."""
        return -delta <= self.low and self.high <= delta


@dataclass(frozen=True)
class Difference(Interval):
    """An estimate whose bounds are its 95 % interval by Student's t with `freedom` degrees and the standard error `error`."""

    error: float = math.inf
    freedom: float = 1.0

    def at(self, confidence: float) -> Interval:
        """The interval at another confidence."""
        half = _half(self.error, self.freedom, confidence)
        return Interval(self.value, self.value - half, self.value + half)

    def above(self, bound: float) -> float:
        """One-sided p value of "no more than `bound`"."""
        from scipy.special import stdtr

        if self.error == 0:
            return float(self.value <= bound)
        return float(stdtr(self.freedom, (bound - self.value) / self.error)) if self.decided else 1.0

    @property
    def p(self) -> float:
        """Two-sided p value of "none"."""
        return min(1.0, 2 * min(self.above(0.0), self.negative().above(0.0)))

    def equivalence(self, delta: float) -> float:
        """p value of "beyond +-delta": the larger of two one-sided tests (Schuirmann 1987)."""
        return max(self.above(-delta), self.negative().above(-delta))

    def negative(self) -> "Difference":
        """The difference the other way round."""
        return Difference(-self.value, -self.high, -self.low, self.error, self.freedom)

    def detectable(self, power: float = POWER, level: float = LEVEL) -> float:
        """The smallest true difference that a two-sided test at `level` finds with probability `power` at this error and freedom."""
        from scipy.special import nctdtrinc

        if not self.decided:
            return math.inf
        return self.error * float(nctdtrinc(self.freedom, 1 - power, _quantile(self.freedom, 1 - level)))


@dataclass(frozen=True)
class Sample:
    """`n` values by their mean and sample standard deviation (None: unknown, or one value); `values` where they are known."""

    mean: float
    std: float | None
    n: int
    values: tuple[float, ...] = ()

    @property
    def estimate(self) -> Difference:
        """The mean with its standard error."""
        return contrast([(1, self)])

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float] | None:
        """Student's interval for the mean; None without a spread."""
        found = self.estimate.at(confidence)
        return (found.low, found.high) if found.decided else None


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


def _quantile(freedom: float, confidence: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + confidence / 2))


def _half(error: float, freedom: float, confidence: float) -> float:
    return error * _quantile(freedom, confidence) if 0 < error < math.inf else error


def _difference(value: float, error: float = math.inf, freedom: float = 1.0) -> Difference:
    half = _half(error, freedom, CONFIDENCE)
    return Difference(value, value - half, value + half, error, freedom)


def welch(a: Sample, b: Sample) -> Difference:
    """The difference of two means of independent samples (Welch 1947; Satterthwaite's degrees of freedom)."""
    return contrast([(1, a), (-1, b)])


def contrast(parts: Iterable[tuple[float, Sample]], *, cautious: bool = False) -> Difference:
    """The sum of coefficient x mean over independent samples (Welch's difference is that of +1 and -1).

    Without bounds where a sample has no spread. `cautious`: the degrees of freedom of the smallest sample (Hsu), for samples of very
    unequal sizes, where Satterthwaite's are too many.
    """
    parts = [(coefficient, found) for coefficient, found in parts if coefficient]
    value = math.fsum(coefficient * found.mean for coefficient, found in parts)
    pieces = []
    for coefficient, found in parts:
        if found.std is None or found.n < 2:
            return _difference(value)
        pieces.append((coefficient**2 * found.std**2 / found.n, found.n - 1))
    variance = math.fsum(piece for piece, _ in pieces)
    if variance == 0:
        return _difference(value, 0.0)
    freedom = variance**2 / math.fsum(piece**2 / free for piece, free in pieces)
    if cautious:
        freedom = min(free for _, free in pieces)
    return _difference(value, math.sqrt(variance), freedom)


def beside_one(control: Sample, others: Sequence[Sample]) -> list[Difference]:
    """Each other's mean less the control's, with one spread for all, pooled over every sample (Student's t, as Dunnett 1955 does).

    For many samples of a few values each, whose own spreads say little. Without bounds where no sample has a spread.
    """
    spread, freedom = pooled_spread((control, *others)) or (math.inf, 1)
    return [
        _difference(other.mean - control.mean, spread * math.sqrt(1 / other.n + 1 / control.n), freedom)
        for other in others
    ]


def pooled_spread(samples: Iterable[Sample]) -> tuple[float, int] | None:
    """The spread that samples of unlike means have in common, and its degrees of freedom; None where none has two values."""
    parts = [(known(found.std) ** 2, found.n - 1) for found in samples if found.n > 1]
    freedom = sum(free for _, free in parts)
    return (math.sqrt(math.fsum(square * free for square, free in parts) / freedom), freedom) if freedom else None


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values (1979): the chance of one false rejection among all stays below the level."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted


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


def spread_floor(accuracy: float, images: int) -> float:
    """The spread (points) that seeds show on one test set if each image is a coin of its own: the binomial one over the root of 2.

    Two runs see the same images, so that only images on which they disagree count. In a calibrated ensemble two runs disagree about
    as often as one errs (Jiang et al. 2022; Jordan 2023 derives the variance), which is half the binomial variance.
    """
    return sampling_error(accuracy, images) / math.sqrt(2)


def with_floor(found: Sample, images: int) -> Sample:
    """A printed mean and spread with the spread raised to `spread_floor` where it lies below; the same sample where it does not."""
    least = spread_floor(found.mean, images)
    return found if found.std is None or found.std >= least else Sample(found.mean, least, found.n)
