"""The newer methods through the engine: two steps by their recipes, a search that is trained and timed, rules of a captured step."""

import json
import math
from dataclasses import replace

import pytest

from workflow import engine
from workflow.protocol.recipes import recipe
from workflow.protocol.runs import Training


@pytest.fixture
def real_systems(tiny, monkeypatch):
    """The engine's small run and made-up images, with the real systems."""
    import baselines
    from baselines import registry

    monkeypatch.setattr(baselines, "build", registry.build)
    return tiny


def quiet(text):
    pass


@pytest.mark.parametrize(
    ("system", "name", "arguments", "sizes"),
    [
        ("ccnn4_140", "ccnn_adam", {"backend": "auto"}, [[33, 33]] * 5),
        ("gmconv_resnet20", "resnet_sgd", {"widths": [2, 4, 8], "size": 5}, [5] * 18),
    ],
)
def test_two_steps_of_each_system_by_its_recipe(real_systems, tmp_path, system, name, arguments, sizes):
    data = real_systems.made_up(train=9, test=4)  # where the recipe holds out, one image of them
    own = replace(recipe(name, "cifar10").with_epochs(1), batch_size=4)
    run = replace(real_systems.run(), system=system, search=None, arguments=arguments, train=Training(recipe=own))
    result = engine.train(run, data, tmp_path, kernel_sizes=None, digest="d", log=quiet)
    assert math.isfinite(result["loss"]) and result["epochs"] == 1
    row = json.loads((tmp_path / "history.jsonl").read_text())
    assert ("validation_accuracy" in row) == (own.held_out > 0) == (system == "ccnn4_140")
    assert row["kernel_sizes"] == sizes


@pytest.mark.parametrize(("method", "options"), [("dash", {"lr_choice": 0.3}), ("sampled", {"window": 4})])
def test_a_method_searches_and_its_sizes_are_trained_and_timed(tiny, tmp_path, method, options):
    run = tiny.run()
    options = {"record_every": 1, **options}  # eight steps have to do
    run = replace(run, search=replace(run.search, method=method, options=options))
    found = engine.search(run, tiny.data, tmp_path, digest="d", log=quiet)
    assert len(found["sizes"]) == 6 and found["epochs"] == 2
    assert found["parameters"] == pytest.approx(12_000, rel=0.05)
    trained = engine.train(run, tiny.data, tmp_path, kernel_sizes=found["sizes"], digest="d", log=quiet)
    assert trained["parameters"] == found["parameters"]
    timed = engine.measure(run, tiny.data, kernel_sizes=found["sizes"], log=quiet, slices=3, slice_seconds=0.02)
    assert timed["search_seconds"] > 0 and timed["train_seconds"] > 0
