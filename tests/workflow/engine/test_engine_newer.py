"""Every other way to sizes through the engine: a search that is trained and timed."""

import pytest

from tests.workflow.engine.conftest import a_run, made_up
from workflow import engine


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("super-kernel", {}),
        ("envelope", {}),
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
    assert "dilations" not in found
    trained = engine.train(run, tiny.data, tmp_path, kernel_sizes=found["sizes"], **given)
    assert trained["parameters"] == found["parameters"]
    timed = engine.measure(run, tiny.data, kernel_sizes=found["sizes"], log=given["log"], slices=3, slice_seconds=0.02)
    assert timed["search_seconds"] > 0 and timed["train_seconds"] > 0


def test_a_method_that_finds_dilations_has_them_trained_and_timed(tmp_path):
    """With the real system: a network of which every layer is dilated has other weights than one of which none is."""
    options = {"record_every": 1, "lr_choice": 0.3}
    arguments = {"widths": [2, 4, 4]}
    run = a_run(
        system="dilated_resnet20",
        arguments=arguments,
        search={"method": "dash", "parameters": 6000, "options": options},
    )
    data, given = made_up(size=16), {"digest": "d", "log": lambda text: None}
    found = engine.search(run, data, tmp_path, **given)
    assert len(found["dilations"]) == 18 and found["parameters"] == pytest.approx(6000, rel=0.05)
    assert all(dilation * (size - 1) < 7 for size, dilation in zip(found["sizes"], found["dilations"], strict=True))
    assert max(found["dilations"]) > 1
    kernels = {"kernel_sizes": found["sizes"], "dilations": found["dilations"]}
    trained = engine.train(run, data, tmp_path / "dilated", **kernels, **given)
    plain = engine.train(run, data, tmp_path / "plain", kernel_sizes=found["sizes"], **given)
    assert trained["parameters"] == plain["parameters"] == found["parameters"]
    assert trained["cross_entropy"] != plain["cross_entropy"]
    timed = engine.measure(run, data, **kernels, log=given["log"], slices=2, slice_seconds=0.02)
    assert timed["search_seconds"] > 0 and timed["train_seconds"] > 0
