"""Every other way to sizes through the engine: a search that is trained and timed."""

import pytest

from workflow import engine


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("super-kernel", {}),
        ("envelope", {}),
        ("dash", {"lr_choice": 0.3}),
        ("sampled", {"window": 4}),
    ],
)
def test_a_method_searches_and_its_sizes_are_trained_and_timed(tiny, tmp_path, method, options):
    own = {"options": {"record_every": 1, **options}} if options else {}
    run = tiny.run(search={"method": method, **own})
    given = {"digest": "d", "log": lambda text: None}
    found = engine.search(run, tiny.data, tmp_path, **given)
    assert len(found["sizes"]) == 6 and found["epochs"] == 2
    assert len(found["trajectory"]["step"]) == 8  # two epochs of four steps
    assert 0 < found["parameters"] < 1.05 * 12_000
    if method != "envelope":  # whose widths eight steps do not bring to the budget
        assert found["parameters"] == pytest.approx(12_000, rel=0.05)
    trained = engine.train(run, tiny.data, tmp_path, kernel_sizes=found["sizes"], **given)
    assert trained["parameters"] == found["parameters"]
    timed = engine.measure(run, tiny.data, kernel_sizes=found["sizes"], log=given["log"], slices=3, slice_seconds=0.02)
    assert timed["search_seconds"] > 0 and timed["train_seconds"] > 0
