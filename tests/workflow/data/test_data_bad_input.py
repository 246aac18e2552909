"""Everything that may be wrong with files: one sentence each, and nothing written."""

import gzip
import os
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from data_builders import (
    cifar10_batches,
    imagenet_batch,
    imagenet_members,
    made_up,
    stl10_members,
    tar,
    vouch,
    written,
    zipped,
)
from PIL import Image

from workflow.data import prepare
from workflow.errors import UserError


@pytest.fixture
def refused(tmp_path):
    """Prepare, expect a refusal, check that nothing was written; the sentence."""

    def check(name: str) -> str:
        with pytest.raises(UserError) as caught:
            prepare(name, source="disk", folder=tmp_path / "data", out=tmp_path / "made" / "prepared" / name)
        assert not (tmp_path / "made").exists()
        sentence = str(caught.value)
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 700
        return sentence

    return check


def cifar10(count: tuple[int, int] = (50, 20)) -> dict[str, bytes]:
    return cifar10_batches(made_up(count[0], 32, 3, 10, 0), made_up(count[1], 32, 3, 10, 1))


def imagenet() -> dict[str, bytes]:
    return imagenet_members(made_up(200, 32, 3, 1000, 0), made_up(30, 32, 3, 1000, 1))


class RunsACommand:
    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Evaluates:
    def __reduce__(self):
        return eval, ("1 + 1",)


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_pickle_that_runs_a_command(small, tmp_path, refused, protocol):
    members = imagenet()
    members["train_data_batch_3"] = pickle.dumps(
        {"data": RunsACommand(tmp_path / "ran"), "labels": []}, protocol=protocol
    )
    written(tmp_path / "data" / "imagenet32", members)
    sentence = refused("imagenet32")
    assert "train_data_batch_3 holds more than data (posix.system), and none of it was run" in sentence
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (pickle.dumps({"data": Evaluates()}), "eval"),
        (pickle.dumps({"data": np.array([Evaluates()], dtype=object)}), "array of type 'O8'"),
        (pickle.dumps({"data": gzip.GzipFile}), "gzip.GzipFile"),
        (b"cnumpy\nndarray\n(I99999999999\ntR.", "damaged"),  # an array of 100 GB, asked for by its constructor
        (b"cnumpy.core.multiarray\nfrombuffer.__globals__\n.", "numpy.core.multiarray.frombuffer"),
        (b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93.", "builtins.getattr"),
        (pickle.dumps([1, 2]), "not a dictionary"),
        (b"not a pickle at all", "damaged"),
        (b"", "damaged"),
    ],
    ids=["eval", "objects", "class", "constructor", "attribute", "getattr", "list", "text", "empty"],
)
def test_other_pickles_that_are_no_batches(small, tmp_path, refused, content, word):
    written(tmp_path / "data" / "imagenet32", {**imagenet(), "train_data_batch_1": content})
    sentence = refused("imagenet32")
    assert word in sentence and "train_data_batch_1" in sentence


def test_a_truncated_pickle(small, tmp_path, refused):
    members = imagenet()
    members["train_data_batch_10"] = members["train_data_batch_10"][:-5000]
    written(tmp_path / "data" / "imagenet32", members)
    assert "train_data_batch_10 is damaged or incomplete (pickle data was truncated): delete it" in refused(
        "imagenet32"
    )


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.95])
def test_a_truncated_archive_of_cifar10(small, tmp_path, refused, keep):
    path = tar(tmp_path / "data" / "cifar10" / "cifar-10-python.tar.gz", cifar10())
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    assert "where the published checksum is c58f30108f718f92721af3b95e74349a" in refused("cifar10")
    vouch(path)
    assert "is damaged or incomplete" in refused("cifar10")


def test_a_truncated_zip(small, tmp_path, refused):
    path = zipped(tmp_path / "data" / "imagenet32" / "Imagenet32_train.zip", imagenet())
    path.write_bytes(path.read_bytes()[:-100])
    assert "Imagenet32_train.zip is damaged or incomplete (File is not a zip file)" in refused("imagenet32")


def test_a_zip_with_a_flipped_byte(small, tmp_path, refused):
    path = zipped(tmp_path / "data" / "imagenet32" / "Imagenet32_train.zip", imagenet())
    content = bytearray(path.read_bytes())
    content[5000] ^= 0xFF
    path.write_bytes(content)
    assert "is damaged or incomplete" in refused("imagenet32")


@pytest.mark.parametrize("name", ["../../escaped", "/tmp/escaped", "a/../../escaped", "..\\escaped"])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_path_that_climbs_out(small, tmp_path, refused, name, kind):
    members = {name: b"x", **(cifar10() if kind == "tar" else imagenet())}
    if kind == "tar":
        vouch(tar(tmp_path / "data" / "cifar10" / "cifar-10-python.tar.gz", members))
    else:
        zipped(tmp_path / "data" / "imagenet32" / "Imagenet32_train.zip", members)
    assert f"because its member '{name}' climbs out of the folder" in refused(
        "cifar10" if kind == "tar" else "imagenet32"
    )
    assert not list(tmp_path.rglob("escaped"))


def test_a_link_in_place_of_a_batch(small, tmp_path, refused):
    path = tmp_path / "data" / "cifar10" / "cifar-10-python.tar.gz"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry)
    vouch(path)
    assert "it has no member data_batch_1" in refused("cifar10")


def test_a_wrong_checksum(small, tmp_path, refused):
    tar(tmp_path / "data" / "stl10_binary.tar.gz", stl10_members(made_up(12, 96, 3, 10, 0), made_up(8, 96, 3, 10, 1)))
    sentence = refused("stl10")
    assert (
        "where the published checksum is 91f7769df0f17e558f3565bffb0c7dfb: delete it and download it again" in sentence
    )
    (tmp_path / "data" / "stl10_binary.tar.gz.md5").write_text("what is this\n")
    assert "stl10_binary.tar.gz.md5 does not begin with a checksum" in refused("stl10")
    (tmp_path / "data" / "stl10_binary.tar.gz.md5").write_text("0" * 32)
    assert f"where stl10_binary.tar.gz.md5 is {'0' * 32}" in refused("stl10")


@pytest.mark.parametrize(
    ("count", "sentence"), [((45, 20), "has 45 train images where"), ((50, 25), "has more test images where")]
)
def test_a_wrong_count(small, tmp_path, refused, count, sentence):
    vouch(tar(tmp_path / "data" / "cifar-10-python.tar.gz", cifar10(count)))
    assert sentence in refused("cifar10")


@pytest.mark.parametrize("label", [0, 1001, -3])
def test_labels_out_of_range(small, tmp_path, refused, label):
    members = imagenet()
    images, labels = made_up(30, 32, 3, 1000, 1)
    members["val_data"] = pickle.dumps({**imagenet_batch(images, labels), "labels": [label] * 30})
    written(tmp_path / "data" / "imagenet32", members)
    assert f"has a label outside its 1000 classes ({label - 1}, counted from 0)" in refused("imagenet32")


def test_stl10_labels_out_of_range(small, tmp_path, refused):
    members = stl10_members(made_up(12, 96, 3, 10, 0), made_up(8, 96, 3, 10, 1))
    members["stl10_binary/test_y.bin"] = bytes([11] * 8)
    vouch(tar(tmp_path / "data" / "stl10_binary.tar.gz", members))
    assert "has a label outside its 10 classes (10, counted from 0)" in refused("stl10")
    members["stl10_binary/test_y.bin"] = bytes([1] * 7)
    vouch(tar(tmp_path / "data" / "stl10_binary.tar.gz", members))
    assert "its number of images is not the 7 of test_y.bin" in refused("stl10")
    members["stl10_binary/test_y.bin"] = bytes([1] * 9)
    vouch(tar(tmp_path / "data" / "stl10_binary.tar.gz", members))
    assert "its number of images is not the 9 of test_y.bin" in refused("stl10")


def test_batches_of_another_size_or_with_lost_labels(small, tmp_path, refused):
    root = tmp_path / "data" / "imagenet32"
    written(root, imagenet_members(made_up(200, 16, 3, 1000, 0), made_up(30, 16, 3, 1000, 1)))
    assert (
        "train_data_batch_1 is damaged or incomplete (its pixels are uint8 (20, 768), not bytes of 32x32 images)"
        in refused("imagenet32")
    )
    batch = imagenet_batch(*made_up(20, 32, 3, 1000, 0))
    batch["labels"].pop()
    written(root, {"train_data_batch_1": pickle.dumps(batch)})
    assert "it has 20 images and 19 labels" in refused("imagenet32")
    written(root, {"train_data_batch_1": pickle.dumps({"labels": []})})
    assert "train_data_batch_1 is damaged or incomplete (it has no entry 'data')" in refused("imagenet32")


def test_idx_files_that_are_none(small, tmp_path, refused):
    root = tmp_path / "data" / "mnist"
    images, labels = made_up(20, 28, 1, 10, 0)
    good = struct.pack(">HBB3i", 0, 8, 3, 20, 28, 28) + images.tobytes()
    files = {
        f"{s}-{k}-ubyte": c
        for s in ("train", "t10k")
        for k, c in (
            ("images-idx3", good),
            ("labels-idx1", struct.pack(">HBBi", 0, 8, 1, 20) + labels.astype(np.uint8).tobytes()),
        )
    }
    written(root, files)
    for content, word in ((good[:-1], "cannot reshape"), (b"\x1f\x8b" + good, "no idx file"), (b"", "no idx file")):
        (root / "train-images-idx3-ubyte").write_bytes(content)
        for path in list(root.glob("*-ubyte")):
            vouch(path)
        assert word in refused("mnist")


def test_npz_with_objects_or_of_another_shape(small, tmp_path, refused):
    root = tmp_path / "data" / "cifar10"
    root.mkdir(parents=True)
    images, labels = made_up(50, 32, 3, 10, 0)
    np.savez(root / "test.npz", images=images[:20], labels=labels[:20])
    np.savez(root / "train.npz", images=images.astype(object), labels=labels)
    assert "Object arrays cannot be loaded" in refused("cifar10")
    np.savez(root / "train.npz", images=images.astype(np.float32), labels=labels)
    assert "its images are float32 (50, 32, 32, 3), not bytes" in refused("cifar10")
    np.savez(root / "train.npz", images=images[:, :28], labels=labels)
    assert "its images are uint8 (50, 28, 32, 3), not bytes" in refused("cifar10")
    np.savez(root / "train.npz", images=images, labels=labels[:-1])
    assert "its labels are int64 (49,) for 50 images" in refused("cifar10")
    np.savez(root / "train.npz", images=images)
    assert "train.npz is damaged or incomplete" in refused("cifar10")
    with zipfile.ZipFile(root / "train.npz", "w") as archive:
        archive.writestr("images.npy", pickle.dumps(RunsACommand(tmp_path / "ran")))
    assert "train.npz is damaged or incomplete" in refused("cifar10")
    assert not (tmp_path / "ran").exists()


def test_folders_of_unfit_images(small, tmp_path, refused):
    root = tmp_path / "data" / "own"
    for split in ("train", "test"):
        for name in ("a", "b"):
            (root / split / name).mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(root / split / name / "1.png")
    Image.new("RGB", (8, 9)).save(root / "train" / "b" / "2.png")
    assert "2.png is 8x9 pixels, not 8x8: resize it" in refused("own")
    (root / "train" / "b" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "2.png is damaged or incomplete" in refused("own")
    (root / "train" / "b" / "2.png").unlink()
    (root / "test" / "c").mkdir()
    assert "has 3 class folders, not 2" in refused("own")
    for path in list((root / "test").rglob("*.png")):
        path.unlink()
    for path in list((root / "test").iterdir()):
        path.rmdir()
    assert "own has no folder test/CLASS/ with images" in refused("own")


def test_missing_data_sets_say_what_to_put_where(small, tmp_path, refused):
    sentence = refused("imagenet32")
    for words in (
        "train_data_batch_1 to train_data_batch_10",
        "val_data",
        "https://image-net.org/download-images",
        "Imagenet32_train.zip",
    ):
        assert words in sentence
    assert str(tmp_path / "data" / "imagenet32") in sentence
    assert "cifar-10-python.tar.gz" in refused("cifar10") and "https://www.cs.toronto.edu" in refused("cifar10")
    members = imagenet()
    for name in ("train_data_batch_4", "val_data"):
        members.pop(name)
    written(tmp_path / "data" / "imagenet32", members)
    assert refused("imagenet32").startswith("train_data_batch_4, val_data of ImageNet-32 missing in ")
    assert "no data set 'imagnet'" in refused("imagnet")


def test_only_one_of_two_archives(small, tmp_path, refused):
    members = imagenet()
    members.pop("val_data")
    zipped(tmp_path / "data" / "imagenet32" / "Imagenet32_train.zip", members)
    assert refused("imagenet32").startswith("val_data missing from ")


def test_a_failed_download_says_why_and_leaves_nothing(small, no_network, tmp_path):
    with pytest.raises(
        UserError, match=r"nor could it be downloaded \(http://nowhere: no network\): put cifar-10-python.tar.gz"
    ):
        prepare("cifar10", source="auto", folder=tmp_path / "data", out=tmp_path / "made" / "cifar10")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk(small, tmp_path, refused, monkeypatch):
    vouch(tar(tmp_path / "data" / "cifar-10-python.tar.gz", cifar10()))
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("workflow.data.preparation.shutil.disk_usage", lambda _: usage)
    assert "GB free where" in refused("cifar10")


def test_wrong_requests(tmp_path):
    for options, words in (
        ({"source": "web"}, "data source 'web' is unknown"),
        ({"source": "synthetic", "synthetic": {"valid": 3}}, "synthetic.valid is unknown"),
        ({"source": "synthetic", "synthetic": {"train": 0}}, "synthetic.train is 0"),
    ):
        with pytest.raises(UserError, match=words):
            prepare("mnist", folder=tmp_path / "data", out=tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []
