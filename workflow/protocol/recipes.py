"""Training recipes: how a network is trained on a data set. The table is config/recipes.yaml; the arithmetic of the learning-rate
schedules is the engine's (workflow/engine/schedules.py). Torch-free.

`Recipe.with_epochs` stretches or compresses a recipe; `Recipe.shortened` is its form in the short protocol.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from workflow.support.errors import UserError
from workflow.support.files import ROOT, read_yaml
from workflow.support.nearest import advice

WORDS = ("name", "dataset", "source", "note")  # of a recipe: no number depends on them
WARM_UP = 0.2  # share of the linear schedule of the short protocol in which the rate rises


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained on one data set. Rates are per step; lengths are in epochs, one epoch `passes` over the images."""

    name: str
    dataset: str
    source: str
    note: str = ""
    optimizer: str  # sgd | adam
    lr: float
    momentum: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    decay_biases: bool = True  # False: biases (of normalisation, too) are not decayed
    epochs: int
    batch_size: int
    drop_last: bool = False  # False: the last, partial batch of an epoch is a step of its own
    schedule: str = "multistep"  # constant | multistep | warmup_cosine | linear | exponential | validation
    milestones: tuple[int, ...] = ()  # epochs after which the rate is multiplied by gamma
    gamma: float = 0.1  # exponential: every epoch
    warmup_epochs: float = 0
    eta_min: float = 0.0  # exponential: the floor of the recipe's own rate, of others in proportion
    held_out: int = 0  # training images kept aside for validation, of the whole set; schedule validation goes by them
    pad: int = 0  # random crops of the image padded by this many pixels on every side
    pad_mode: str = "none"  # zero | reflect | none
    flip: str = "none"  # random (one half of the images) | both (each image as it is and mirrored, every epoch) | none
    augmentation: str = "none"  # capsnet | perspective-rotation | none
    normalisation: str = "dataset"  # imagenet | dataset | wrn | per-pixel-mean | unit | unit-256

    @classmethod
    def from_json(cls, values: Mapping) -> "Recipe":
        """From plain values; lists become tuples."""
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**plain)

    @property
    def passes(self) -> int:
        """How often an epoch shows each image."""
        return 2 if self.flip == "both" else 1

    def steps_per_epoch(self, images: int) -> int:
        """Steps in one epoch over so many training images; at least one."""
        shown = self.passes * images
        return shown // self.batch_size if self.drop_last and shown >= self.batch_size else -(-shown // self.batch_size)

    def with_epochs(self, epochs: int) -> "Recipe":
        """The recipe stretched or shortened to `epochs`, milestones and warm-up in proportion (rounded to whole epochs).

        Milestones stay in order and inside the training where it has room for them: each is at least one epoch after the one
        before, at least 1 and at most `epochs` - 1; those that find no room are dropped. Warm-up stays shorter than the training.
        An exponential decay reaches each rate at the same share of the training.
        """
        if epochs < 1:
            raise ValueError(f"recipe '{self.name}' was asked for {epochs} epochs: give at least 1.")
        if epochs == self.epochs:
            return self
        factor, placed = epochs / self.epochs, [0]
        for milestone in self.milestones:
            placed.append(max(placed[-1] + 1, math.floor(milestone * factor + 0.5)))
        warmup = min(math.floor(self.warmup_epochs * factor + 0.5), epochs - 1)
        milestones = tuple(m for m in placed[1:] if m < epochs)
        gamma = self.gamma ** (1 / factor) if self.schedule == "exponential" else self.gamma
        return dataclasses.replace(self, epochs=epochs, milestones=milestones, warmup_epochs=warmup, gamma=gamma)

    def shortened(self, epochs: int, *, peak: float, weight_decay: float) -> "Recipe":
        """The recipe in the short protocol.

        SGD: Nesterov momentum 0.9, the given weight decay, a rate that rises to `peak` over the first fifth of the steps and falls
        linearly to zero. A warm-up with a cosine keeps its shape, compressed to the fraction of an epoch. Others: `with_epochs`.
        """
        if self.optimizer == "sgd":
            return dataclasses.replace(
                self, epochs=epochs, lr=peak, momentum=0.9, nesterov=True, weight_decay=weight_decay, schedule="linear",
                milestones=(), warmup_epochs=WARM_UP * epochs,
            )  # fmt: skip
        if self.schedule == "warmup_cosine":
            return dataclasses.replace(self, epochs=epochs, warmup_epochs=self.warmup_epochs * epochs / self.epochs)
        return self.with_epochs(epochs)

    def numbers(self) -> dict:
        """The fields that the numbers of a training depend on."""
        return {key: value for key, value in dataclasses.asdict(self).items() if key not in WORDS}

    def of_images(self) -> dict:
        """The fields that say which images a step sees: all that a search takes from its row's recipe."""
        fields = ("batch_size", "drop_last", "held_out", "pad", "pad_mode", "flip", "augmentation", "normalisation")
        return {key: getattr(self, key) for key in fields}


@cache
def _table() -> dict:
    return read_yaml(ROOT / "config" / "recipes.yaml")


def names() -> list[str]:
    """The recipes' names."""
    return list(_table())


def recipe(name: str, dataset: str) -> Recipe:
    """The recipe `name` as it applies to a data set. Raises UserError for a name or a pair that is not in the table."""
    table = _table()
    if name not in table:
        meant = advice(name, table, f"the recipes are {', '.join(table)}.")
        raise UserError(f"unknown recipe '{name}'; {meant}")
    entry = table[name]
    if dataset not in entry["datasets"]:
        raise UserError(
            f"recipe '{name}' is not defined for data set '{dataset}', only for {', '.join(entry['datasets'])}: "
            "choose another recipe."
        )
    try:
        return Recipe.from_json(
            {
                "name": name,
                "dataset": dataset,
                "source": entry["source"],
                **entry["recipe"],
                **entry["datasets"][dataset],
            }
        )
    except TypeError as error:
        raise UserError(f"config/recipes.yaml, recipe '{name}', {dataset}: {error}: correct the entry.") from None
