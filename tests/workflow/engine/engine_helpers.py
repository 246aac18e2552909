"""Training on the small data set, and what it leaves in its folder."""

import json

import numpy as np
import torch

from workflow import engine
from workflow.engine.normalisation import normalisation
from workflow.engine.pixels import TrainingImages
from workflow.protocol.datasets import DATASETS
from workflow.protocol.recipes import recipe


def train(tiny, folder, run=None, **options) -> dict:
    """The train stage, quietly, without learned sizes unless they are given."""
    options = {"kernel_sizes": None, "digest": "d", "log": lambda text: None, **options}
    return engine.train(run or tiny.run(), tiny.data, folder, **options)


def weights(folder) -> dict:
    """The trained weights."""
    return torch.load(folder / "train.pt", weights_only=True)["model"]


def rows(folder) -> list[dict]:
    """The history, one dict an epoch."""
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def training_images(dataset="cifar10", name="resnet_sgd", *, device, batch_size, count) -> TrainingImages:
    """Random images of a data set's shape, augmented and normalised as a recipe has it."""
    rule, (side, channels) = recipe(name, dataset), {"cifar10": (32, 3), "mnist": (28, 1)}[dataset]
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    norm = normalisation(rule.normalisation, DATASETS[dataset], images.mean(0) / 255)
    return TrainingImages(
        images, draw.integers(0, 10, count), normalisation=norm, device=device, batch_size=batch_size, seed=0, stage="train",
        pad=rule.pad, pad_mode=rule.pad_mode, flip=rule.flip, augment=rule.augmentation,
    )  # fmt: skip
