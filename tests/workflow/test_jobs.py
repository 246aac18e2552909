"""Jobs: what is kept, what is cleared, what a failure leaves; with a stand-in engine, since the bookkeeping is what is tested here."""

import json
import sys
import types

import pytest

from workflow import jobs
from workflow.records.records import read_result
from workflow.support.errors import UserError


def run_of(seed: int) -> dict:
    return {
        "id": f"mnist/net/seed{seed}", "dataset": "mnist", "row": "net", "label": "Net", "seed": seed, "system": "cifar_resnet20",
        "arguments": {}, "data": "nowhere", "search": None, "train": {"recipe": "resnet_sgd", "epochs": 1, "batch_size": 8},
        "precision": "fp32", "device": "cpu",
    }  # fmt: skip


class OutOfTime(Exception):
    pass


@pytest.fixture
def engine(monkeypatch):
    """An engine that notes each call, with accuracies that count up, and faults that a test sets."""
    fake = types.SimpleNamespace(OutOfTime=OutOfTime, calls=[], faults={})

    def train(run, data, folder, *, kernel_sizes, digest, log, deadline):
        fake.calls.append(run.id)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "train.pt").touch()
        if fault := fake.faults.get(run.id):
            raise fault
        done = {"accuracy": 50.0, "correct": 5, "test_images": 10, "best_accuracy": 50.0, "best_epoch": 1}
        return {**done, "parameters": 1, "macs": 1, "epochs": 1, "seconds_per_epoch": [0.1]}

    fake.train = train
    monkeypatch.setitem(sys.modules, "workflow.engine", fake)
    monkeypatch.setattr(sys.modules["workflow"], "engine", fake, raising=False)
    monkeypatch.setattr(jobs.Job, "_data", lambda self, run: (None, {"train": "ab" * 32, "test": "cd" * 32}))
    return fake


@pytest.fixture
def plan():
    runs = [run_of(seed) for seed in (0, 1, 2)]
    return {
        "runs": runs,
        "jobs": {"search": {}, "train": {"mnist/net/all": [run.id for run in runs]}, "time": {}},
        "timing": {},
    }


def execute(plan, folder, attempt=1):
    said = []
    status = jobs.Job("train", "mnist/net/all", plan, folder, say=said.append, attempt=attempt).execute()
    return status, said


def test_a_job_leaves_records_and_a_stamp(engine, plan, tmp_path):
    assert execute(plan, tmp_path)[0] == 0
    record = read_result(tmp_path / "runs/mnist/net/seed1/result.json")
    assert (
        record["run"]["seed"] == 1 and record["digests"]["run"] and record["provenance"]["data"]["train"] == "ab" * 32
    )
    stamp = json.loads((tmp_path / "jobs/train/mnist/net/all.json").read_text())
    assert len(stamp["done"]) == 3 and stamp["failed"] == {}
    assert not (tmp_path / "jobs/train/mnist/net/all.running").exists()


def test_a_failure_stops_no_other_and_only_it_is_done_again(engine, plan, tmp_path):
    engine.faults["mnist/net/seed1"] = ValueError("the loss is not finite at step 7: lower the learning rate.")
    status, said = execute(plan, tmp_path)
    assert status == 1 and len(engine.calls) == 3
    failure = json.loads((tmp_path / "runs/mnist/net/seed1/failure.json").read_text())
    assert (
        failure["reason"] == "the loss is not finite at step 7: lower the learning rate."
        and failure["stage"] == "train"
    )
    assert not (tmp_path / "jobs/train/mnist/net/all.json").exists()
    engine.calls.clear(), engine.faults.clear()
    assert execute(plan, tmp_path)[0] == 0
    assert engine.calls == ["mnist/net/seed1"]
    assert not (tmp_path / "runs/mnist/net/seed1/failure.json").exists()


def test_an_unforeseen_error_keeps_its_trace_in_the_log(engine, plan, tmp_path):
    engine.faults["mnist/net/seed0"] = KeyError("oops")
    status, said = execute(plan, tmp_path)
    assert status == 1 and any("Traceback" in line for line in said)


def test_a_forced_job_starts_afresh(engine, plan, tmp_path):
    execute(plan, tmp_path)
    (tmp_path / "jobs/train/mnist/net/all.json").unlink()  # as Snakemake does before a forced or changed job
    engine.calls.clear()
    execute(plan, tmp_path)
    assert len(engine.calls) == 3


def test_records_of_other_settings_are_not_kept(engine, plan, tmp_path):
    engine.faults["mnist/net/seed2"] = ValueError("no.")
    execute(plan, tmp_path)
    plan.runs[0]["train"]["epochs"] = 2
    engine.calls.clear()
    execute(plan, tmp_path)
    assert engine.calls == ["mnist/net/seed0", "mnist/net/seed2"]


def test_out_of_time_is_no_failure(engine, plan, tmp_path):
    engine.faults["mnist/net/seed1"] = OutOfTime("epoch 3, step 12")
    status, said = execute(plan, tmp_path)
    assert status == jobs.STOPPED and "epoch 3, step 12" in said[-1]
    assert not (tmp_path / "runs/mnist/net/seed1/failure.json").exists()
    engine.faults.clear(), engine.calls.clear()
    assert execute(plan, tmp_path)[0] == 0
    assert engine.calls == ["mnist/net/seed1", "mnist/net/seed2"]


def test_a_restart_goes_on_and_does_not_try_a_failed_run_again(engine, plan, tmp_path):
    engine.faults["mnist/net/seed0"] = ValueError("the loss is not finite.")
    engine.faults["mnist/net/seed1"] = OutOfTime("epoch 3, step 12")
    assert execute(plan, tmp_path)[0] == jobs.STOPPED
    engine.faults.clear(), engine.calls.clear()
    status, said = execute(plan, tmp_path, attempt=2)
    assert status == 1 and engine.calls == ["mnist/net/seed1", "mnist/net/seed2"]
    assert "failed in an earlier attempt: the loss is not finite." in said
    engine.calls.clear()
    assert execute(plan, tmp_path)[0] == 0 and engine.calls == ["mnist/net/seed0"]  # a new start tries it again


def test_an_unknown_job_is_named(plan, tmp_path):
    with pytest.raises(UserError, match="no train job 'x'"):
        jobs.Job("train", "x", plan, tmp_path)
