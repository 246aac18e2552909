"""Any folder of images: SPLIT/CLASS/FILE, the classes numbered in the order of their names, as torchvision's ImageFolder does."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workflow.data.files import Files, readable
from workflow.protocol.datasets import DATASETS, DatasetInfo
from workflow.support.errors import UserError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".tif", ".tiff", ".webp"}
SPLITS = {"train": ("train",), "test": ("test", "val", "validation")}
CHUNK = 1024


def find_split(root: Path, split: str) -> Path | None:
    """The folder of a split, where it holds at least one folder of a class."""
    for name in SPLITS[split]:
        if (root / name).is_dir() and any(path.is_dir() for path in (root / name).iterdir()):
            return root / name
    return None


def split_folder(root: Path, split: str) -> Path:
    """The folder of a split. Raises UserError where there is none."""
    folder = find_split(root, split)
    if folder is None:
        raise UserError(f"{root} has no folder {split}/CLASS/ with images: put them there, one folder a class.")
    return folder


def _classes(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every image of a split with its class, class by class, in the order of names."""
    for label, name in enumerate(_classes(folder)):
        for path in sorted((folder / name).rglob("*")):
            if path.suffix.lower() in SUFFIXES and path.is_file():
                yield path, label


def _pixels(path: Path, channels: int) -> np.ndarray:
    from PIL import Image

    try:
        with readable(path), Image.open(path) as image:
            return np.asarray(image.convert("L" if channels == 1 else "RGB")).reshape(
                image.height, image.width, channels
            )
    except Image.DecompressionBombError:
        raise UserError(f"{path} is an image of more pixels than any data set has: delete it.") from None


def describe(name: str, root: Path) -> DatasetInfo:
    """The entry of a data set of one's own; its constants are plain halves, since none are published."""
    splits = {split: split_folder(root, split) for split in SPLITS}
    first = next(_images(splits["train"]), None)
    if first is None:
        raise UserError(
            f"{splits['train']} holds no image ({', '.join(sorted(SUFFIXES))}): put them into one folder a class."
        )
    if len(classes := _classes(splits["train"])) < 2:
        raise UserError(
            f"{splits['train']} has one class folder, {classes[0]}: put images of two classes or more there."
        )
    height, width, _ = _pixels(first[0], 3).shape
    if height != width:
        raise UserError(f"{first[0]} is {width}x{height} pixels, not square: crop the images to squares of one size.")
    counts = {split: sum(1 for _ in _images(folder)) for split, folder in splits.items()}
    return DatasetInfo(
        name=name,
        title=name,
        classes=len(classes),
        image_size=height,
        channels=3,
        train_images=counts["train"],
        test_images=counts["test"],
        mean=(0.5, 0.5, 0.5),  # none published: halves and quarters
        std=(0.25, 0.25, 0.25),
    )


def read_imagefolder(files: Files, split: str, info: DatasetInfo) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Chunks (images, labels) of a split under `files.folders[0]`; one digest over the files' bytes, in order, goes to the records."""
    folder = split_folder(files.folders[0], split)
    classes, trained = _classes(folder), _classes(split_folder(files.folders[0], "train"))
    if len(classes) != info.classes:
        raise UserError(f"{folder} has {len(classes)} class folders, not {info.classes}: add or remove some.")
    if other := sorted(set(classes) - set(trained)):  # classes are numbered by their names, in each split by itself
        raise UserError(f"{folder} has the class folder {other[0]}, which train does not have: rename one of them.")
    digest, count, size, images, labels = hashlib.sha256(), 0, 0, [], []
    empty = set(classes) if split == "train" else set()
    for path, label in _images(folder):
        with readable(path):
            content = path.read_bytes()
        digest.update(content)
        empty.discard(classes[label])
        size, count = size + len(content), count + 1
        pixels = _pixels(path, info.channels)
        if pixels.shape != info.shape:
            raise UserError(
                f"{path} is {pixels.shape[1]}x{pixels.shape[0]} pixels, not {info.image_size}x{info.image_size}: resize it."
            )
        images.append(pixels)
        labels.append(label)
        if len(images) == CHUNK:
            yield np.stack(images), np.array(labels, np.int64)
            images, labels = [], []
    if empty:
        raise UserError(f"{folder / min(empty)} holds no image: put some there, or remove the class.")
    if images:
        yield np.stack(images), np.array(labels, np.int64)
    files.records.append(
        {
            "path": str(folder),
            "bytes": size,
            "images": count,
            "sha256": digest.hexdigest(),
            "verified": False,
            "against": "nothing: image files have no published checksum; counts, shapes and labels were checked",
        }
    )


def dataset_info(name: str, folder: Path | None = None) -> DatasetInfo:
    """The entry of a data set; for any other name, that of the images in folder/NAME/{train,test}/CLASS/.

    Raises UserError where the name is neither.
    """
    if known := DATASETS.get(name):
        return known
    if folder is not None and (folder / name / "train").is_dir():
        from workflow.data.imagefolder import describe

        return describe(name, folder / name)
    raise UserError(
        f"no data set '{name}': choose one of {', '.join(DATASETS)}, or put your own images into "
        f"{(folder or Path('data')) / name}/train/CLASS/ and .../test/CLASS/."
    )
