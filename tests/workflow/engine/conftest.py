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


RECIPE = dataclasses.replace(recipe("resnet_sgd", "cifar10").with_epochs(2), batch_size=16)
OPTIONS = {"kernel_predictor": "projected", "hidden": 4, "record_every": 1, "lr_size_predictor": 0.01}
RUN = Run(
    id="cifar10/tiny/seed0", dataset="cifar10", row="tiny", label="Tiny", seed=0, system="tiny", arguments={}, data="unused",
    constants=DATASETS["cifar10"], search=Search(epochs=2, recipe=RECIPE, parameters=12_000, options=OPTIONS),
    train=Training(recipe=RECIPE),
)  # fmt: skip


def a_run(*, recipe: dict | None = None, options: dict | None = None, search: dict | None = None, **changes) -> Run:
    """A run of both stages: 2 epochs each of 56 images in batches of 16, the last one of 8.

    `recipe`: changes of both stages' recipe; `options`: of the search.
    """
    own = dataclasses.replace(RECIPE, **(recipe or {}))
    wanted = dataclasses.replace(RUN.search, recipe=own, options={**OPTIONS, **(options or {})}, **(search or {}))
    return dataclasses.replace(RUN, **{"search": wanted, "train": Training(recipe=own), **changes})


@pytest.fixture
def tiny(monkeypatch):
    """`baselines.build` replaced by `tiny_system`, and one thread."""
    import baselines

    monkeypatch.setattr(baselines, "build", tiny_system)
    torch.set_num_threads(1)
    return SimpleNamespace(run=a_run, data=made_up(), made_up=made_up)
