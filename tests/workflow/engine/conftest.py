"""A small data set and a tiny network in place of the real systems, for every test of the engine."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from workflow.protocol.datasets import DATASETS
from workflow.protocol.recipes import recipe
from workflow.protocol.runs import Run, Search, Training


def tiny_system(name, *, in_channels, num_classes, image_size, kernel_sizes=None, **arguments):
    """Stands for baselines.build: an 8-layer CIFAR ResNet with 4, 8 and 16 channels; `dropout` networks drop activations, too."""
    from effconv import cifar_resnet

    model = cifar_resnet(
        8, num_classes=num_classes, in_channels=in_channels, kernel_sizes=kernel_sizes, widths=(4, 8, 16)
    )
    return torch.nn.Sequential(torch.nn.Dropout(0.1), model) if name == "dropout" else model


def made_up(train: int = 56, test: int = 30, size: int = 8, channels: int = 3, classes: int = 10, seed: int = 0):
    """Prepared data: images whose brightness carries the label."""
    draw = np.random.default_rng(seed)

    def split(count):
        labels = draw.integers(0, classes, count)
        images = draw.integers(0, 120, (count, size, size, channels)) + 12 * (labels % 10)[:, None, None, None]
        return SimpleNamespace(images=images.astype(np.uint8), labels=labels.astype(np.int64))

    data = SimpleNamespace(train=split(train), test=split(test), manifest={})
    data.mean_image = (data.train.images.mean(0) / 255).astype(np.float32)
    return data


OPTIONS = {"kernel_predictor": "projected", "hidden": 4, "record_every": 1, "lr_size_predictor": 0.01}


def a_run(*, dataset: str = "cifar10", train: dict | None = None, search: dict | None = {}, **changes) -> Run:  # noqa: B006
    """A run of both stages: 2 epochs each of 56 images in batches of 16, the last one of 8.

    `train`: recipe (a name), epochs, batch_size, images, in place of these; `search`: the same and fields of the search; None: none.
    """

    def resolved(given: dict):
        made = recipe(given.get("recipe", "resnet_sgd"), dataset).with_epochs(given.get("epochs", 2))
        return dataclasses.replace(made, batch_size=given.get("batch_size", 16))

    given = train or {}
    learn = None
    if search is not None:
        fields = {"epochs": 2, "parameters": 12_000, "options": OPTIONS, **search}
        kept = {key: value for key, value in fields.items() if key != "batch_size"}
        learn = Search(**{**kept, "recipe": resolved({**search, "epochs": 2})})
    return Run(**{
        "id": f"{dataset}/tiny/seed0", "dataset": dataset, "row": "tiny", "label": "Tiny", "seed": 0, "system": "tiny",
        "arguments": {}, "data": "unused", "constants": DATASETS[dataset], "search": learn,
        "train": Training(recipe=resolved(given), images=given.get("images")), **changes,
    })  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    """`baselines.build` replaced by `tiny_system`, and one thread."""
    import baselines

    monkeypatch.setattr(baselines, "build", tiny_system)
    torch.set_num_threads(1)
    return SimpleNamespace(run=a_run, data=made_up(), made_up=made_up)
