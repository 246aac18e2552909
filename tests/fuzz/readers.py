"""Fuzzing the readers of foreign files: whatever bytes they are given, they yield sound images and labels or raise one sentence.

    python tests/fuzz/readers.py CORPUS -max_total_time=600       (needs atheris; all options are libFuzzer's)

`one_input` reads one input: its first byte chooses the reader, the rest is the file. Inputs that found anything are kept in found/ and
read again by test_found.py. Nothing an input names may be run, imported or written: an audit hook stops the process that tries.
"""

import contextlib
import io
import os
import pickletools
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from workflow.data import files, imagefolder, layouts, official, pickles  # noqa: F401, layouts: as users reach the readers
from workflow.data.files import Archive, Files
from workflow.data.writer import SplitWriter
from workflow.protocol.datasets import DATASETS
from workflow.support.errors import UserError

SMALL = replace(DATASETS["cifar10"], name="small", image_size=4)
GREY = replace(DATASETS["mnist"], name="small", image_size=4)
FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "os.remove",
    "shutil.rmtree",
)


def _hook(event: str, arguments: tuple) -> None:
    if event.startswith(FORBIDDEN) and ARMED:
        os.write(2, f"an input reached {event} {arguments}\n".encode())
        os.abort()


ARMED: list[bool] = []


def _through(
    read: Callable, names: tuple[str, ...], info: object = SMALL, fixed: dict[str, bytes] | None = None
) -> Callable:
    """A reader of files of these names, all with the input's content."""

    def run(content: bytes, folder: Path) -> None:
        for name in names:
            (folder / name).write_bytes(content)
        for name, other in (fixed or {}).items():
            (folder / name).write_bytes(other)
        writer = SplitWriter(folder / "out", shape=info.shape, classes=info.classes, moments=True)
        try:
            for images, labels in read(Files("small", folders=[folder]), "test", info):
                writer.add(images, labels, folder)
            split = writer.finish()
        finally:
            writer.close()
        written = np.load(folder / "out" / "images.npy", allow_pickle=False)
        assert written.dtype == "uint8" and list(written.shape) == split["shape"] == [split["images"], *info.shape]
        assert sum(split["class_counts"]) == split["images"] and len(split["class_counts"]) == info.classes

    return run


def _batch(content: bytes, folder: Path) -> None:
    with contextlib.suppress(pickles.UnsafePickle, ValueError):
        assert isinstance(pickles.read_batch(io.BytesIO(content)), dict)


def _archive(suffix: str) -> Callable:
    def run(content: bytes, folder: Path) -> None:
        path = folder / f"a{suffix}"
        path.write_bytes(content)
        archive = Archive(path)
        for name in sorted(archive.names()):
            with archive.open(name) as stream:
                stream.read(1 << 20)

    return run


def _image(content: bytes, folder: Path) -> None:
    (folder / "a.png").write_bytes(content)
    pixels = imagefolder._pixels(folder / "a.png", 3)
    assert pixels.dtype == "uint8" and pixels.shape[2] == 3


READERS: tuple[Callable[[bytes, Path], None], ...] = (
    _batch,
    _through(official.read_cifar10, ("test_batch",)),
    _through(official.read_cifar10_binary, ("test_batch.bin",), DATASETS["cifar10"]),
    _through(official.read_imagenet, ("val_data",)),
    _through(official.read_imagenet_npz, ("val_data.npz",)),
    _through(official.read_npz, ("test.npz",)),
    _through(official.read_stl10, ("test_X.bin",), fixed={"test_y.bin": b"\1\2"}),
    _through(official.read_mnist, ("t10k-images-idx3-ubyte",), GREY, {"t10k-labels-idx1-ubyte": b"\0\0\x08\1\0\0\0\1\7"}),
    _through(official.read_mnist, ("t10k-images-idx3-ubyte.gz",), GREY, {"t10k-labels-idx1-ubyte": b"\0\0\x08\1\0\0\0\1\7"}),
    _archive(".zip"),
    _archive(".tar"),
    _archive(".tar.gz"),
    _image,
)  # fmt: skip


def greedy(content: bytes) -> bool:
    """Whether a pickle numbers a memory beyond what its size could fill: reading it takes gigabytes, which is known (SECURITY.md)."""
    with contextlib.suppress(Exception):  # an error ends the reading of a pickle there, too
        for code, argument, _ in pickletools.genops(content):
            if "PUT" in code.name and isinstance(argument, int) and argument > 1 << 20:
                return True
    return False


def one_input(data: bytes) -> None:
    """Read one input; a UserError is a good end, anything else that is raised a fault."""
    if not data or greedy(data[1:]):
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        ARMED.append(True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                READERS[data[0] % len(READERS)](data[1:], Path(folder))
        except UserError as error:
            assert len(str(error).splitlines()) == 1, error
        finally:
            ARMED.clear()


def seeds() -> list[bytes]:
    """A sound input for every reader."""
    import gzip
    import pickle
    import tarfile
    import zipfile

    from PIL import Image

    rows = np.arange(2 * 48, dtype=np.uint8).reshape(2, 48)
    batches = [pickle.dumps({b"data": rows, b"labels": [1, 2]}, protocol) for protocol in (0, 2, 4)]
    npz, plain, picture = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez(npz, data=rows, labels=np.array([1, 2]))
    np.savez_compressed(plain, images=rows.reshape(2, 4, 4, 3), labels=np.array([1, 2]))
    Image.fromarray(rows.reshape(8, 4, 3)).save(picture, "png")
    idx = b"\0\0\x08\3" + b"".join(n.to_bytes(4, "big") for n in (1, 4, 4)) + bytes(16)
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/file", b"content")
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        entry = tarfile.TarInfo("folder/file")
        entry.size = 7
        archive.addfile(entry, io.BytesIO(b"content"))
    tarball = gzip.compress(tarred.getvalue())
    found = [(0, batch) for batch in batches] + [(1, batch) for batch in batches] + [(3, batch) for batch in batches]
    found += [(2, bytes(3073)), (4, npz.getvalue()), (5, plain.getvalue()), (6, bytes(96)), (7, idx)]
    found += [(8, gzip.compress(idx)), (9, zipped.getvalue()), (10, tarred.getvalue()), (11, tarball)]
    return [bytes([number]) + content for number, content in [*found, (12, picture.getvalue())]]


def main() -> None:
    """Fuzz with atheris."""
    import resource

    import atheris

    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed{number:02}").write_bytes(seed)
    for module in (files, imagefolder, official, pickles):
        for name, value in vars(module).items():
            if callable(value) and getattr(value, "__module__", "") == module.__name__ and hasattr(value, "__code__"):
                setattr(module, name, atheris.instrument_func(value))
    resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
    sys.addaudithook(_hook)
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
