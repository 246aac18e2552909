"""The search stage's controls by the engine: no images, fewer images."""

import importlib

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
