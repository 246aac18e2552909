"""Failure drills around the engine: damaged records, clocks, read-only data, two pipelines in one folder, a thousand runs, a hang.

The engine's own are in engine/test_engine_drills.py; those that kill whole processes in tests/road. Outcomes: docs/drills.md.
"""

import datetime
import fcntl
import json
import os
import random
import subprocess
import threading
import time

import pytest

from tests.workflow.made_plans import plan_of, result_of, timing_of
from workflow import jobs
from workflow.campaign.priorities import Chooser
from workflow.data import prepare
from workflow.overview import status
from workflow.plan.steps import steps
from workflow.records import provenance
from workflow.records.records import BadRecord, read_result, read_timing, run_folder, write_record
from workflow.support.errors import UserError
from workflow.support.files import write_json

NET = "mnist/cifar-resnet-20"


@pytest.fixture
def plan(tmp_path):
    """One row with two seeds."""
    return plan_of(NET, seeds=[0, 1], jobs={"rows": "one"}, data=str(tmp_path / "data"))


@pytest.mark.parametrize(("make", "read"), [(result_of, read_result), (timing_of, read_timing)])
def test_a_changed_byte_in_a_record_is_never_accepted(plan, tmp_path, make, read):
    """250 single bytes: the record reads as it was written (a byte between its values), or is refused."""
    path = tmp_path / "record.json"
    write_record(path, make(plan.runs[0]))
    whole, original = path.read_bytes(), read(path)
    unsealed = {key: value for key, value in original.items() if key != "seal"}
    draw, refused = random.Random(0), 0
    for _ in range(250):
        place = draw.randrange(len(whole))
        hurt = bytearray(whole)
        hurt[place] = draw.choice(b'0123456789abcxyz.-,:{}[]" \n\xff')
        path.write_bytes(hurt)
        try:
            found = read(path)
            assert {key: found[key] for key in original if key != "seal"} == unsealed, (place, hurt[place])
        except BadRecord:
            refused += 1
    assert refused > 150


def test_a_record_cut_short_anywhere_is_never_accepted(plan, tmp_path):
    path = tmp_path / "result.json"
    write_record(path, result_of(plan.runs[0]))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(BadRecord):
            read_result(path)


def test_two_pipelines_in_one_folder_train_each_run_once(engine, plan, tmp_path):
    outcomes, engine.pause = [], 0.3
    job = lambda: outcomes.append(jobs.Job("train", f"{NET}/all", plan, tmp_path, log=print).execute())
    threads = [threading.Thread(target=job) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [0, 0] and sorted(engine.calls) == sorted(run.id for run in plan.runs)
    assert engine.together <= 2  # the two seeds
    assert not list(tmp_path.rglob("*.lock"))


def test_a_run_that_another_process_holds_is_waited_for(engine, plan, tmp_path):
    folder = run_folder(tmp_path, plan.runs[0].id)
    folder.mkdir(parents=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        job = jobs.Job("train", f"{NET}/all", plan, tmp_path)
        thread = threading.Thread(target=job.execute)
        thread.start()
        time.sleep(0.3)
        assert engine.calls == []
    thread.join()
    assert len(engine.calls) == 2


def test_a_clock_that_runs_backwards(engine, plan, tmp_path, monkeypatch, capsys):
    """Each look at the clock gives an hour earlier: jobs end as ever, and no age or duration that is printed is negative."""
    clock = iter(range(10**9, 0, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    backwards = lambda: datetime.datetime.fromtimestamp(next(clock), datetime.UTC).isoformat(timespec="seconds")
    for module in (jobs, provenance):
        monkeypatch.setattr(module, "now", backwards)
    assert jobs.Job("train", f"{NET}/all", plan, tmp_path, limit=60).execute() == 0
    first, second = (run_folder(tmp_path, run.id) for run in plan.runs)
    source = read_result(first / "result.json")["provenance"]
    assert source["started"] > source["ended"]
    (second / "result.json").unlink()
    line = {"stage": "train", "epoch": 1, "epochs": 2, "seconds": 5.0}
    (second / "history.jsonl").write_text(json.dumps(line) + "\n")
    write_json(tmp_path / f"jobs/train/{NET}/all.running", {})
    status.print_status(plan, tmp_path)
    text = capsys.readouterr().out
    assert "running" in text and "-" not in text.split("left in this stage")[0].rpartition(",")[2]


@pytest.fixture
def read_only(tmp_path):
    """A file system that is made read-only by read_only(); mounting needs root."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(place)], capture_output=True).returncode:
        pytest.skip("a read-only disk cannot be mounted here: it takes root")
    yield place, lambda: subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
    subprocess.run(["umount", str(place)], check=True)


def test_data_on_a_read_only_disk(read_only):
    """What is prepared there is used; what is not is one sentence."""
    place, make_read_only = read_only
    request = {"source": "synthetic", "folder": place, "synthetic": {"train": 16, "test": 8}}
    manifest = prepare("mnist", out=place / "mnist", **request)
    make_read_only()
    assert prepare("mnist", out=place / "mnist", **request) == manifest
    with pytest.raises(UserError, match="cannot be written .Read-only file system.: free the folder, or choose"):
        prepare("cifar10", out=place / "cifar10", **request)


@pytest.mark.slow
def test_a_plan_of_a_thousand_runs(tmp_path, capsys):
    plan = plan_of(seeds=list(range(30)), data=str(tmp_path))
    assert len(plan.runs) >= 1000 and len(plan.by_id) == len(plan.runs)
    members = [member for named in plan.jobs["train"].values() for member in named]
    assert sorted(members) == sorted(plan.by_id)
    chosen = [step for choice in Chooser(plan, set(), lambda step: 1.0).all() for step in choice.steps]
    assert len(set(chosen)) == len(chosen) <= len(steps(plan))
    waiting = sum(run.place not in plan.on_demand for run in plan.runs)
    status.print_status(plan, tmp_path)
    assert capsys.readouterr().out.splitlines()[-1] == f"{waiting} runs of preset smoke: {waiting} waiting"


def test_a_run_that_hangs_before_its_first_epoch_is_found(plan, tmp_path):
    run = plan.runs[0]
    folder = run_folder(tmp_path, run.id)
    write_json(folder / "run.json", run.to_json())
    assert status.progress_of(run, tmp_path, {run.id}) == ("running", "in its first epoch")
    hour_ago = time.time() - 3600
    os.utime(folder / "run.json", (hour_ago, hour_ago))
    assert status.progress_of(run, tmp_path, set())[0] == "waiting"
    what, detail = status.progress_of(run, tmp_path, {run.id})
    assert what == "stopped" and "silent for 60 min: it hangs or was killed" in detail
    (folder / "train.pt").touch()  # a long epoch shows itself by its checkpoints
    assert status.progress_of(run, tmp_path, {run.id})[0] == "running"
