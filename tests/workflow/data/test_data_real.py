"""Real MNIST and CIFAR-10 through the readers of their official formats."""

import hashlib
import json

import numpy as np
import pytest
from data_builders import cifar10_batches, same, tar, vouch

from workflow.data import load, prepare, verify


@pytest.fixture(scope="module")
def mnist(real_data, tmp_path_factory):
    """(folder, manifest) of the prepared MNIST."""
    folder = tmp_path_factory.mktemp("prepared") / "mnist"
    return folder, prepare("mnist", source="auto", folder=real_data, out=folder)


@pytest.mark.slow
def test_mnist_from_its_idx_files(real_data, mnist):
    folder, manifest = mnist
    data = verify(folder)
    assert data.train.images.shape == (60000, 28, 28, 1) and data.test.images.shape == (10000, 28, 28, 1)
    assert data.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]  # the first ten digits, known to all
    assert manifest["splits"]["train"]["class_counts"] == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert [round(manifest[key][0], 4) for key in ("mean", "std")] == [0.1307, 0.3081]
    assert len(manifest["files"]) == 4 and all(file["verified"] for file in manifest["files"])
    pixels = (real_data / "MNIST" / "raw" / "train-images-idx3-ubyte").read_bytes()[16:]
    assert manifest["splits"]["train"]["sha256_images"] == hashlib.sha256(pixels).hexdigest()
    exact = np.frombuffer(pixels, np.uint8).reshape(60000, 28, 28, 1).mean(axis=0, dtype=np.float64) / 255
    np.testing.assert_allclose(data.mean_image, exact, rtol=1e-6)


@pytest.mark.slow
def test_cifar10_from_an_archive_in_the_official_format(real_data, tmp_path):
    train, test = (
        (arrays["images"], arrays["labels"])
        for arrays in (np.load(real_data / "cifar10" / f"{split}.npz") for split in ("train", "test"))
    )
    vouch(tar(tmp_path / "data" / "cifar10" / "cifar-10-python.tar.gz", cifar10_batches(train, test)))
    manifest = prepare("cifar10", source="auto", folder=tmp_path / "data", out=tmp_path / "out")
    order = np.concatenate([np.arange(50000)[k::5] for k in range(5)])
    same(load(tmp_path / "out"), (train[0][order], train[1][order]), test)
    assert manifest["splits"]["test"]["class_counts"] == [1000] * 10
    # CIFAR-10's published means and deviations
    assert [round(value, 4) for value in manifest["mean"]] == [0.4914, 0.4822, 0.4465]
    assert [round(value, 4) for value in manifest["std"]] == [0.2470, 0.2435, 0.2616]
    assert manifest["files"][0]["verified"] and manifest["files"][0]["against"] == "cifar-10-python.tar.gz.md5"
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest


def test_torchvision_reads_the_same_mnist(real_data, mnist):
    from torchvision.datasets import MNIST

    data, theirs = load(mnist[0]), MNIST(real_data, train=False, download=False)
    np.testing.assert_array_equal(data.test.images[..., 0], theirs.data.numpy())
    np.testing.assert_array_equal(data.test.labels, theirs.targets.numpy())
