"""Downloads: from torchvision's addresses, checked by its checksums, moved into place when whole."""

import hashlib
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from data_builders import cifar10_batches, made_up, tar

from workflow.data import checksums, load, prepare
from workflow.support.errors import UserError


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


def test_without_torchvision_one_sentence_says_what_to_do(tmp_path, monkeypatch):
    """As on a borrowed machine that has torch alone."""
    monkeypatch.setitem(sys.modules, "torchvision", None)
    expected = r"nor could it be downloaded \(torchvision cannot be used: .+\): put cifar-10-python\.tar\.gz "
    with pytest.raises(UserError, match=expected):
        prepare("cifar10", source="auto", folder=tmp_path / "data", out=tmp_path / "out")
    assert not (tmp_path / "data").exists()


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
