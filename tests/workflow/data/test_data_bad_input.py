"""Files that are missing, too few, of another kind or another size: one sentence each, and nothing written."""

import pickle
import shutil
import struct
import zipfile

import numpy as np
import pytest
from data_builders import RunsACommand, cifar10, imagenet, made_up, stl10_members, tar, vouch, written
from PIL import Image

from workflow.data import prepare
from workflow.support.errors import UserError


@pytest.mark.parametrize(
    ("count", "sentence"), [((45, 20), "has 45 train images where"), ((50, 25), "has more test images where")]
)
def test_a_wrong_count(small, tmp_path, refused, count, sentence):
    vouch(tar(tmp_path / "data" / "cifar-10-python.tar.gz", cifar10(count)))
    assert sentence in refused("cifar10")


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
    (root / "test" / "c").rmdir()
    (root / "test" / "b").rename(root / "test" / "c")  # its images would get the label of train's b
    assert "test has the class folder c, which train does not have: rename" in refused("own")
    (root / "test" / "c").rename(root / "test" / "b")
    (root / "train" / "b" / "1.png").rename(root / "train" / "b" / "1.txt")
    assert "train/b holds no image: put some there" in refused("own")
    (root / "train" / "b").rename(tmp_path / "b")
    assert "train has one class folder, a: put images of two classes or more there" in refused("own")
    (tmp_path / "b").rename(root / "train" / "b")
    shutil.rmtree(root / "test")
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
