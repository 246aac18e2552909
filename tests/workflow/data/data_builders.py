"""Small data sets in the exact official formats, with the images they must give back."""

import hashlib
import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np

from workflow.data import prepare


def made_up(count: int, size: int, channels: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random images, uint8 (n, size, size, channels), and labels from 0."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, size, size, channels), np.uint8), random.integers(0, classes, count)


def tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> Path:
    """A tar archive of these members, in this order."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"compresslevel": 0} if mode == "w:gz" else {}  # valid gzip, in a tenth of the time
    with tarfile.open(path, mode, **options) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def vouch(path: Path) -> Path:
    """A FILE.md5 beside a file, as md5sum writes it."""
    path.with_name(f"{path.name}.md5").write_text(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.name}\n")
    return path


def cifar10_batches(train: tuple, test: tuple) -> dict[str, bytes]:
    """The members of cifar-10-python.tar.gz, in the official archive's order, for images (n, 32, 32, 3)."""

    def batch(images: np.ndarray, labels: np.ndarray, title: bytes) -> bytes:
        rows = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        names = [b"%d.png" % k for k in range(len(labels))]
        content = {
            b"batch_label": title,
            b"labels": [int(n) for n in labels],
            b"data": np.ascontiguousarray(rows),
            b"filenames": names,
        }
        return pickle.dumps(content, protocol=2)

    parts = {f"data_batch_{k + 1}": (train[0][k::5], train[1][k::5]) for k in range(5)}
    order = ("data_batch_4", "test_batch", "data_batch_3", "data_batch_2", "data_batch_5", "data_batch_1")
    members = {f"cifar-10-batches-py/{name}": batch(*parts.get(name, test), name.encode()) for name in order}
    return {"cifar-10-batches-py/readme.html": b"<html>", **members}


def stl10_members(train: tuple, test: tuple) -> dict[str, bytes]:
    """The members of stl10_binary.tar.gz: channel by channel, column by column, labels from 1; with an unlabelled part."""

    def images(array: np.ndarray) -> bytes:
        return array.transpose(0, 3, 2, 1).tobytes()

    folds = "\n".join(" ".join(str(n) for n in range(k, k + 4)) for k in range(10)) + "\n"
    return {
        "stl10_binary/test_X.bin": images(test[0]),
        "stl10_binary/test_y.bin": (test[1] + 1).astype(np.uint8).tobytes(),
        "stl10_binary/train_X.bin": images(train[0]),
        "stl10_binary/train_y.bin": (train[1] + 1).astype(np.uint8).tobytes(),
        "stl10_binary/unlabeled_X.bin": b"\7" * 27648,
        "stl10_binary/fold_indices.txt": folds.encode(),
    }


def imagenet_batch(images: np.ndarray, labels: np.ndarray) -> dict:
    """The dictionary of one batch of downsampled ImageNet."""
    rows = np.ascontiguousarray(images.transpose(0, 3, 1, 2).reshape(len(images), -1))
    return {"data": rows, "labels": [int(n) + 1 for n in labels], "mean": np.zeros(rows.shape[1])}


def imagenet_members(train: tuple, test: tuple, form: str = "pickle") -> dict[str, bytes]:
    """The ten training batches and val_data, pickled or as .npz; image k of the training set lies in batch 10 k / n."""
    edges = np.linspace(0, len(train[0]), 11).astype(int)
    parts = {
        f"train_data_batch_{k + 1}": (train[0][a:b], train[1][a:b])
        for k, (a, b) in enumerate(zip(edges, edges[1:], strict=False))
    }
    members = {}
    for name, part in {**parts, "val_data": test}.items():
        batch = imagenet_batch(*part)
        if form == "pickle":
            members[name] = pickle.dumps(batch, protocol=4)
        else:
            buffer = io.BytesIO()
            np.savez(buffer, **{**batch, "labels": np.array(batch["labels"])})
            members[f"{name}.npz"] = buffer.getvalue()
    return members


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    """A zip archive of these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def written(folder: Path, members: dict[str, bytes]) -> Path:
    """The members as loose files, by their base names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in members.items():
        (folder / Path(name).name).write_bytes(content)
    return folder


def same(data: object, train: tuple, test: tuple) -> None:
    """Assert that a prepared data set is exactly these images and labels."""
    for split, (images, labels) in (("train", train), ("test", test)):
        np.testing.assert_array_equal(getattr(data, split).images, images)
        np.testing.assert_array_equal(getattr(data, split).labels, labels)


def cifar10(count: tuple[int, int] = (50, 20)) -> dict[str, bytes]:
    """The members of a small CIFAR-10."""
    return cifar10_batches(made_up(count[0], 32, 3, 10, 0), made_up(count[1], 32, 3, 10, 1))


def imagenet() -> dict[str, bytes]:
    """The members of a small ImageNet-32."""
    return imagenet_members(made_up(200, 32, 3, 1000, 0), made_up(30, 32, 3, 1000, 1))


class RunsACommand:
    """Unpickled, it would create a file."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def synthetic(out: Path, dataset: str = "cifar10", **counts: int) -> dict:
    """The manifest of a small made-up data set, prepared in `out`."""
    counts = {"train": 60, "test": 30, **counts}
    return prepare(dataset, source="synthetic", folder=out.parent / "none", out=out, synthetic=counts)
