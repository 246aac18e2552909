"""A prepared data set: memory-mapped arrays and their manifest; loading, and checking that nothing has changed."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workflow.support.errors import UserError
from workflow.support.files import read_json

SCHEMA = 1
SPLITS = ("train", "test")
KEYS = {"dataset", "source", "splits", "mean", "std", "sha256_mean_image", "files", "created"}


@dataclass(frozen=True)
class Split:
    """One split: images, uint8 (N, H, W, C), mapped from disk (writes stay in memory); labels, int64 (N,), from 0."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Prepared:
    """A prepared data set."""

    folder: Path
    train: Split
    test: Split
    manifest: dict

    @property
    def mean_image(self) -> np.ndarray:
        """Per-pixel mean of the training images, float32 (H, W, C), of pixels in 0..1."""
        return np.load(self.folder / "train" / "mean_image.npy", allow_pickle=False)


def _array(path: Path, shape: tuple[int, ...], dtype: str, again: str) -> np.ndarray:
    """A mapped array of exactly this shape. Copy-on-write: torch wants writable memory, the file is never changed."""
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): {again}.") from None
    if array.shape != shape or array.dtype != dtype:
        raise UserError(f"{path} holds {array.dtype} {array.shape}, not the {dtype} {shape} of its manifest: {again}.")
    return array


def read_manifest(out: Path) -> dict:
    """The manifest of a prepared folder. Raises UserError where there is none, or none that can be read."""
    path, command = out / "manifest.json", "(`python -m workflow prepare NAME`)"
    manifest = read_json(path, f"prepare the data set first {command}.")
    if manifest.get("schema") != SCHEMA or not set(manifest) >= KEYS:
        raise UserError(f"{path} is of another version: delete it and prepare the data set again {command}.")
    return manifest


def load(out: Path) -> Prepared:
    """Map a prepared data set. Shapes and types are checked against the manifest; `verify` compares the contents too.

    Raises UserError where a file is missing or does not fit.
    """
    out = Path(out)
    manifest = read_manifest(out)
    again = f"delete {out / 'manifest.json'} and prepare {manifest['dataset']} again"
    splits = {}
    for name in SPLITS:
        shape = tuple(manifest["splits"][name]["shape"])
        splits[name] = Split(
            images=_array(out / name / "images.npy", shape, "uint8", again),
            labels=_array(out / name / "labels.npy", shape[:1], "int64", again),
        )
    _array(out / "train" / "mean_image.npy", tuple(manifest["splits"]["train"]["shape"][1:]), "float32", again)
    return Prepared(folder=out, manifest=manifest, **splits)


def array_digest(array: np.ndarray) -> str:
    """SHA-256 of an array's elements in C order, a bounded part in memory at a time."""
    digest = hashlib.sha256()
    step = max(1, (1 << 24) // max(1, array[:1].nbytes))
    for start in range(0, len(array), step):
        digest.update(np.ascontiguousarray(array[start : start + step]).data)
    return digest.hexdigest()


def verify(out: Path) -> Prepared:
    """Load a prepared data set and compare all of its contents with the manifest's checksums (seconds a gigabyte).

    Raises UserError naming the first file that differs.
    """
    data = load(out)
    for name in SPLITS:
        split, recorded = getattr(data, name), data.manifest["splits"][name]
        for kind in ("images", "labels"):
            if array_digest(getattr(split, kind)) != recorded[f"sha256_{kind}"]:
                path = data.folder / name / f"{kind}.npy"
                raise UserError(f"{path} has changed since it was prepared: delete {data.folder} and prepare it again.")
    if array_digest(data.mean_image) != data.manifest["sha256_mean_image"]:
        raise UserError(
            f"{data.folder / 'train' / 'mean_image.npy'} has changed: delete {data.folder} and prepare it again."
        )
    return data
