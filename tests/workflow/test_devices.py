"""Device names, GPU leases between processes, threads; the GPUs are pretended."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from workflow.machine import lease
from workflow.support.errors import UserError


def gpus(number: int):
    return lambda: number


HOLD = """
import sys, time
from pathlib import Path
from workflow.machine import lease
with lease.lease("cuda", exclusive=sys.argv[2] == "exclusive", count=lambda: int(sys.argv[3]), folder=Path(sys.argv[1])) as name:
    print(name, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path, root):
    """Start a process that holds a lease: holder(kind, gpus) -> (process, its device)."""
    started = []

    def start(kind: str, number: int = 1):
        command = [sys.executable, "-c", HOLD, str(tmp_path), kind, str(number)]
        process = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(autouse=True)
def no_visible_devices(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(lease, "POLL_SECONDS", 0.01)


def test_resolve():
    assert lease.resolve("cpu", count=gpus(2)) == "cpu"
    assert lease.resolve("auto", count=gpus(0)) == "cpu"
    assert lease.resolve("auto", count=gpus(1)) == "cuda"
    assert lease.resolve("cuda", count=gpus(1)) == "cuda"


def test_cuda_that_is_not_there_is_one_sentence(monkeypatch):
    with pytest.raises(UserError, match="key 'device' is 'cuda', but torch finds no CUDA device: set it to 'cpu'"):
        lease.resolve("cuda", count=gpus(0))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(UserError, match="CUDA_VISIBLE_DEVICES is ''"):
        lease.resolve("cuda", count=gpus(0))
    with pytest.raises(UserError, match="key 'device' is 'gpu'"):
        lease.resolve("gpu")


def test_visible_gpus_are_named_by_what_cuda_visible_devices_lists(monkeypatch):
    assert lease.visible_gpus(2) == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-abc")
    assert lease.visible_gpus(2) == ["3", "GPU-abc"]


def test_a_cpu_needs_no_lease(tmp_path):
    with lease.lease("cpu", exclusive=True, folder=tmp_path / "none") as name:
        assert name == "cpu"
    assert not (tmp_path / "none").exists()


def test_shared_leases_spread_over_the_gpus(tmp_path):
    take = lambda: lease.lease("cuda", count=gpus(2), folder=tmp_path)
    with take() as first, take() as second, take() as third:
        assert (first, second, third) == ("cuda:0", "cuda:1", "cuda:0")
    with take() as again:
        assert again == "cuda:0"


def test_an_exclusive_lease_takes_a_free_gpu(tmp_path, holder):
    _, theirs = holder("shared", 2)
    assert theirs == "cuda:0"
    with lease.lease("cuda", exclusive=True, count=gpus(2), folder=tmp_path) as name:
        assert name == "cuda:1"


@pytest.mark.parametrize(("theirs", "ours"), [("exclusive", False), ("exclusive", True), ("shared", True)])
def test_waits_for_the_other_process_and_a_killed_one_lets_go(tmp_path, holder, theirs, ours):
    process, _ = holder(theirs)
    assert lease._take(tmp_path, ["0"], ours) is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    began = time.monotonic()
    with lease.lease("cuda", exclusive=ours, count=gpus(1), folder=tmp_path) as name:
        assert name == "cuda:0"
    assert time.monotonic() - began < 5


def test_a_lease_ends_with_its_block_whatever_happens(tmp_path):
    with pytest.raises(RuntimeError), lease.lease("cuda", exclusive=True, count=gpus(1), folder=tmp_path):
        raise RuntimeError
    with open(tmp_path / "gpu-0.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot be made for GPU locks"),
        lease.lease("cuda", count=gpus(1), folder=tmp_path / "file" / "locks"),
    ):
        pass


def test_a_folder_that_another_has_put_there_is_not_used(tmp_path, monkeypatch):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    said = "link or another user's: set TMPDIR"
    with pytest.raises(UserError, match=said), lease.lease("cuda", count=gpus(1), folder=tmp_path / "link"):
        pass
    monkeypatch.setattr(lease.os, "getuid", lambda: os.stat(tmp_path).st_uid + 1)
    with pytest.raises(UserError, match=said), lease.lease("cuda", count=gpus(1), folder=tmp_path / "theirs"):
        pass
    assert not any((tmp_path / "theirs").iterdir())


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / "gpu-0.lock").symlink_to(tmp_path / "precious")
    with (
        pytest.raises(UserError, match=r"gpu-0\.lock cannot be locked \(.*\): set TMPDIR"),
        lease.lease("cuda", exclusive=True, count=gpus(1), folder=tmp_path),
    ):
        pass
    assert not (tmp_path / "precious").exists()


def test_jobs_that_share_the_machine_wait_passively():
    assert lease.thread_environment(2, cores=4) == {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    assert lease.thread_environment(4, cores=4) == {"OMP_NUM_THREADS": "4"}
    assert lease.thread_environment(1, cores=4) == {"OMP_NUM_THREADS": "1"}


def test_devices_do_not_import_torch(root):
    subprocess.run(
        [sys.executable, "-c", "import sys, workflow.machine.lease; assert 'torch' not in sys.modules"],
        cwd=root,
        check=True,
    )


def test_slurm_names_the_gpus_that_it_counts_from_zero(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("SLURM_JOB_GPUS", "2,5")
    assert lease.visible_gpus(2) == ["2", "5"]
    monkeypatch.setenv(
        "CUDA_VISIBLE_DEVICES", "1"
    )  # narrowed by the user inside the job: Slurm's list is no longer the job's
    assert lease.visible_gpus(1) == ["1"]


def test_who_waits_for_a_gpu_of_its_own_is_not_passed_by_sharers(tmp_path, holder):
    first, _ = holder("shared")
    waiting = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "exclusive", "1"], stdout=subprocess.PIPE, text=True
    )
    try:
        limit = time.monotonic() + 30
        while lease._try(tmp_path / "gpu-0.reserved", fcntl.LOCK_EX) is not None:
            assert time.monotonic() < limit
            time.sleep(0.05)
        assert lease._take(tmp_path, ["0"], False) is None
        assert lease._take(tmp_path, ["0", "1"], False)[0] == 1
        first.kill()
        assert waiting.stdout.readline().strip() == "cuda:0"
    finally:
        waiting.kill()
        waiting.wait()
        waiting.stdout.close()


def test_the_pool_of_gpus():
    config, four = {"device": "cuda"}, ["pretended"] * 4
    assert lease.pool(config, lambda: four) == 4
    assert lease.pool({**config, "per_gpu": 3}, lambda: four) == 12
    assert lease.pool({**config, "cluster": True}, None) is None
    assert lease.pool({**config, "device": "cpu"}, None) is None


WORK = """
import os, random, sys, time
from pathlib import Path
from workflow.machine import lease
lease.POLL_SECONDS = 0.005
folder, number = Path(sys.argv[1]), int(sys.argv[2])
draw = random.Random(number)
with open(folder / f"{number}.log", "wb", buffering=0) as log:
    for turn in range(int(sys.argv[3])):
        alone = draw.random() < 0.4
        with lease.lease("cuda", exclusive=alone, count=lambda: 2, folder=folder / "locks") as name:
            log.write(f"{time.monotonic()} {name} {int(alone)} ".encode())
            time.sleep(60 if number == 0 and turn == 2 else draw.uniform(0, 0.02))
            log.write(f"{time.monotonic()}\\n".encode())
"""


def intervals(path, end: float) -> list[tuple[str, float, float, bool]]:
    """(device, from, to, alone) of a worker's log; `end` stands for what a kill left open."""
    found = []
    for line in path.read_text().splitlines():
        start, name, alone, *stop = line.split()
        found.append((name, float(start), float(stop[0]) if stop else end, alone == "1"))
    return found


def test_eight_processes_on_two_gpus_one_killed(tmp_path, root):
    """No lease ever overlaps one that is alone on its device, and a killed process holds nothing up."""
    workers = [
        subprocess.Popen([sys.executable, "-c", WORK, str(tmp_path), str(number), "15"], cwd=root)
        for number in range(8)
    ]
    log, limit = tmp_path / "0.log", time.monotonic() + 60
    while not (log.exists() and log.read_text().count("cuda") == 3):
        assert time.monotonic() < limit
        time.sleep(0.01)
    time.sleep(0.1)
    killed = time.monotonic()
    workers[0].kill()
    assert [worker.wait(timeout=60) for worker in workers] == [-signal.SIGKILL] + 7 * [0]
    taken = [interval for number in range(8) for interval in intervals(tmp_path / f"{number}.log", killed)]
    assert len(taken) == 3 + 7 * 15 and {name for name, *_ in taken} == {"cuda:0", "cuda:1"}
    overlaps = [
        (one, other)
        for one in taken
        for other in taken
        if one is not other and one[3] and one[0] == other[0] and one[1] < other[2] and other[1] < one[2]
    ]
    assert overlaps == []
    shared = [one for one in taken if not one[3]]
    assert any(a is not b and a[0] == b[0] and a[1] < b[1] < a[2] for a in shared for b in shared)
