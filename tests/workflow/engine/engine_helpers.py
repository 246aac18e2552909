"""Training on the small data set, and what it leaves in its folder."""

import json

import torch

from workflow import engine


def train(tiny, folder, run=None, **options) -> dict:
    """The train stage, quietly, without learned sizes unless they are given."""
    options = {"kernel_sizes": None, "digest": "d", "say": lambda text: None, **options}
    return engine.train(run or tiny.run(), tiny.data, folder, **options)


def weights(folder) -> dict:
    """The trained weights."""
    return torch.load(folder / "train.pt", weights_only=True)["model"]


def rows(folder) -> list[dict]:
    """The history, one dict an epoch."""
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
