"""Spreads and intervals against SciPy's own tests."""

import math

import pytest
from scipy import stats as scipy_stats

from workflow.report import text
from workflow.report.stats import Sample, exact_interval, sample, sampling_error, welch

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
