"""Every layout that people have gives the same arrays."""

import gzip
import pickle
import struct

import numpy as np
import pytest
from data_builders import (
    cifar10_batches,
    imagenet_members,
    made_up,
    same,
    stl10_members,
    tar,
    vouch,
    written,
    zipped,
)
from PIL import Image

from workflow.data import load, prepare
from workflow.data.imagefolder import dataset_info
from workflow.data.pickles import read_batch

ORDER = np.concatenate([np.arange(50)[k::5] for k in range(5)])  # CIFAR-10's builder deals images to batches in turn


def prepared(tmp_path, name):
    prepare(name, source="disk", folder=tmp_path / "data", out=tmp_path / "out")
    return load(tmp_path / "out")


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">HBB{array.ndim}i", 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.mark.parametrize("place", ["MNIST/raw", "mnist", "."])
@pytest.mark.parametrize("zip_it", [False, True])
def test_mnist_idx_plain_or_gzipped(small, tmp_path, place, zip_it):
    sets = {"train": made_up(20, 28, 1, 10, 0), "t10k": made_up(10, 28, 1, 10, 1)}
    (tmp_path / "data" / place).mkdir(parents=True)
    for stem, (images, labels) in sets.items():
        for name, content in (
            (f"{stem}-images-idx3-ubyte", idx(images[..., 0])),
            (f"{stem}-labels-idx1-ubyte", idx(labels)),
        ):
            path = tmp_path / "data" / place / (f"{name}.gz" if zip_it else name)
            path.write_bytes(gzip.compress(content) if zip_it else content)
            vouch(path)
    same(prepared(tmp_path, "mnist"), *sets.values())


@pytest.mark.parametrize("place", ["cifar10", "CIFAR10", "."])
@pytest.mark.parametrize("form", ["archive", "folder", "binary"])
def test_cifar10(small, tmp_path, place, form):
    train, test = made_up(50, 32, 3, 10, 0), made_up(20, 32, 3, 10, 1)
    root = tmp_path / "data" / place
    if form == "archive":
        vouch(tar(root / "cifar-10-python.tar.gz", cifar10_batches(train, test)))
    elif form == "folder":
        for path in list(written(root / "cifar-10-batches-py", cifar10_batches(train, test)).iterdir()):
            vouch(path)
    else:
        parts = {f"data_batch_{k + 1}.bin": (train[0][k::5], train[1][k::5]) for k in range(5)}
        rows = {
            name: np.concatenate(
                [labels[:, None].astype(np.uint8), images.transpose(0, 3, 1, 2).reshape(len(images), -1)], axis=1
            )
            for name, (images, labels) in {**parts, "test_batch.bin": test}.items()
        }
        written(root / "cifar-10-batches-bin", {name: content.tobytes() for name, content in rows.items()})
    same(prepared(tmp_path, "cifar10"), (train[0][ORDER], train[1][ORDER]), test)


@pytest.mark.parametrize("form", ["archive", "folder"])
def test_stl10_turns_columns_into_rows(small, tmp_path, form):
    train, test = made_up(12, 96, 3, 10, 0), made_up(8, 96, 3, 10, 1)
    members = stl10_members(train, test)
    if form == "archive":
        vouch(tar(tmp_path / "data" / "stl10_binary.tar.gz", members))
    else:
        folder = written(tmp_path / "data" / "stl10" / "stl10_binary", members)
        (folder / "unlabeled_X.bin").unlink()
        for path in list(folder.glob("*_?.bin")):
            vouch(path)
    data = prepared(tmp_path, "stl10")
    same(data, train, test)
    # By the format's definition: byte 1 of a file is the pixel below the first, byte 96 the one right of it.
    raw = members["stl10_binary/train_X.bin"]
    assert (raw[1], raw[96], raw[96 * 96]) == (
        data.train.images[0, 1, 0, 0],
        data.train.images[0, 0, 1, 0],
        data.train.images[0, 0, 0, 1],
    )


@pytest.mark.parametrize("form", ["pickle", "npz"])
def test_downsampled_imagenet(small, tmp_path, form):
    train, test = made_up(200, 32, 3, 1000, 0), made_up(30, 32, 3, 1000, 1)
    tag = "_npz" if form == "npz" else ""
    members = imagenet_members(train, test, form)
    val = {name: members.pop(name) for name in list(members) if "val" in name}
    root = tmp_path / "data" / "imagenet32"
    first = zipped(root / f"Imagenet32_train{tag}.zip", members)
    second = zipped(
        root / f"Imagenet32_val{tag}.zip", {f"some/folder/{name}": content for name, content in val.items()}
    )
    if form == "npz":
        vouch(first), vouch(second)
    same(prepared(tmp_path, "imagenet32"), train, test)


@pytest.mark.parametrize("form", ["loose", "two folders", "tar", "tar.gz"])
def test_imagenet32_batches_in_other_places(small, tmp_path, form):
    train, test = made_up(200, 32, 3, 1000, 0), made_up(30, 32, 3, 1000, 1)
    members = imagenet_members(train, test)
    root = tmp_path / "data" / "ImageNet32"
    if form == "loose":
        written(root, members)
    elif form == "two folders":
        written(root / "Imagenet32_val", {"val_data": members.pop("val_data")})
        written(root / "Imagenet32_train", members)
    else:
        tar(root / f"Imagenet32.{form}", dict(reversed(members.items())), "w" if form == "tar" else "w:gz")
    same(prepared(tmp_path, "imagenet32"), train, test)


@pytest.mark.parametrize("classes", ["cifar10", "own"])
def test_folders_of_images_and_npz(small, tmp_path, classes, monkeypatch):
    train, test = made_up(50, 32, 3, 10, 0), made_up(20, 32, 3, 10, 1)
    for split, (images, labels) in (("train", train), ("val" if classes == "own" else "test", test)):
        for k in range(10):
            (tmp_path / "data" / classes / split / f"class{k}").mkdir(parents=True)
        for k, (image, label) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image).save(tmp_path / "data" / classes / split / f"class{label}" / f"{k:03}.png")
    data = prepared(tmp_path, classes)
    by_class = [np.argsort(labels, kind="stable") for labels in (train[1], test[1])]
    same(data, *[(images[o], labels[o]) for (images, labels), o in zip((train, test), by_class, strict=True)])
    assert data.manifest["classes"] == 10
    if classes == "own":
        info = dataset_info("own", tmp_path / "data")
        assert (info.classes, info.image_size, info.train_images, info.test_images) == (10, 32, 50, 20)


def test_npz(small, tmp_path):
    train, test = made_up(20, 28, 1, 10, 0), made_up(10, 28, 1, 10, 1)
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    np.savez(tmp_path / "data" / "mnist" / "train.npz", images=train[0][..., 0], labels=train[1])
    np.savez(tmp_path / "data" / "mnist" / "test.npz", images=test[0], labels=test[1])
    same(prepared(tmp_path, "mnist"), train, test)


@pytest.mark.parametrize("protocol", range(6))
def test_every_pickle_protocol_of_plain_data(tmp_path, protocol):
    batch = {
        "data": np.arange(12, dtype=np.uint8).reshape(3, 4),
        "f": np.asfortranarray(np.arange(6, dtype=">i4").reshape(2, 3)),
        "labels": [np.int64(3), 4],
    }
    (tmp_path / "batch").write_bytes(pickle.dumps(batch, protocol=protocol))
    with open(tmp_path / "batch", "rb") as file:
        found = read_batch(file)
    for name in ("data", "f"):
        np.testing.assert_array_equal(found[name], batch[name])
    assert found["labels"] == [3, 4]


def test_a_python_2_batch(tmp_path):
    """Written by hand with the opcodes of Python 2: byte strings as SHORT_BINSTRING, numpy.core.multiarray._reconstruct."""
    content = (
        b"\x80\x02}q\x00(U\x04dataq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85U\x01b\x87Rq\x04"
        b"(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x05U\x02u1K\x00K\x01\x87Rq\x06(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x06\x01\x02\x03\x80\xfe\xfftbU\x06labelsq\x07]q\x08(K\x06K\x09eu."
    )
    (tmp_path / "batch").write_bytes(content)
    with open(tmp_path / "batch", "rb") as file:
        found = read_batch(file)
    assert found["data"].tolist() == [[1, 2, 3], [128, 254, 255]] and found["labels"] == [6, 9]
