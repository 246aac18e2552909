"""Batches from a folder of images, one folder a class, for the command line. torchvision is imported here only."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.utils.data import DataLoader

if TYPE_CHECKING:
    from PIL.Image import Image


class _Augmented:
    """PIL image -> (3, side, side) normalised tensor: resized, mirrored at random, moved by up to an eighth."""

    def __init__(self, side: int) -> None:
        from torchvision.transforms import v2

        self.pipeline = v2.Compose(
            [
                v2.Resize((side, side)),
                v2.RandomHorizontalFlip(),
                v2.RandomCrop(side, padding=side // 8),
                v2.PILToTensor(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.5] * 3, [0.25] * 3),
            ]
        )

    def __call__(self, image: "Image") -> Tensor:
        changed: Tensor = self.pipeline(image)
        return changed


def image_batches(
    folder: Path, *, image_size: int, batch_size: int, workers: int = 0, seed: int = 0
) -> tuple[DataLoader[tuple[Tensor, Tensor]], int]:
    """(batches of (N, 3, image_size, image_size) images and labels, number of classes) of `folder`/train, or of `folder` itself.

    Raises ValueError where the folder is not there or holds no images in class folders.
    """
    from torchvision.datasets import ImageFolder

    root = folder / "train" if (folder / "train").is_dir() else folder
    try:
        images = ImageFolder(str(root), transform=_Augmented(image_size))
    except FileNotFoundError as error:
        raise ValueError(
            f"--data {folder}: {error}: give one folder a class, each with images in it, such as {folder}/cat/1.png."
        ) from error
    size = min(batch_size, len(images))
    generator = torch.Generator().manual_seed(seed)
    # A last batch of one image would break batch normalisation, so incomplete batches are left out.
    batches: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
        images, size, shuffle=True, drop_last=True, num_workers=workers, generator=generator
    )
    return batches, len(images.classes)
