"""Preparing: the manifest, doing it once, again where something changed, and never by halves."""

import hashlib
import json
import os

import numpy as np
import pytest
from data_builders import cifar10_batches, made_up, synthetic, tar, vouch

from workflow.data import load, prepare, verify
from workflow.support.errors import UserError


def test_the_manifest_describes_the_arrays(tmp_path):
    manifest = synthetic(tmp_path / "out")
    data = load(tmp_path / "out")
    pixels = data.train.images / 255.0
    np.testing.assert_allclose(manifest["mean"], pixels.mean(axis=(0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(manifest["std"], pixels.std(axis=(0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(data.mean_image, pixels.mean(axis=0), rtol=1e-6)
    train = manifest["splits"]["train"]
    assert train["images"] == 60 and train["shape"] == [60, 32, 32, 3]
    assert train["sha256_images"] == hashlib.sha256(np.array(data.train.images).tobytes()).hexdigest()
    assert train["sha256_labels"] == hashlib.sha256(np.array(data.train.labels).tobytes()).hexdigest()
    assert train["class_counts"] == [6] * 10 and data.train.labels.dtype == np.int64
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert sorted(path.name for path in (tmp_path / "out" / "train").iterdir()) == [
        "images.npy",
        "labels.npy",
        "mean_image.npy",
    ]


def test_the_arrays_are_mapped_and_never_changed(tmp_path):
    synthetic(tmp_path / "out")
    data = load(tmp_path / "out")
    assert isinstance(data.train.images, np.memmap)
    data.train.images[0] = 0  # in memory only
    verify(tmp_path / "out")


def test_a_second_time_does_nothing(tmp_path, monkeypatch):
    first = synthetic(tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    monkeypatch.setattr("workflow.data.preparation._write", None)
    assert synthetic(tmp_path / "out") == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_other_counts_seeds_or_missing_files_are_prepared_again(tmp_path):
    first = synthetic(tmp_path / "out")
    assert synthetic(tmp_path / "out", train=61)["splits"]["train"]["images"] == 61
    assert (
        synthetic(tmp_path / "out", seed=1)["splits"]["train"]["sha256_images"]
        != first["splits"]["train"]["sha256_images"]
    )
    (tmp_path / "out" / "test" / "images.npy").unlink()
    again = synthetic(tmp_path / "out")
    assert again["splits"] == first["splits"] and verify(tmp_path / "out")


def test_prepared_data_outlive_their_source(small, tmp_path):
    train, test = made_up(50, 32, 3, 10, 0), made_up(20, 32, 3, 10, 1)
    path = vouch(tar(tmp_path / "data" / "cifar-10-python.tar.gz", cifar10_batches(train, test)))
    first = prepare("cifar10", source="auto", folder=tmp_path / "data", out=tmp_path / "out")
    path.unlink()
    assert prepare("cifar10", source="auto", folder=tmp_path / "data", out=tmp_path / "out") == first


def test_a_failure_leaves_what_was_prepared_before(tmp_path):
    synthetic(tmp_path / "out")
    with pytest.raises(UserError, match="not found"):
        prepare("cifar10", source="disk", folder=tmp_path / "none", out=tmp_path / "out")
    assert verify(tmp_path / "out").manifest["source"] == "synthetic"


def test_changed_files_are_noticed(tmp_path):
    synthetic(tmp_path / "out")
    with open(tmp_path / "out" / "train" / "images.npy", "r+b") as file:
        file.seek(500)
        file.write(b"\0\1\2")
    load(tmp_path / "out")
    with pytest.raises(UserError, match=r"train/images.npy has changed since it was prepared: delete"):
        verify(tmp_path / "out")
    os.truncate(tmp_path / "out" / "train" / "images.npy", 1000)
    with pytest.raises(UserError, match=r"images.npy cannot be read .*: delete .*manifest.json"):
        load(tmp_path / "out")
    np.save(tmp_path / "out" / "train" / "images.npy", np.zeros((3, 3), np.uint8))
    with pytest.raises(UserError, match=r"holds uint8 \(3, 3\), not the uint8 \(60, 32, 32, 3\)"):
        load(tmp_path / "out")
    (tmp_path / "out" / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "out")
    (tmp_path / "out" / "manifest.json").unlink()
    with pytest.raises(UserError, match="is missing: prepare the data set first"):
        load(tmp_path / "out")


def test_the_manifest_is_plain_json(tmp_path):
    manifest = synthetic(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
