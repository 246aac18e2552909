"""kill -9 of real processes, in every stage: the same command ends as if nothing had been. And one that is stopped, and goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.made_plans import plan_of
from workflow.records.records import read_timing
from workflow.support.files import write_json

pytestmark = pytest.mark.slow

ROW = "cifar10/effconv-20-0.66m"
TIMES = ("seal", "seconds_per_epoch", "peak_memory_mb", "sittings", "provenance")


# The pipeline, killed when the file of the given name has been written by half, under whatever temporary name.
KILLED = """
import os, runpy, signal, sys
name, fsync = sys.argv.pop(1), os.fsync
def half(handle):
    fsync(handle)
    if name in os.path.basename(os.readlink(f"/proc/self/fd/{handle}")):
        os.ftruncate(handle, os.fstat(handle).st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)
os.fsync = half
runpy.run_module("workflow", run_name="__main__", alter_sys=True)
"""


def planned(folder: Path) -> Path:
    """One row, one seed, three epochs a stage, on made-up images."""
    few = {"seeds": [0], "epochs": {"search": 3, "train": 3}, "jobs": {"rows": "one"}}
    write_json(folder / "plan.json", plan_of(ROW, data=str(folder / "data"), **few).to_json())
    return folder / "plan.json"


@pytest.fixture(scope="module")
def plan(tmp_path_factory) -> Path:
    """The plan, with its data prepared."""
    return planned(tmp_path_factory.mktemp("kill"))


@pytest.fixture(scope="module")
def whole(root, plan) -> Path:
    """What an undisturbed pipeline leaves behind, as far as training."""
    finish(command(root, plan.parent, plan, "prepare", "cifar10", "--made-up"))
    for stage in ("search", "train"):
        finish(job(root, plan.parent, plan, stage))
    return plan.parent


def command(
    root: Path, folder: Path, plan: Path, *words: str, program: tuple[str, ...] = ("-m", "workflow")
) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, *program, *words, "--plan", str(plan)],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    return text


def job(root: Path, folder: Path, plan: Path, stage: str) -> subprocess.Popen:
    return command(root, folder, plan, stage, f"{ROW}/all", "--threads", "1")


def wait(process: subprocess.Popen, sign: Callable[[], bool]) -> None:
    """Until the sign is there; the process must not have ended before."""
    limit = time.monotonic() + 200
    while not sign():
        assert process.poll() is None and time.monotonic() < limit, process.stdout.read()
        time.sleep(0.02)


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def half_written(root: Path, folder: Path, plan: Path, name: str, *words: str) -> None:
    process = command(root, folder, plan, *words, program=("-c", KILLED, name))
    text, _ = process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL, text


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def numbers(folder: Path, name: str) -> dict:
    record = json.loads((folder / f"results/smoke/runs/{ROW}/seed0/{name}").read_text())
    record.get("search") and record["search"].pop("seconds_per_epoch", None)
    return {key: value for key, value in record.items() if key not in TIMES}


def test_a_killed_pipeline_ends_with_the_numbers_of_an_undisturbed_one(root, plan, whole, tmp_path):
    for stage in ("search", "train"):
        process = job(root, tmp_path, plan, stage)
        wait(process, (tmp_path / f"results/smoke/runs/{ROW}/seed0/{stage}.pt").exists)  # comes after the first epoch
        kill(process)
        assert not (tmp_path / f"results/smoke/jobs/{stage}/{ROW}/all.json").exists()
        assert f"{stage}: going on at " in finish(job(root, tmp_path, plan, stage))
    assert numbers(whole, "search.json") == numbers(tmp_path, "search.json")
    assert numbers(whole, "result.json") == numbers(tmp_path, "result.json")


@pytest.mark.parametrize("name", ["images.npy", "manifest.json"])
def test_killed_while_data_are_prepared(root, whole, tmp_path, name):
    plan, prepared = planned(tmp_path), tmp_path / "data/prepared"
    half_written(root, tmp_path, plan, name, "prepare", "cifar10", "--made-up")
    assert any(".partial" in name for name in contents(prepared)) and not list(prepared.glob("*/manifest.json"))
    finish(command(root, tmp_path, plan, "prepare", "cifar10", "--made-up"))
    found, expected = contents(prepared), contents(whole / "data/prepared")
    assert set(found) == set(expected)
    for path in expected:
        if path.endswith(".npy"):
            assert found[path] == expected[path]
        else:
            a, b = json.loads(found[path]), json.loads(expected[path])
            assert {**a, "created": None} == {**b, "created": None}


def test_killed_while_a_row_is_timed(root, plan, whole, tmp_path):
    shutil.copytree(whole / "results", tmp_path / "results")
    words = ("time", "table2", "--threads", "1")
    process = command(root, tmp_path, plan, *words)
    assert process.stdout.readline().startswith("[time 1/1]")
    kill(process)
    assert not (tmp_path / "results/smoke/timings").exists()
    finish(command(root, tmp_path, plan, *words))
    record = read_timing(tmp_path / f"results/smoke/timings/{ROW}.json")
    assert record["row"] == ROW.partition("/")[2] and [part["stage"] for part in record["segments"]] == [
        "search",
        "search",
        "train",
    ]
    assert {path.suffix for path in (tmp_path / "results/smoke/jobs/time").iterdir()} == {".json"}


def test_killed_while_the_report_is_written(root, plan, whole, tmp_path):
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    for folder in (killed, undisturbed):
        shutil.copytree(whole / "results", folder / "results")
    words = ("report", "accuracy-time")  # whose four files are written as all of the report's are
    half_written(root, killed, plan, "accuracy-time.svg", *words)
    partial = killed / "reports/partial"
    assert not (partial / "figures/accuracy-time.svg").exists()
    for folder in (killed, undisturbed):
        finish(command(root, folder, plan, *words))
    assert contents(partial) == contents(undisturbed / "reports/partial") != {}


def test_killed_while_the_primer_is_computed(root, plan, tmp_path):
    process = command(root, tmp_path, plan, "primer")
    process.stdout.readline()  # the first topic's title
    kill(process)
    assert contents(tmp_path) == {}  # so that the same command starts as in an empty folder


def test_a_process_that_is_stopped_counts_as_silent_and_goes_on(root, plan, whole, tmp_path):
    run = tmp_path / f"results/smoke/runs/{ROW}/seed0"
    run.mkdir(parents=True)
    shutil.copy(whole / run.relative_to(tmp_path) / "search.json", run)
    status = lambda: finish(command(root, tmp_path, plan, "status"))
    process = job(root, tmp_path, plan, "train")
    wait(process, (run / "train.pt").exists)
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert "1 running" in status()
    for path in run.iterdir():  # as if an hour had gone by: the limit is ten minutes
        os.utime(path, (time.time() - 3600,) * 2)
    assert "stopped" in (text := status()) and "silent for 60 min: it hangs or was killed" in text
    process.send_signal(signal.SIGCONT)
    finish(process)
    assert "1 done" in status()
    assert numbers(whole, "result.json") == numbers(tmp_path, "result.json")
