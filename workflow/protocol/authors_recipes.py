"""Recipes of single baselines, as their authors published them; `recipes.py` says what the entries mean. Torch-free.

* `capsnet_adam`    Mazzia et al. 2021: Adam, batches of 16, the rate times 0.97 an epoch down to a tenth.
* `nin_sgd`         Lin et al. 2013: SGD, the rate divided by 10 twice near the end; rates and decay by layer are the network's own.
* `vgg5_adam`       Kabir et al. 2020: Adam; after an epoch that is not the best so far a random rate, here by held-out images.
* `njet_nin_sgd`, `njet_allcnn_sgd`, `njet_resnet_sgd`   Pintea et al. 2021: SGD, 45,000 of CIFAR-10's training images.
* `smpconv_adam`    Kim and Park 2023: Adam, 10 epochs of warm-up, then a cosine.
* `dcn_sgd`         Tomen et al. 2021: SGD without decay, the rate divided by 10 at 2/5 and 7/10.
"""

from typing import Any

_PINTEA = "Pintea, Tomen, Goes, Loog, van Gemert: Resolution Learning in Deep Convolutional Networks, TIP 2021"
RECIPES = {
    "capsnet_adam": {
        "source": "Mazzia, Salvetti, Chiaberge: Efficient-CapsNet, Scientific Reports 2021, and its published code",
        "optimizer": "adam", "lr": 5e-4, "eps": 1e-7, "batch_size": 16, "epochs": 150, "schedule": "exponential",
        "gamma": 0.97, "eta_min": 5e-5,
    },
    "nin_sgd": {
        "source": "Lin, Chen, Yan: Network in Network, 2013, and its author's layer files",
        "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "batch_size": 128, "epochs": 80,
        "milestones": (60, 70),
    },
    "vgg5_adam": {
        "source": "Kabir et al.: SpinalNet, 2020, and its published code",
        "optimizer": "adam", "lr": 0.005, "batch_size": 100, "epochs": 200, "schedule": "validation", "held_out": 5000,
    },
    "njet_nin_sgd": {
        "source": f"{_PINTEA}, the published demonstration",
        "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4, "batch_size": 128, "epochs": 90,
        "milestones": (30, 60), "held_out": 5000,
    },
    "njet_allcnn_sgd": {
        "source": f"{_PINTEA}; Springenberg et al.: Striving for Simplicity, 2015",
        "optimizer": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3, "batch_size": 128, "epochs": 350,
        "milestones": (200, 250, 300), "held_out": 5000,
    },
    "njet_resnet_sgd": {
        "source": f"{_PINTEA}, and the training code that its authors adapted",
        "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "batch_size": 128, "epochs": 164,
        "milestones": (81, 122), "held_out": 5000,
    },
    "smpconv_adam": {
        "source": "Kim and Park: SMPConv, CVPR 2023, the command of its published code",
        "optimizer": "adam", "lr": 0.005, "weight_decay": 1e-5, "schedule": "warmup_cosine", "warmup_epochs": 10,
        "batch_size": 64, "epochs": 210,
    },
    "dcn_sgd": {
        "source": "Tomen, Pintea, van Gemert: Deep Continuous Networks, ICML 2021, and its published code",
        "optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "batch_size": 128, "epochs": 200, "milestones": (80, 140),
        "drop_last": True,
    },
}  # fmt: skip

_CROPS = {"pad": 4, "pad_mode": "zero", "flip": "random"}
_NJET = {**_CROPS, "normalisation": "wrn"}
BY_DATASET: dict[tuple[str, str], dict[str, Any]] = {
    ("smpconv_adam", "cifar10"): {**_CROPS, "normalisation": "imagenet", "note": "open: the images' normalisation"},
    ("capsnet_adam", "mnist"): {
        "augmentation": "capsnet", "normalisation": "unit-256",
        "note": "all 60,000 training images, the last epoch; the authors kept the best epoch on the test set",
    },
    ("nin_sgd", "mnist"): {
        "normalisation": "per-pixel-mean",
        "note": "open: the length on MNIST is not published (CIFAR-10: 200 + 30 + 30 epochs), so 60 + 10 + 10; no augmentation",
    },
    ("vgg5_adam", "mnist"): {
        "augmentation": "perspective-rotation", "normalisation": "dataset",
        "note": "the rate goes by 5,000 held-out training images and the last epoch counts; the author's rate went by the test set, "
        "whose best of 200 epochs he reports",
    },
    ("njet_nin_sgd", "cifar10"): {**_NJET, "note": "CIFAR-10's own mean and deviation"},
    ("njet_allcnn_sgd", "cifar10"): {
        **_NJET, "note": "open: not published for this network; All-CNN's rates and lengths on the authors' 45,000 images",
    },
    ("njet_resnet_sgd", "cifar10"): {
        **_NJET, "note": "open: not published for this network; the adapted code's setting for CIFAR ResNets on 45,000 images",
    },
    ("dcn_sgd", "cifar10"): {
        **_CROPS, "normalisation": "unit",
        "note": "open: 200 epochs, to which the script's milestones belong, although its default is 100",
    },
}  # fmt: skip
