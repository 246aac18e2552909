"""Several processes at once, and one that is killed: data are prepared once, and whole."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from data_builders import synthetic

from workflow.data import load, verify
from workflow.support.errors import UserError
from workflow.support.locks import locked


def run(code: str, root: Path, *arguments: object) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


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
from workflow.support.locks import locked
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


def test_a_name_that_no_disk_takes_is_one_sentence(tmp_path):
    with (
        pytest.raises(UserError, match=r"cannot be written \(File name too long\): free the folder"),
        locked(tmp_path / ("d" * 300) / "lock"),
    ):
        pass
