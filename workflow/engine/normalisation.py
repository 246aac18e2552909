"""From bytes to network input: x * scale + shift per channel, or x / 255 minus the training set's mean image."""

from dataclasses import dataclass

import numpy as np
import torch

from workflow.protocol.datasets import DatasetInfo

# torchvision's ImageNet constants; the constants in the code of Wide Residual Networks (for CIFAR-10); Efficient-CapsNet's.
_CONSTANTS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "wrn": ((125.3 / 255, 123.0 / 255, 113.9 / 255), (63.0 / 255, 62.1 / 255, 66.7 / 255)),
    "unit-256": ((0.0,), (256 / 255,)),  # pixels over 256
}


@dataclass(frozen=True)
class Normalisation:
    """float32 `scale` and `shift` [C], applied to bytes; `mean_image` [H, W, C] in 0..1 is subtracted before cropping, if given."""

    scale: torch.Tensor
    shift: torch.Tensor
    mean_image: torch.Tensor | None = None


def normalisation(name: str, info: DatasetInfo, mean_image: np.ndarray | None = None) -> Normalisation:
    """The normalisation `name` of a recipe: imagenet | dataset | wrn | per-pixel-mean | unit | unit-256.

    mean_image: mean of the training images, [H, W, C] in 0..1; only per-pixel-mean needs it. Raises ValueError for another name, and
    for constants of another number of channels.
    """
    channels = info.channels
    if name in ("unit", "per-pixel-mean"):
        mean, std = (0.0,) * channels, (1.0,) * channels
    elif name in _CONSTANTS:
        mean, std = _CONSTANTS[name]
    elif name == "dataset":
        mean, std = info.mean, info.std
    else:
        raise ValueError(
            f"unknown normalisation '{name}': use imagenet, dataset, wrn, per-pixel-mean, unit or unit-256."
        )
    if len(mean) != channels:
        raise ValueError(
            f"normalisation '{name}' is for {len(mean)} channels and {info.name} has {channels}: choose another."
        )
    mean_t, std_t = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    image = torch.from_numpy(mean_image).float() if name == "per-pixel-mean" else None
    return Normalisation((1 / (255 * std_t)).float(), (-mean_t / std_t).float(), image)
