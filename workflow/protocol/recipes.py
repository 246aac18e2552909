"""Training recipes by name: optimiser, schedule, length, augmentation and normalisation, each with its source. Torch-free.

* `resnet_sgd`      He et al. 2016, section 4.2: SGD, rate 0.1 divided by 10 at 1/2 and 3/4 of the training.
* `flexconv_adam`   FlexConv's published commands: Adam, 5 epochs of warm-up from rate 0, then a cosine, step by step.
* `ckconv_siren_adam`  The same for CKConv's SIREN kernels, at a tenth of the rate.
* `wrn_sgd`         Zagoruyko and Komodakis 2016: SGD with Nesterov momentum, rate 0.1 times 0.2 at epochs 60, 120, 160.
* `imagenet32_wrn`  Chrabaszcz et al. 2017: SGD, rate 0.01 times 0.2 at epochs 10, 20, 30; every image and its mirror in each epoch.

Those of single baselines' authors stand in `authors_recipes.py`.

What a source leaves open for a data set is decided here, in `_BY_DATASET`, and said in the recipe's `note`. Where one recipe is
used for a search, its augmentation, normalisation and batch size apply; the search has an optimiser of its own.
"""

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import Any

from workflow.protocol import authors_recipes
from workflow.support.errors import UserError


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
    schedule: str = "multistep"  # constant | multistep | warmup_cosine | exponential | validation
    milestones: tuple[int, ...] = ()  # epochs after which the rate is multiplied by gamma
    gamma: float = 0.1  # exponential: every epoch
    warmup_epochs: int = 0
    eta_min: float = 0.0  # exponential: the floor of the recipe's own rate, of others in proportion
    held_out: int = 0  # training images kept aside for validation, of the whole set; schedule validation goes by them
    pad: int = 0  # random crops of the image padded by this many pixels on every side
    pad_mode: str = "none"  # zero | reflect | none
    flip: str = "none"  # random (one half of the images) | both (each image as it is and mirrored, every epoch) | none
    augmentation: str = "none"  # capsnet | perspective-rotation | none
    normalisation: str = "dataset"  # imagenet | dataset | wrn | per-pixel-mean | unit | unit-256

    @property
    def passes(self) -> int:
        """How often an epoch shows each image."""
        return 2 if self.flip == "both" else 1

    def steps_per_epoch(self, images: int, batch_size: int | None = None) -> int:
        """Steps in one epoch over so many training images; at least one."""
        size, shown = batch_size or self.batch_size, self.passes * images
        return shown // size if self.drop_last and shown >= size else -(-shown // size)

    def rate(self, step: int, steps_per_epoch: int, base: float | None = None) -> float:
        """Learning rate of step 0, 1, ... for a parameter group whose own base rate is `base` (default: the recipe's)."""
        base = self.lr if base is None else base
        if self.schedule == "multistep":
            return base * self.gamma ** sum(step >= milestone * steps_per_epoch for milestone in self.milestones)
        if self.schedule == "warmup_cosine":
            return self._warmup_cosine(step, steps_per_epoch, base)
        if self.schedule == "exponential":
            floor = self.eta_min * base / self.lr
            return max(floor, base * self.gamma ** (step // steps_per_epoch))
        return base

    def _warmup_cosine(self, step: int, steps_per_epoch: int, base: float) -> float:
        """b i / W up to i = W + 1: the first step has rate 0, the peak is b (W + 1) / W; then a cosine to eta_min over T steps."""
        warmup = self.warmup_epochs * steps_per_epoch
        if warmup == 0:
            peak, start = base, 0
        elif step <= warmup + 1:
            return base * step / warmup
        else:
            peak, start = base * (warmup + 1) / warmup, warmup + 1
        length = max(1, (self.epochs - self.warmup_epochs) * steps_per_epoch)
        return self.eta_min + (peak - self.eta_min) * (1 + math.cos(math.pi * (step - start) / length)) / 2

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


_RECIPES: dict[str, dict[str, Any]] = {
    "resnet_sgd": {
        "source": "He, Zhang, Ren, Sun: Deep Residual Learning, CVPR 2016, section 4.2",
        "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "batch_size": 128, "gamma": 0.1,
    },
    "flexconv_adam": {
        "source": "Romero et al.: FlexConv, ICLR 2022, the commands of its published code",
        "optimizer": "adam", "lr": 0.01, "schedule": "warmup_cosine", "warmup_epochs": 5, "eta_min": 1e-6,
        "batch_size": 64, "epochs": 350,
    },
    "ckconv_siren_adam": {
        "source": "Romero et al.: FlexConv, ICLR 2022, the command of CKCNN-16: SIREN kernels take a tenth of flexconv_adam's rate",
        "optimizer": "adam", "lr": 0.001, "schedule": "warmup_cosine", "warmup_epochs": 5, "eta_min": 1e-6,
        "batch_size": 64, "epochs": 350,
    },
    "wrn_sgd": {
        "source": "Zagoruyko, Komodakis: Wide Residual Networks, BMVC 2016, and its published code",
        "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4, "batch_size": 128,
        "epochs": 200, "milestones": (60, 120, 160), "gamma": 0.2,
    },
    "imagenet32_wrn": {
        "source": "Chrabaszcz, Loshchilov, Hutter: A Downsampled Variant of ImageNet, 2017, and its published code",
        "optimizer": "sgd", "lr": 0.01, "momentum": 0.9, "weight_decay": 1e-3, "decay_biases": False, "batch_size": 128,
        "epochs": 40, "milestones": (10, 20, 30), "gamma": 0.2, "drop_last": True,
    },
    **authors_recipes.RECIPES,
}  # fmt: skip

_CROPS = {"pad": 4, "pad_mode": "zero", "flip": "random"}
_BY_DATASET: dict[tuple[str, str], dict[str, Any]] = {
    ("resnet_sgd", "cifar10"): {
        **_CROPS, "epochs": 164, "milestones": (82, 123), "normalisation": "per-pixel-mean",
        "note": "64,000 steps, the rate divided at 32,000 and 48,000, in whole epochs of all 50,000 images",
    },
    ("resnet_sgd", "mnist"): {
        "epochs": 136, "milestones": (68, 102), "normalisation": "dataset",
        "note": "open: the 64,000 steps of CIFAR-10 in whole epochs; no augmentation, as in FlexConv's command",
    },
    ("resnet_sgd", "stl10"): {
        "epochs": 350, "milestones": (175, 262), "normalisation": "dataset",
        "note": "open: as many epochs as FlexConv's authors gave their ResNet-18 control, the rate divided at 1/2 and 3/4; "
        "no augmentation, as in FlexConv's command",
    },
    ("resnet_sgd", "imagenet32"): {
        **_CROPS, "epochs": 40, "milestones": (20, 30), "normalisation": "imagenet",
        "note": "open: the length of FlexConv's authors' own ResNet-32 runs, the rate divided at 1/2 and 3/4",
    },
    ("flexconv_adam", "cifar10"): {**_CROPS, "normalisation": "imagenet"},
    ("ckconv_siren_adam", "cifar10"): {**_CROPS, "normalisation": "imagenet"},
    ("flexconv_adam", "mnist"): {"normalisation": "dataset"},
    ("flexconv_adam", "stl10"): {
        "normalisation": "dataset", "batch_size": 256, "epochs": 100,
        "note": "100 epochs as commanded; the authors' runs stopped after about 80 at a time limit",
    },
    ("flexconv_adam", "imagenet32"): {
        **_CROPS, "normalisation": "imagenet", "batch_size": 2048,
        "note": "the command's penalty of 1e-5 on the norms of generated kernels is the network's own option",
    },
    ("wrn_sgd", "cifar10"): {"pad": 4, "pad_mode": "reflect", "flip": "random", "normalisation": "wrn"},
    ("wrn_sgd", "mnist"): {"normalisation": "dataset", "note": "open: CIFAR-10's recipe without augmentation"},
    ("wrn_sgd", "stl10"): {"normalisation": "dataset", "note": "open: CIFAR-10's recipe without augmentation"},
    ("wrn_sgd", "imagenet32"): {
        "pad": 4, "pad_mode": "reflect", "flip": "random", "normalisation": "imagenet", "epochs": 40, "milestones": (12, 24, 32),
        "note": "open: CIFAR-10's recipe in 40 epochs, the milestones in proportion",
    },
    ("imagenet32_wrn", "imagenet32"): {
        "pad": 4, "pad_mode": "zero", "flip": "both", "normalisation": "per-pixel-mean",
        "note": "an epoch shows every image and its mirror, so 40 epochs are 80 passes; shuffled over the whole set, not file by file",
    },
    **authors_recipes.BY_DATASET,
}  # fmt: skip


def names() -> list[str]:
    """The recipes' names."""
    return list(_RECIPES)


def recipe(name: str, dataset: str) -> Recipe:
    """The recipe `name` as it applies to a data set (mnist, cifar10, stl10, imagenet32)."""
    if name not in _RECIPES:
        close = difflib.get_close_matches(name, _RECIPES, n=1)
        advice = f"did you mean '{close[0]}'?" if close else f"the recipes are {', '.join(_RECIPES)}."
        raise UserError(f"unknown recipe '{name}'; {advice}")
    if (name, dataset) not in _BY_DATASET:
        known = ", ".join(d for r, d in _BY_DATASET if r == name)
        raise UserError(
            f"recipe '{name}' is not defined for data set '{dataset}', only for {known}: choose another recipe."
        )
    return Recipe(name=name, dataset=dataset, **{**_RECIPES[name], **_BY_DATASET[name, dataset]})
