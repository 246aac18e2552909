"""Campaigns: packed, ended in time, in a folder of their own; with stand-in processes that sleep instead of networks."""

import os
import subprocess
import sys
import time

import pytest

from workflow.campaign import campaign, conduct
from workflow.plan.config import load
from workflow.plan.make import make_plan
from workflow.plan.steps import Step
from workflow.support.errors import UserError

pytestmark = pytest.mark.slow

STAND_IN = """
import signal, sys, time
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """A campaign whose steps are sleeps: packed(end, slots, status of a step) -> the campaign, with `began` and `log`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(campaign, "ENDING", 0.5)
    only = ["cifar10/cifar-resnet-20", "cifar10/effconv-20-0.66m", "cifar10/cifar-resnet-44"]
    given = {"only": only, "seeds": [0, 1], "jobs": {"seeds": "one", "timing": "row"}, "data": str(tmp_path / "data")}
    plan = make_plan(load({"preset": "smoke", "device": "cpu", **given}))

    def make(seconds: float, slots: int, sleep: float = 0.1, status=lambda step: 0) -> campaign.Campaign:
        lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
        one = campaign.Campaign(
            plan,
            tmp_path / "out",
            end=time.monotonic() + seconds,
            share=lambda step: 1 / slots,
            threads=1,
            lock=lock,
        )
        one.log = []
        monkeypatch.setattr(one.estimates, "seconds", lambda step: (0.2, "by hand"))

        def start(step: Step, left: float) -> None:
            one.log.append((step, set(one.running)))
            command = [sys.executable, "-S", "-c", STAND_IN, str(sleep), str(status(step))]
            one.running[step] = subprocess.Popen(command, preexec_fn=campaign.die_with_parent)

        monkeypatch.setattr(one, "_start", start)
        return one

    return make


def test_side_by_side_as_many_as_there_is_room_for(packed):
    one = packed(60, slots=3, sleep=0.6)
    summary = one.run()
    assert set(summary["steps"].values()) == {"done"} and len(summary["steps"]) == 2 + 6
    assert max(len(others) for _, others in one.log) == 2
    order = [step for step, _ in one.log]
    for seed in (0, 1):
        run = f"cifar10/effconv-20-0.66m/seed{seed}"
        assert order.index(Step("search", run)) < order.index(Step("train", run))


def test_a_job_that_takes_the_whole_machine_has_it(packed):
    one = packed(60, slots=3, sleep=0.3)
    one.share = lambda step: 1.0 if step.stage == "search" else 1 / 3
    one.run()
    assert all(not others for step, others in one.log if step.stage == "search")
    assert all(step.stage != "search" for _, others in one.log for step in others)


def test_a_failed_search_takes_its_training_with_it_and_nothing_else(packed):
    bad = Step("search", "cifar10/effconv-20-0.66m/seed1")
    steps = packed(60, slots=2, status=lambda step: 3 if step == bad else 0).run()["steps"]
    assert steps.pop(str(bad)) == "failed (3)" and set(steps.values()) == {"done"}
    assert "train cifar10/effconv-20-0.66m/seed1" not in steps and len(steps) == 2 + 6 - 2


def test_what_runs_over_the_end_is_cut_off(packed):
    one = packed(3, slots=2, sleep=600, status=lambda step: 0)
    summary = one.run()
    assert set(summary["steps"].values()) == {"out of time"} and summary["running"] == []
    assert time.monotonic() < one.end + 30  # not the ten minutes that the processes would have taken


def test_no_time_starts_nothing(packed):
    assert packed(0, slots=2).run()["steps"] == {}


def test_a_command_that_hangs_does_not_take_the_whole_campaign(tmp_path, monkeypatch, capfd):
    stuck = tmp_path / "python"
    stuck.write_text("#!/bin/sh\necho begun\nexec sleep 600\n")
    stuck.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stuck))
    with conduct.only_here(tmp_path / "out") as lock:
        conduct._command(["check"], tmp_path / "out" / "logs" / "check.log", lock, seconds=1)
    assert capfd.readouterr().out.splitlines() == ["begun", "check did not end in 1 s and was stopped."]
    assert (tmp_path / "out" / "logs" / "check.log").read_text() == "begun\n"


@pytest.mark.parametrize("name", ["a file", "a file/below"])
def test_a_campaign_in_place_of_a_file_is_one_sentence(tmp_path, name):
    (tmp_path / "a file").write_text("mine")
    refused = pytest.raises(UserError, match=r"a file.* cannot be written \(.*\): choose another --out\.")
    with refused, conduct.only_here(tmp_path / name):
        pass
    assert (tmp_path / "a file").read_text() == "mine"


def test_two_campaigns_in_one_folder(tmp_path):
    held = conduct.only_here(tmp_path / "out")
    refused = pytest.raises(UserError, match="another campaign works in")
    with held, refused, conduct.only_here(tmp_path / "out"):
        pass
    with conduct.only_here(tmp_path / "out"):
        pass
