"""Spreads and intervals against SciPy's own tests."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from workflow.report import text
from workflow.report.components import components, variance_difference
from workflow.report.stats import (
    Interval,
    Sample,
    contrast,
    exact_interval,
    holm,
    sample,
    sampling_error,
    spread_floor,
    welch,
    with_floor,
)

A, B = (92.35, 92.31, 92.44), (92.10, 91.95, 92.22, 92.3)


def test_mean_and_sample_standard_deviation():
    found = sample([1.0, None, 2.0, 4.5])
    assert (found.mean, found.n) == (2.5, 3)
    assert found.std == pytest.approx(math.sqrt(3.25))  # ((1.5)^2 + 0.5^2 + 2^2) / 2 = 3.25


def test_one_value_has_no_spread_and_none_is_no_sample():
    assert sample([3.0]) == Sample(3.0, None, 1, (3.0,))
    assert sample([3.0]).interval() is None
    assert sample([None]) is None


def test_interval_of_a_mean():
    low, high = sample(A).interval()
    expected = scipy_stats.ttest_1samp(A, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high))
    spread = Sample(0.0, 1.0, 3).interval()[1]
    assert spread == pytest.approx(2.484, abs=1e-3)  # t(0.975, 2) / sqrt(3) = 4.3027 / 1.7321


def test_welch_from_summary_statistics():
    found = welch(sample(A), sample(B))
    expected = scipy_stats.ttest_ind(A, B, equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_welch_undecided_example():
    """92.35 ± 0.05 against 92.10 ± 0.15 with three seeds each: p = 0.09."""
    found = welch(Sample(92.35, 0.05, 3), Sample(92.10, 0.15, 3))
    expected = scipy_stats.ttest_ind_from_stats(92.35, 0.05, 3, 92.10, 0.15, 3, equal_var=False)
    assert found.p == pytest.approx(expected.pvalue) and 0.05 < found.p < 0.1
    assert found.low < 0 < found.high


def test_welch_without_a_spread_has_no_interval():
    assert not welch(Sample(92.0, None, 1), Sample(91.0, 0.1, 3)).decided
    same = welch(Sample(92.0, 0.0, 3), Sample(91.0, 0.0, 3))
    assert (same.low, same.high, same.p) == (1.0, 1.0, 0.0)
    unknown = welch(Sample(92.0, None, 1), Sample(91.0, 0.1, 3))
    assert unknown.ends == (None, None) and unknown.p == 1.0 and unknown.detectable() == math.inf
    assert not unknown.at(0.9).decided and unknown.equivalence(5.0) == 1.0


@pytest.mark.parametrize("confidence", [0.90, 0.95])
def test_paired_differences(confidence):
    b = B[:3]
    exact = scipy_stats.ttest_rel(A, b)
    found = sample(x - y for x, y in zip(A, b, strict=True)).estimate
    bounds = exact.confidence_interval(confidence)
    assert (found.at(confidence).low, found.at(confidence).high) == pytest.approx((bounds.low, bounds.high))
    assert found.p == pytest.approx(exact.pvalue)


@pytest.mark.parametrize("delta", [0.1, 0.3, 1.0])
def test_two_one_sided_tests(delta):
    greater = scipy_stats.ttest_ind(A, [b - delta for b in B], equal_var=False, alternative="greater").pvalue
    less = scipy_stats.ttest_ind(A, [b + delta for b in B], equal_var=False, alternative="less").pvalue
    found = welch(sample(A), sample(B))
    assert found.equivalence(delta) == pytest.approx(max(greater, less))
    assert found.at(0.90).inside(delta) == (max(greater, less) <= 0.05)  # the same test, as an interval
    assert found.above(0.1) == pytest.approx(
        scipy_stats.ttest_ind([a - 0.1 for a in A], B, equal_var=False, alternative="greater").pvalue
    )


@pytest.mark.parametrize(("n", "std", "points"), [(3, 0.15, 0.46), (3, 0.25, 0.77), (10, 0.15, 0.20), (10, 0.25, 0.33)])
def test_the_smallest_difference_that_can_be_seen(n, std, points):
    """The figures of the plan of the study; and the power at it by SciPy's noncentral t."""
    found = welch(Sample(92.0, std, n), Sample(91.0, std, n))
    assert found.detectable() == pytest.approx(points, abs=0.005)
    far = scipy_stats.nct(2 * n - 2, found.detectable() / (std * math.sqrt(2 / n)))
    assert far.sf(scipy_stats.t.ppf(0.975, 2 * n - 2)) == pytest.approx(0.8, abs=1e-4)
    one = Sample(0.0, std, n).estimate  # of paired differences
    assert scipy_stats.nct(n - 1, one.detectable(0.9) / (std / math.sqrt(n))).sf(
        scipy_stats.t.ppf(0.975, n - 1)
    ) == pytest.approx(0.9, abs=1e-4)


def test_the_smaller_sides_degrees_of_freedom():
    parts = [(1, sample(A)), (-1, sample(B))]
    cautious = contrast(parts, cautious=True)
    error = math.sqrt(np.var(A, ddof=1) / 3 + np.var(B, ddof=1) / 4)
    assert (cautious.error, cautious.freedom) == pytest.approx((error, 2))
    assert cautious.high - cautious.value == pytest.approx(scipy_stats.t.ppf(0.975, 2) * error)


def test_holm_by_hand():
    # 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.04 * 1, each at least the one before; in any order; never above 1.
    assert holm([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert holm([0.04, 0.01]) == pytest.approx([0.04, 0.02]) and holm([0.9, 0.6]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_the_floor_under_printed_spreads():
    # 7 % of 10,000: the root of 0.07 * 0.93 / 10000 is 0.2551 points, half of that variance gives 0.1804. (0.7 %: 0.0834.)
    assert sampling_error(93.0, 10_000) == pytest.approx(0.25515, abs=1e-5)
    assert sampling_error(99.3, 10_000) == pytest.approx(0.08337, abs=1e-5)
    assert spread_floor(93.0, 10_000) == pytest.approx(0.18042, abs=1e-5)
    # Jordan (2023) measured 0.15 and 0.19 for a ResNet-9 of about 94 %, after 64 and 16 epochs.
    assert 0.15 < spread_floor(94.0, 10_000) < 0.19
    assert with_floor(Sample(93.0, 0.02, 3), 10_000).std == spread_floor(93.0, 10_000)
    for kept in (Sample(93.0, 0.3, 3), Sample(93.0, None, 1)):
        assert with_floor(kept, 10_000) is kept


def test_the_spread_between_size_vectors_by_hand():
    # Draws 90 to 94: variance 2.5; seeds 80, 82 and 70, 71: (2 + 0.5) / 2 = 1.25; the difference's root is 1.118.
    found = components([90.0, 91.0, 92.0, 93.0, 94.0], [[80.0, 82.0], [70.0, 71.0], [60.0]])
    assert (found.total, found.seeds, found.between.value) == pytest.approx((2.5**0.5, 1.25**0.5, 1.25**0.5))
    assert components([90.0], [[80.0, 82.0]]) is None and components([90.0, 91.0], [[80.0]]) is None
    less = components([90.0, 90.1], [[80.0, 82.0]])
    assert less.between.value == less.between.low == 0.0


def test_the_bounds_of_that_spread_without_seeds_are_chi_squared():
    values = [90.0, 91.0, 92.0, 93.0, 94.0]
    found = components(values, [[80.0, 80.0], [70.0, 70.0]]).between
    low, high = (math.sqrt(4 * 2.5 / scipy_stats.chi2.ppf(q, 4)) for q in (0.975, 0.025))
    assert (found.low, found.high) == pytest.approx((low, high))


@pytest.mark.parametrize(("n", "m", "tail"), [(23, 8, 0.025), (2, 17, 0.05), (9, 1, 0.025)])
def test_bounds_of_a_difference_of_variances_agree_with_the_tests_of_one_and_of_their_ratio(n, m, tail):
    """Exact where one variance is zero; a bound is zero where the F test is at its edge."""
    of_one = lambda free: [free / scipy_stats.chi2.ppf(share, free) for share in (1 - tail, tail)]
    assert variance_difference(2.0, n, 0.0, m, tail) == pytest.approx([2 * end for end in of_one(n)])
    assert variance_difference(0.0, n, 2.0, m, tail) == pytest.approx([-2 * end for end in reversed(of_one(m))])
    edge = scipy_stats.f(n, m).ppf
    assert variance_difference(edge(1 - tail), n, 1.0, m, tail)[0] == pytest.approx(0, abs=1e-9)
    assert variance_difference(edge(tail), n, 1.0, m, tail)[1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("between", [0.0, 0.1, 0.3])
def test_that_spread_lies_between_its_bounds_as_often_as_is_said(between):
    """24 draws, four vectors with three seeds of 0.2 each: 95 % of 2,000 made-up studies, give or take 1.5."""
    draw, covered = np.random.default_rng(7), 0
    for _ in range(2000):
        draws = draw.normal(90, math.hypot(between, 0.2), 24)
        found = components(draws, draw.normal(90, 0.2, (4, 3)).tolist()).between
        covered += found.low <= between <= found.high
    assert 0.935 <= covered / 2000 <= 0.985


@pytest.mark.parametrize("known", [Sample(90.0, None, 3), Sample(90.0, 0.2, 1)])
def test_a_mean_printed_without_a_spread_or_of_one_run_decides_nothing(known):
    found = welch(known, Sample(80.0, 0.1, 3))
    assert (found.value, found.ends, found.p) == (10.0, (None, None), 1.0)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_an_interval_knows_whether_it_has_bounds():
    assert Interval(1.0, 0.5, 2.0).ends == (0.5, 2.0) and Interval(1.0).ends == (None, None)
    assert Interval(1.0) == Interval(1.0, -math.inf, math.inf)
    assert Interval(0.0, -0.3, 0.3).inside(0.3) and not Interval(0.0, -0.3, 0.31).inside(0.3)


def test_a_ratio_allows_for_all_of_both_ranges():
    found = Interval(7.0, 5.0, 8.0).over(Interval(2.0, 1.5, 4.0))
    assert (found.value, found.low) == (3.5, 1.25) and found.high == pytest.approx(16 / 3)


def test_an_interval_is_inside_with_both_its_bounds():
    assert Interval(0.1, -0.3, 0.3).inside(0.3)
    assert not Interval(0.1, -0.31, 0.3).inside(0.3) and not Interval(0.1, -0.3, 0.31).inside(0.3)
    assert not Interval(0.0).inside(1e9)


@pytest.mark.parametrize(("value", "at_most_zero", "p"), [(-1.0, 1.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 0.0)])
def test_without_any_spread_the_means_decide(value, at_most_zero, p):
    found = welch(Sample(90.0 + value, 0.0, 3), Sample(90.0, 0.0, 3))
    assert (found.above(0.0), found.p) == (at_most_zero, p)


@pytest.mark.parametrize(("correct", "images"), [(9974, 10000), (0, 50), (50, 50), (31, 64)])
def test_exact_interval(correct, images):
    expected = scipy_stats.binomtest(correct, images).proportion_ci(0.95, method="exact")
    assert exact_interval(correct, images) == pytest.approx((100 * expected.low, 100 * expected.high))


def test_sampling_error():
    assert sampling_error(50.0, 10000) == pytest.approx(0.5)  # sqrt(0.5 * 0.5 / 10000) = 0.005


def test_numbers_in_words():
    assert text.plus_minus(92.35, 0.05) == "92.35 ± 0.05"
    assert text.plus_minus(92.35, None) == "92.35"
    assert text.plus_minus(99.74, 0.0002) == "99.74 ± 0.0002"
    assert text.published(92.3, 0.11) == "92.30 ± 0.11"
    assert text.published(92.2, 0.1) == "92.2 ± 0.1"
    assert text.published(81.0, None) == "81.0"
    assert (
        text.signed(-0.251) == "\N{MINUS SIGN}0.25" and text.signed(0.251) == "+0.25" and text.signed(-0.001) == "0.00"
    )
    assert [text.significant(v) for v in (1800, 205.2, 17.77, 0.0412, 0)] == ["1800", "205", "17.8", "0.0412", "0"]
    assert [text.millions(v) for v in (269722, 40_813_184, 1_234_000_000, None)] == ["0.270M", "40.8M", "1,234M", "–"]
    assert text.size([5, 7]) == "5×7" and text.size([3, 3]) == "3" and text.size(4) == "4"
