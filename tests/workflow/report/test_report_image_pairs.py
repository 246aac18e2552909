"""Runs compared image by image, against SciPy's own tests; arrays as they lie in a file of predictions."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from workflow.report.image_pairs import disagreement, over_images
from workflow.report.stats import sampling_error

DRAW = np.random.default_rng(3)
LABELS = DRAW.integers(0, 10, 2000).astype(np.uint8)


def classes(right: float) -> np.ndarray:
    """Predicted classes of which about so many are right."""
    wrong = (LABELS + DRAW.integers(1, 10, LABELS.size)).astype(np.uint8) % 10
    return np.where(DRAW.random(LABELS.size) < right, LABELS, wrong)


def test_disagreement_from_a_file(tmp_path):
    path = tmp_path / "predictions.npz"
    np.savez(path, classes=classes(0.93), log_probability=DRAW.normal(-0.3, 0.2, LABELS.size).astype(np.float16))
    first, second = np.load(path)["classes"] == LABELS, classes(0.90) == LABELS
    found = disagreement(first, second)
    table = [[int((first & second).sum()), found.first], [found.second, int((~first & ~second).sum())]]
    assert sum(map(sum, table)) == found.images == 2000
    assert found.first == sum(a and not b for a, b in zip(first.tolist(), second.tolist(), strict=True))
    exact = scipy_stats.binomtest(found.first, found.first + found.second).pvalue  # McNemar's test, exact
    assert found.p == pytest.approx(exact) and found.share == pytest.approx(100 * (table[0][1] + table[1][0]) / 2000)


def test_runs_that_agree_everywhere():
    same = np.ones(50, bool)
    assert disagreement(same, same).p == 1.0 and disagreement(same, same).share == 0.0


@pytest.mark.parametrize("compare", [disagreement, over_images])
def test_other_images_are_refused(compare):
    with pytest.raises(ValueError, match="50.*60"):
        compare(np.ones(50, bool), np.ones(60, bool))


def test_the_interval_over_images():
    first, second = np.stack([classes(0.93) == LABELS for _ in range(3)]), np.stack([classes(0.90) == LABELS] * 2)
    found = over_images(first, second)
    by_image = first.mean(0) - second.mean(0)
    exact = scipy_stats.bootstrap(
        (by_image,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(1), vectorized=True
    ).confidence_interval
    assert found.value == pytest.approx(by_image.mean())
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), abs=0.001)
    assert over_images(first, second) == found != over_images(first, second, seed=1)


def test_one_accuracys_interval_is_the_binomial_one():
    right = classes(0.9) == LABELS
    found = over_images(right, np.zeros(LABELS.size))
    assert (found.high - found.low) / 2 == pytest.approx(
        1.96 * sampling_error(100 * right.mean(), 2000) / 100, rel=0.08
    )


def test_log_probabilities_are_compared_alike():
    first, second = (
        DRAW.normal(-0.3, 0.2, (3, 500)).astype(np.float16),
        DRAW.normal(-0.5, 0.2, (2, 500)).astype(np.float16),
    )
    found = over_images(first, second)
    assert found.low > 0 and found.value == pytest.approx(first.astype(float).mean() - second.astype(float).mean())
