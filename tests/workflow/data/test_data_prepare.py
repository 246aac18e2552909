"""Preparing: the manifest, doing it once, two at a time, after a kill; made-up data; downloads; the table of what is there."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from data_builders import cifar10_batches, imagenet_members, made_up, same, tar, vouch, written

from workflow.data import checksums, load, prepare, verify
from workflow.data.locks import locked
from workflow.data.status import main, rows
from workflow.datasets import DATASETS, OTHER_SIZES
from workflow.errors import UserError

SYNTHETIC = {"train": 60, "test": 30}


def synthetic(out: Path, dataset: str = "cifar10", **counts: int) -> dict:
    return prepare(dataset, source="synthetic", folder=out.parent / "none", out=out, synthetic={**SYNTHETIC, **counts})


def run(code: str, root: Path, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


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


PREPARE = """
import sys
from pathlib import Path
from workflow.data import prepare
from workflow.data import preparation
write = preparation._write
def say(*arguments):
    print("writes")
    return write(*arguments)
preparation._write = say
prepare("mnist", source="synthetic", folder=Path("none"), out=Path(sys.argv[1]), synthetic={"train": 9000, "test": 100})
assert "torch" not in sys.modules and "torchvision" not in sys.modules
"""


def test_two_processes_at_once_prepare_once(tmp_path, root):
    processes = [run(PREPARE, root, tmp_path / "deep" / "out") for _ in range(3)]
    outputs = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert sum(output.count(b"writes") for output, _ in outputs) == 1
    verify(tmp_path / "deep" / "out")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["out"]


def test_a_killed_process_leaves_nothing_that_counts(tmp_path, root):
    stuck = """
import sys, time
from pathlib import Path
from workflow.data import prepare, preparation
preparation._publish = lambda *_: (print("now", flush=True), time.sleep(60))
prepare("cifar10", source="synthetic", folder=Path("none"), out=Path(sys.argv[1]), synthetic={"train": 60, "test": 30})
"""
    process = run(stuck, root, tmp_path / "out")
    assert process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with pytest.raises(UserError, match="missing"):
        load(tmp_path / "out")
    synthetic(tmp_path / "out")
    verify(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_lock_waits_for_its_holder(tmp_path, root):
    hold = """
import sys, time
from pathlib import Path
from workflow.data.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(0.4)
    Path(sys.argv[2]).touch()
"""
    process = run(hold, root, tmp_path / "lock", tmp_path / "done")
    assert process.stdout.readline() == b"held\n"
    start = time.monotonic()
    with locked(tmp_path / "lock"):
        assert (tmp_path / "done").exists() and time.monotonic() - start > 0.1
    process.communicate()
    assert not (tmp_path / "lock").exists()


@pytest.mark.parametrize("name", [*DATASETS, *OTHER_SIZES])
def test_synthetic_sets_have_the_shapes_of_the_real_ones(tmp_path, name):
    info = {**DATASETS, **OTHER_SIZES}[name]
    start = time.process_time()
    manifest = synthetic(tmp_path / "out", name)
    assert time.process_time() - start < 2
    assert manifest["splits"]["train"]["shape"] == [60, info.image_size, info.image_size, info.channels]
    data = load(tmp_path / "out")
    assert len(set(data.train.labels.tolist())) == min(60, info.classes)
    assert set(data.test.labels.tolist()) <= set(data.train.labels.tolist())
    assert 0.4 < np.mean(manifest["mean"]) < 0.6 and min(manifest["std"]) > 0.1
    again = synthetic(tmp_path / "again", name)
    assert again["splits"] == manifest["splits"]


def test_synthetic_classes_differ_at_one_scale_only():
    """Classes 0 and 1 share their orientations at the two coarser scales; power at the fine one tells them apart."""
    from workflow.data.synthetic import _images

    labels = np.repeat([0, 1], 64)
    images = _images(DATASETS["mnist"], labels, np.random.default_rng(0))[..., 0].astype(float)
    power = np.abs(np.fft.fft2(images - images.mean(axis=(1, 2), keepdims=True))) ** 2
    frequency = np.hypot(np.fft.fftfreq(28)[:, None], np.fft.fftfreq(28)[None])
    means = [power[labels == k].mean(axis=0) for k in (0, 1)]
    difference = np.abs(means[0] - means[1]) / (means[0] + means[1])
    assert difference[frequency > 0.25].max() > 0.8  # periods below 4 pixels
    assert difference[(frequency > 0.02) & (frequency < 0.2)].max() < 0.35


def test_a_small_network_learns_the_synthetic_classes(tmp_path):
    import torch
    from torch import nn

    torch.set_num_threads(1)
    synthetic(tmp_path / "out", "mnist", train=256, test=256)
    data = load(tmp_path / "out")
    (x, y), (xt, yt) = (
        (torch.from_numpy(s.images).permute(0, 3, 1, 2).float() / 64 - 2, torch.from_numpy(s.labels))
        for s in (data.train, data.test)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            *(
                nn.Conv2d(1, 16, 5, 2, 2),
                nn.BatchNorm2d(16),
                nn.ReLU(),
                nn.Conv2d(16, 32, 5, 2, 2),
                nn.BatchNorm2d(32),
                nn.ReLU(),
            ),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)),
        )
        optimiser = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        for _ in range(5):
            for batch in torch.randperm(256).split(32):
                optimiser.zero_grad()
                nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
                optimiser.step()
    accuracy = (net.eval()(xt).argmax(1) == yt).float().mean().item()
    assert accuracy > 0.3  # chance is 0.1


@pytest.fixture
def server(tmp_path):
    """A web server of this machine's over tmp_path/remote; its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    (tmp_path / "remote").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path / "remote")) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_download_is_checked_and_moved_into_place(small, tmp_path, monkeypatch, server):
    name = "cifar-10-python.tar.gz"
    remote = tar(tmp_path / "remote" / name, cifar10_batches(made_up(50, 32, 3, 10, 0), made_up(20, 32, 3, 10, 1)))
    monkeypatch.setattr("workflow.data.download._addresses", lambda _: {name: [f"{server}/{name}"]})
    with pytest.raises(UserError, match=r"nor could it be downloaded \(.*not found or corrupted"):
        prepare("cifar10", source="auto", folder=tmp_path / "data", out=tmp_path / "out")
    assert not (tmp_path / "data").exists()
    monkeypatch.setitem(checksums.CHECKSUMS["cifar10"], name, hashlib.md5(remote.read_bytes()).hexdigest())
    (tmp_path / "data" / "cifar10" / ".download").mkdir(parents=True)  # of an attempt that was killed
    (tmp_path / "data" / "cifar10" / ".download" / name).write_bytes(b"the first half")
    manifest = prepare("cifar10", source="auto", folder=tmp_path / "data", out=tmp_path / "out")
    assert load(tmp_path / "out").train.images.shape == (50, 32, 32, 3)
    assert manifest["files"][0]["verified"] and [path.name for path in (tmp_path / "data" / "cifar10").iterdir()] == [
        name
    ]


def test_the_download_addresses_are_torchvisions():
    from workflow.data.download import _addresses

    for dataset, count in (("mnist", 4), ("cifar10", 1), ("stl10", 1)):
        addresses = _addresses(dataset)
        assert len(addresses) == count and set(addresses) <= set(checksums.CHECKSUMS[dataset])
        assert all(address.endswith(name) for name, tried in addresses.items() for address in tried)
    assert _addresses("imagenet32") == {}


def test_the_checksums_are_torchvisions():
    from torchvision import datasets

    theirs = {
        "mnist": dict(datasets.MNIST.resources),
        "cifar10": {
            datasets.CIFAR10.filename: datasets.CIFAR10.tgz_md5,
            **dict(datasets.CIFAR10.train_list + datasets.CIFAR10.test_list),
        },
        "stl10": {
            datasets.STL10.filename: datasets.STL10.tgz_md5,
            **dict(datasets.STL10.train_list[:2] + datasets.STL10.test_list),
        },
    }
    for dataset, sums in theirs.items():
        assert {name: checksums.CHECKSUMS[dataset][name] for name in sums} == sums


def test_status_lists_each_data_set(small, tmp_path, capsys):
    train, test = made_up(200, 32, 3, 1000, 0), made_up(30, 32, 3, 1000, 1)
    written(tmp_path / "imagenet32", imagenet_members(train, test))
    vouch(
        tar(tmp_path / "cifar-10-python.tar.gz", cifar10_batches(made_up(50, 32, 3, 10, 0), made_up(20, 32, 3, 10, 1)))
    )
    (tmp_path / "stl10").mkdir()
    (tmp_path / "stl10" / "train_X.bin").write_bytes(b"123")
    table = {row[0]: row for row in rows(tmp_path)}
    assert table["MNIST"][1] == "no" and "downloaded when needed" in table["MNIST"][-1]
    assert table["CIFAR-10"][1:3] == ("yes, python version", str(tmp_path / "cifar-10-python.tar.gz"))
    assert table["CIFAR-10"][4] == "verified"
    assert table["STL-10"][1] == "incomplete, without train_y.bin, test_X.bin, test_y.bin"
    assert table["ImageNet-32"][1] == "yes, pickled batches" and table["ImageNet-32"][4] == "no published checksum"
    prepare("imagenet32", source="disk", folder=tmp_path, out=tmp_path / "prepared" / "imagenet32")
    same(load(tmp_path / "prepared" / "imagenet32"), train, test)
    assert {row[0]: row for row in rows(tmp_path)}["ImageNet-32"][-1].startswith("nothing: prepared in")
    (tmp_path / "cifar-10-python.tar.gz.md5").unlink()
    assert {row[0]: row for row in rows(tmp_path)}["CIFAR-10"][4] == "WRONG"
    assert main(tmp_path) == 0 and main(tmp_path / "nowhere") == 0
    printed = capsys.readouterr().out
    assert "https://image-net.org/download-images" in printed and "delete it and download it again" in printed


def test_the_manifest_is_plain_json(tmp_path):
    manifest = synthetic(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == manifest
