"""kill -9 from outside, in the middle of a search and of a training job: the next start continues and ends with the same numbers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workflow.config import load
from workflow.files import write_json
from workflow.plan import make_plan

ROW = "cifar10/effconv-20-0.66m"
TIMES = ("seal", "seconds_per_epoch", "peak_memory_mb", "pieces", "provenance")


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """One row, one seed, three epochs a stage, on made-up images."""
    folder = tmp_path_factory.mktemp("kill")
    given = {
        "only": [ROW],
        "seeds": [0],
        "epochs": {"search": 3, "train": 3},
        "jobs": {"rows": "one"},
        "data": str(folder / "data"),
    }
    plan = make_plan(load({"preset": "smoke", "device": "cpu", **given}))
    write_json(folder / "plan.json", plan)
    return folder / "plan.json"


def command(root: Path, folder: Path, plan: Path, *words: str) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "workflow", *words, "--plan", str(plan)],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> str:
    text, _ = process.communicate(timeout=300)
    assert process.returncode == 0, text
    return text


def job(root: Path, folder: Path, plan: Path, stage: str) -> subprocess.Popen:
    return command(root, folder, plan, stage, f"{ROW}/all", "--threads", "1")


def kill_at_a_checkpoint(process: subprocess.Popen, checkpoint: Path) -> None:
    """Wait for the first checkpoint, which comes after the first epoch, then kill."""
    limit = time.monotonic() + 200
    while not checkpoint.exists():
        assert process.poll() is None and time.monotonic() < limit, process.stdout.read()
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def numbers(folder: Path, name: str) -> dict:
    record = json.loads((folder / f"results/smoke/runs/{ROW}/seed0/{name}").read_text())
    record.get("search") and record["search"].pop("seconds_per_epoch", None)
    return {key: value for key, value in record.items() if key not in TIMES}


def test_a_killed_pipeline_ends_with_the_numbers_of_an_undisturbed_one(root, plan, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(command(root, whole, plan, "prepare", "cifar10"))
    for stage in ("search", "train"):
        finish(job(root, whole, plan, stage))
        checkpoint = killed / f"results/smoke/runs/{ROW}/seed0/{stage}.pt"
        kill_at_a_checkpoint(job(root, killed, plan, stage), checkpoint)
        assert not (killed / f"results/smoke/jobs/{stage}/{ROW}/all.json").exists()
        assert f"{stage}: going on at " in finish(job(root, killed, plan, stage))
    assert numbers(whole, "search.json") == numbers(killed, "search.json")
    assert numbers(whole, "result.json") == numbers(killed, "result.json")
