"""What every test shares: one torch thread (workers run side by side), and the folder with the real data sets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault(
    "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
)  # read by cuBLAS when it is first used: tests of exact bits on CUDA


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fast tests first; then the whole pipeline, the longest file of all, so that the other slow ones fill what time it leaves."""
    rank = lambda item: 1 if item.get_closest_marker("road") else 2 if item.get_closest_marker("slow") else 0
    items.sort(key=rank)


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_data(tmp_path_factory) -> Path:
    """A folder with `MNIST/raw/*-ubyte` and `cifar10/{train,test}.npz`: $EFFCONV_REAL_DATA, or unpacked from beside the repository."""
    if given := os.environ.get("EFFCONV_REAL_DATA"):
        return Path(given)
    unpack = ROOT.parent / "shared" / "data" / "unpack.py"
    if not unpack.exists():
        pytest.skip("the real MNIST and CIFAR-10 are not here: set EFFCONV_REAL_DATA to a folder that holds them")
    # All workers of a parallel run share one copy, made by whichever comes first.
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    out = shared / "real-data"
    import fcntl

    with open(shared / "real-data.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (out / "complete").exists():
            subprocess.run([sys.executable, str(unpack), str(out)], check=True, capture_output=True)
            (out / "complete").touch()
    return out
