"""Readers of the official file formats of the four data sets.

Each is a function (files, split, info) -> chunks: (images: uint8 (n, H, W, C), labels: int64 (n,), from 0).
Whatever they raise while a file is open becomes a sentence that names the file (`workflow.data.files.readable`).

MNIST: idx, big-endian header. CIFAR-10: pickled batches, or records of 1 label byte and 3072 pixel bytes; both channel by channel.
STL-10: channel by channel, each channel column by column, labels from 1. Downsampled ImageNet: pickled or .npz batches, channel by
channel, labels from 1.
"""

import gzip
from collections.abc import Iterator, Mapping

import numpy as np

from workflow.data.files import Files
from workflow.data.pickles import read_batch
from workflow.protocol.datasets import DatasetInfo

Chunks = Iterator[tuple[np.ndarray, np.ndarray]]
CHUNK_BYTES = 1 << 24
MNIST_STEMS = {"train": "train", "test": "t10k"}
IMAGENET_FILES = {"train": tuple(f"train_data_batch_{k}" for k in range(1, 11)), "test": ("val_data",)}
CIFAR_FILES = {"train": tuple(f"data_batch_{k}" for k in range(1, 6)), "test": ("test_batch",)}


def mnist_names(stem: str) -> tuple[tuple[str, ...], ...]:
    """The names under which people have the image file and the label file of a split."""
    return tuple(
        (f"{stem}-{kind}-idx{d}-ubyte", f"{stem}-{kind}-idx{d}-ubyte.gz", f"{stem}-{kind}.idx{d}-ubyte")
        for kind, d in (("images", 3), ("labels", 1))
    )


def _idx(files: Files, names: tuple[str, ...], dimensions: int) -> np.ndarray:
    """One idx file of unsigned bytes: magic 0x08 and the number of dimensions, their lengths, the bytes."""
    name = next((name for name in names if files.loose(name)), names[0])
    with files.open(name) as stream:
        content = gzip.decompress(stream.read()) if name.endswith(".gz") else stream.read()
        if len(content) < 4 * (1 + dimensions) or content[:4] != bytes((0, 0, 8, dimensions)):
            raise ValueError("it is no idx file of bytes")
        shape = tuple(int(n) for n in np.frombuffer(content, ">i4", dimensions, 4))
        return np.frombuffer(content, np.uint8, offset=4 * (1 + dimensions)).reshape(shape)


def read_mnist(files: Files, split: str, info: DatasetInfo) -> Chunks:
    """The idx files, plain or gzipped."""
    images, labels = mnist_names(MNIST_STEMS[split])
    yield _idx(files, images, 3)[..., None], _idx(files, labels, 1).astype(np.int64)


def _channels_last(rows: np.ndarray, labels: np.ndarray, info: DatasetInfo) -> Chunks:
    """Rows of channel-by-channel pixels -> chunks of images, so that no second copy of a batch is held."""
    pixels = info.image_size**2
    if rows.dtype != np.uint8 or rows.reshape(len(rows), -1).shape[1] != info.channels * pixels:
        raise ValueError(
            f"its pixels are {rows.dtype} {rows.shape}, not bytes of {info.image_size}x{info.image_size} images"
        )
    if len(rows) != len(labels):
        raise ValueError(f"it has {len(rows)} images and {len(labels)} labels")
    step = max(1, CHUNK_BYTES // (info.channels * pixels))
    for start in range(0, len(rows), step):
        part = rows[start : start + step].reshape(-1, info.channels, pixels).transpose(0, 2, 1)
        yield np.ascontiguousarray(part).reshape(-1, *info.shape), labels[start : start + step]


def _batch(batch: Mapping[str, object]) -> tuple[np.ndarray, np.ndarray]:
    """The rows of pixels and the labels of a batch."""
    if lacking := [key for key in ("data", "labels") if key not in batch]:
        raise ValueError(f"it has no entry '{lacking[0]}'")
    return np.asarray(batch["data"]), np.asarray(batch["labels"], np.int64)


def read_cifar10(files: Files, split: str, info: DatasetInfo) -> Chunks:
    """The pickled batches of the python version."""
    for name in CIFAR_FILES[split]:
        with files.open(name) as stream:
            batch = read_batch(stream)
            yield from _channels_last(*_batch(batch), info)


def read_cifar10_binary(files: Files, split: str, info: DatasetInfo) -> Chunks:
    """The records of the binary version."""
    for name in CIFAR_FILES[split]:
        with files.open(f"{name}.bin") as stream:
            records = np.frombuffer(stream.read(), np.uint8).reshape(-1, 1 + 3072)
            yield from _channels_last(records[:, 1:], records[:, 0].astype(np.int64), info)


def read_stl10(files: Files, split: str, info: DatasetInfo) -> Chunks:
    """The labelled images of the binary version; the unlabelled ones are not touched."""
    with files.open(f"{split}_y.bin") as stream:
        labels = np.frombuffer(stream.read(), np.uint8).astype(np.int64) - 1
    size, count = info.image_size, 0
    row = info.channels * size**2
    step = max(1, CHUNK_BYTES // row)
    with files.open(f"{split}_X.bin") as stream:
        while content := stream.read(step * row):
            columns = np.frombuffer(content, np.uint8).reshape(-1, info.channels, size, size)  # (n, C, column, row)
            part = labels[count : count + len(columns)]
            count += len(columns)
            if len(part) < len(columns):
                break
            yield np.ascontiguousarray(columns.transpose(0, 3, 2, 1)), part
        if count != len(labels):
            raise ValueError(f"its number of images is not the {len(labels)} of {split}_y.bin")


def read_imagenet(files: Files, split: str, info: DatasetInfo) -> Chunks:
    """The pickled batches of downsampled ImageNet, one in memory at a time."""
    for name in IMAGENET_FILES[split]:
        with files.open(name) as stream:
            batch = read_batch(stream)
            rows, labels = _batch(batch)
            yield from _channels_last(rows, labels - 1, info)
            del batch, rows  # before the next one is read


def read_imagenet_npz(files: Files, split: str, info: DatasetInfo) -> Chunks:
    """The same batches as .npz."""
    for name in IMAGENET_FILES[split]:
        with files.open(f"{name}.npz") as stream, np.load(stream, allow_pickle=False) as batch:
            rows, labels = _batch(batch)
            yield from _channels_last(rows, labels - 1, info)
            del rows


def read_npz(files: Files, split: str, info: DatasetInfo) -> Chunks:
    """SPLIT.npz with arrays `images` (n, H, W[, C]) of bytes and `labels` (n,), from 0."""
    with files.open(f"{split}.npz") as stream, np.load(stream, allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
        if (
            images.dtype != np.uint8
            or images.shape[1:3] != info.shape[:2]
            or images[:1].size not in (0, int(np.prod(info.shape)))
        ):
            raise ValueError(
                f"its images are {images.dtype} {images.shape}, not bytes (n, {', '.join(map(str, info.shape))})"
            )
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            raise ValueError(f"its labels are {labels.dtype} {labels.shape} for {len(images)} images")
        yield images.reshape(-1, *info.shape), labels.astype(np.int64)
