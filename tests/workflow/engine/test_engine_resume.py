"""Interrupted in any way, at any step, a stage ends with the numbers of an undisturbed one, bit for bit."""

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from workflow import engine

TIMING = ("seconds_per_epoch", "peak_memory_mb", "sittings", "seconds", "evaluation_seconds")


def without_timing(values: dict) -> dict:
    return {key: value for key, value in values.items() if key not in TIMING}


def rows(folder: Path) -> list[dict]:
    return [without_timing(json.loads(line)) for line in (folder / "history.jsonl").read_text().splitlines()]


def stage(tiny, name: str, folder: Path, **options) -> dict:
    options = {"digest": "d", "log": lambda text: None, **options}
    run = tiny.run(system="dropout" if name == "train" else "tiny")
    if name == "train":
        return engine.train(run, tiny.data, folder, kernel_sizes=[3, 5, 2, 3, 1, 7], **options)
    return engine.search(run, tiny.data, folder, **options)


def same(folder: Path, other: Path, name: str) -> None:
    """Both folders hold the same history and, after training, the same weights to the last bit."""
    assert rows(folder) == rows(other)
    states = [torch.load(place / f"{name}.pt", weights_only=True) for place in (folder, other)]
    assert without_timing(states[0]["outcome"]) == without_timing(states[1]["outcome"])
    if name == "train":
        assert all(torch.equal(value, states[1]["model"][key]) for key, value in states[0]["model"].items())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["search", "train"])
def test_stopped_after_every_single_step(tiny, tmp_path, name):
    whole = stage(tiny, name, tmp_path / "whole")
    stops = []
    for _ in range(20):
        try:
            sittings = stage(tiny, name, tmp_path / "sittings", deadline=0.0)
        except engine.OutOfTime as stop:
            stops.append(str(stop))
        else:
            break
    # 2 epochs of 4 steps; the last step ends the stage instead of stopping it
    assert stops == [
        *(f"in epoch 1 of 2, after step {n} of 4" for n in (1, 2, 3)), "after epoch 1 of 2",
        *(f"in epoch 2 of 2, after step {n} of 4" for n in (1, 2, 3)),
    ]  # fmt: skip
    assert without_timing(whole) == without_timing(sittings)
    assert sittings["sittings"] == 8
    same(tmp_path / "whole", tmp_path / "sittings", name)


KILLED = """
import importlib, os, signal, sys
from pathlib import Path
sys.path[:0] = [{here!r}]
import torch
torch.set_num_threads(1)
import baselines
import conftest
from types import SimpleNamespace
import test_engine_resume as tests
baselines.build = conftest.tiny_system
loop, step = (importlib.import_module("workflow.engine." + name) for name in ("loop", "step"))
loop.SAVE_SECONDS = loop.SAVE_SHARE = 0  # a checkpoint after every step
take, left = step.Step.take, [int(sys.argv[3])]
def dies(self, number):
    take(self, number)
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)  # the step is done, its checkpoint not written
step.Step.take = dies
tests.stage(SimpleNamespace(run=conftest.a_run, data=conftest.made_up()), sys.argv[1], Path(sys.argv[2]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "after"), [("search", 3), ("train", 7)])
def test_killed_in_the_middle(tiny, tmp_path, root, name, after):
    code = KILLED.format(here=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, name, str(tmp_path / "killed"), str(after)]
    died = subprocess.run(
        command, cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    said = []
    killed = stage(tiny, name, tmp_path / "killed", log=said.append)
    done = after - 1  # the killed step is done again
    assert said[0] == f"{name}: going on at step {done % 4} of epoch {1 + done // 4} of 2"
    whole = stage(tiny, name, tmp_path / "whole")
    assert without_timing(whole) == without_timing(killed)
    same(tmp_path / "whole", tmp_path / "killed", name)


def test_the_history_is_cut_back_to_the_checkpoint(tiny, tmp_path):
    stage(tiny, "search", tmp_path)
    for _ in range(5):  # stops in the second epoch
        with pytest.raises(engine.OutOfTime):
            stage(tiny, "train", tmp_path, deadline=0.0)
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write(json.dumps({"stage": "train", "epoch": 2}) + '\n{"stage": "tr')
    stage(tiny, "train", tmp_path)
    assert [(row["stage"], row["epoch"]) for row in rows(tmp_path)] == [
        ("search", 1),
        ("search", 2),
        ("train", 1),
        ("train", 2),
    ]


def test_a_finished_stage_is_not_done_again(tiny, tmp_path, monkeypatch):
    whole = stage(tiny, "train", tmp_path)
    monkeypatch.setattr(importlib.import_module("workflow.engine.step").Step, "take", None)
    assert stage(tiny, "train", tmp_path) == whole


def test_other_settings_start_afresh(tiny, tmp_path):
    with pytest.raises(engine.OutOfTime):
        stage(tiny, "train", tmp_path, deadline=0.0)
    said = []
    assert stage(tiny, "train", tmp_path, digest="other", log=said.append)["sittings"] == 1
    assert "made by other code, data or settings" in said[0]


def test_a_damaged_checkpoint_costs_a_step_and_nothing_else(tiny, tmp_path):
    whole = stage(tiny, "train", tmp_path / "whole")
    for _ in range(3):
        with pytest.raises(engine.OutOfTime):
            stage(tiny, "train", tmp_path / "hurt", deadline=0.0)
    path = tmp_path / "hurt" / "train.pt"
    path.write_bytes(path.read_bytes()[:-500])
    said = []
    assert without_timing(stage(tiny, "train", tmp_path / "hurt", log=said.append)) == without_timing(whole)
    assert "train.pt is unreadable" in said[0] and said[1] == "train: going on at step 2 of epoch 1 of 2"
