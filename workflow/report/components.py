"""How much kernel sizes matter at all: the spread between size vectors less the spread that seeds alone give."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from workflow.report.stats import CONFIDENCE, Interval, sample
from workflow.support.known import known


@dataclass(frozen=True)
class Components:
    """Standard deviations (points): of draws of one seed each, of seeds alone, and `between` draws, the seeds' taken out."""

    total: float
    seeds: float
    between: Interval


def components(
    draws: Sequence[float], repeats: Sequence[Sequence[float]], confidence: float = CONFIDENCE
) -> Components | None:
    """From one result a draw, and groups of results that differ in their seeds alone; None with fewer than two of either.

    Variances are subtracted. The interval of the difference is the modified large-sample one (Ting et al. 1990), whose bounds are
    exact where one of the variances is zero; bounds below zero become zero before the root is taken.
    """
    found = sample(draws)
    groups = [group for group in map(sample, repeats) if group is not None and group.n > 1]
    if found is None or found.n < 2 or not groups:
        return None
    many, few = found.n - 1, sum(group.n - 1 for group in groups)
    total = known(found.std) ** 2
    seeds = math.fsum((group.n - 1) * known(group.std) ** 2 for group in groups) / few
    low, high = variance_difference(total, many, seeds, few, (1 - confidence) / 2)
    root = lambda variance: math.sqrt(max(0.0, variance))
    return Components(root(total), root(seeds), Interval(root(total - seeds), root(low), root(high)))


def variance_difference(a: float, n: int, b: float, m: int, tail: float) -> tuple[float, float]:
    """Bounds of the difference of two variances, estimated by a with n and b with m degrees of freedom."""
    from scipy.special import chdtri, fdtri

    above = lambda free, share: (
        chdtri(free, share) / free
    )  # the quantile of chi squared over its freedom; share: the upper tail
    g1, h1 = 1 - 1 / above(n, tail), 1 / above(n, 1 - tail) - 1
    g2, h2 = 1 - 1 / above(m, tail), 1 / above(m, 1 - tail) - 1
    large, small = float(fdtri(n, m, 1 - tail)), float(fdtri(n, m, tail))
    g12 = ((large - 1) ** 2 - g1**2 * large**2 - h2**2) / large
    h12 = ((1 - small) ** 2 - h1**2 * small**2 - g2**2) / small
    down = (g1 * a) ** 2 + (h2 * b) ** 2 + g12 * a * b
    up = (h1 * a) ** 2 + (g2 * b) ** 2 + h12 * a * b
    return a - b - math.sqrt(max(0.0, down)), a - b + math.sqrt(max(0.0, up))
