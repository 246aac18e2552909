"""Pickled batches that are none, or hold more than data: one sentence each, nothing run and nothing written."""

import gzip
import pickle

import numpy as np
import pytest
from data_builders import RunsACommand, imagenet, imagenet_batch, imagenet_members, made_up, written


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


@pytest.mark.parametrize("label", [0, 1001, -3])
def test_labels_out_of_range(small, tmp_path, refused, label):
    members = imagenet()
    images, labels = made_up(30, 32, 3, 1000, 1)
    members["val_data"] = pickle.dumps({**imagenet_batch(images, labels), "labels": [label] * 30})
    written(tmp_path / "data" / "imagenet32", members)
    assert f"has a label outside its 1000 classes ({label - 1}, counted from 0)" in refused("imagenet32")


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
