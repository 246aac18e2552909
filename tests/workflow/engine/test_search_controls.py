"""The search stage's controls and other methods by the engine: no images, fewer images, a method by name, timing of each."""

import importlib

import pytest
import torch

from workflow import engine

stage = importlib.import_module("workflow.engine.search")  # the package gives its function under this name


def searched(tiny, folder, **search):
    run = tiny.run(search=search)
    return engine.search(run, tiny.data, folder, digest="d", log=lambda text: None)


def test_a_data_free_search_never_runs_the_network_and_finds_the_same_sizes(tiny, tmp_path, monkeypatch):
    options = {**tiny.run().search.options, "data_free": True}
    with monkeypatch.context() as patched:
        patched.setattr(stage, "BudgetStep", stage.Step)
        with_images = searched(tiny, tmp_path / "with", options=options)
    forward, calls = stage.SizeSearch.forward, []
    monkeypatch.setattr(
        stage.SizeSearch, "forward", lambda self, images: calls.append(self.training) or forward(self, images)
    )
    without = searched(tiny, tmp_path / "without", options=options)
    assert not any(calls)  # evaluation only
    assert without["sizes"] == with_images["sizes"] and without["soft_sizes"] == with_images["soft_sizes"]


@pytest.mark.parametrize("method", ["super-kernel", "envelope"])
def test_another_method_by_name_searches_and_is_timed(tiny, tmp_path, method):
    found = searched(tiny, tmp_path, method=method)
    assert len(found["sizes"]) == 6 and found["epochs"] == 2 and found["parameters"] > 0
    assert len(found["trajectory"]["step"]) == 8  # two epochs of four steps
    run = tiny.run(search={"method": method})
    timed = engine.measure(
        run, tiny.data, kernel_sizes=found["sizes"], log=lambda text: None, slices=3, slice_seconds=0.02
    )
    assert timed["search_seconds"] > 0 and timed["train_seconds"] > 0


def test_fewer_images_are_the_first_ones(tiny, tmp_path):
    run = tiny.run(train={"images": 24}, search={"images": 16})
    from workflow.engine.session import images
    from workflow.protocol.recipes import recipe

    for name, count in (("train", 24), ("search", 16)):
        sets = images(
            run, tiny.data, recipe("resnet_sgd", "cifar10"), stage=name, batch_size=8, device=torch.device("cpu")
        )
        assert sets.train.count == count and sets.test.count == 30
        assert sets.train.labels.tolist() == tiny.data.train.labels[:count].tolist()
