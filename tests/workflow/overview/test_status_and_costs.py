"""What `status` and `plan` say of runs in every state."""

import json
import os
import time
from dataclasses import replace

import pytest

from tests.workflow.made_plans import plan_of, result_of, timing_of
from workflow.overview import plan_listing, status
from workflow.overview.estimates import STARTUP, Estimates
from workflow.plan.digests import expected_digests
from workflow.plan.steps import Step
from workflow.records.records import run_folder, timing_path, write_record
from workflow.support.files import write_json

FEW = {"epochs": {"search": 1, "train": 2}}


@pytest.fixture
def plan():
    return plan_of("cifar10/effconv-20-0.66m", seeds=[0, 1, 2, 3, 4], **FEW)


def write_result(folder, run, **changes):
    write_record(run_folder(folder, run.id) / "result.json", result_of(run, **changes))


def write_timing(folder, run, train, search=None):
    record = timing_of(run, train_seconds=train, search_seconds=search)
    write_record(timing_path(folder, run.dataset, run.row), record)


def test_status_tells_every_state(plan, tmp_path, capsys):
    done, stale, failed, running, waiting = plan.runs
    write_result(tmp_path, done)
    write_result(tmp_path, stale, digests={"run": "other"})
    write_json(tmp_path / "runs" / failed.id / "failure.json", {"stage": "search", "reason": "no sizes reach it."})
    line = {"stage": "train", "epoch": 3, "epochs": 10, "seconds": 20.0, "evaluation_seconds": 5.0}
    history = tmp_path / "runs" / running.id / "history.jsonl"
    history.parent.mkdir(parents=True)
    history.write_text(json.dumps(line) + "\n" + '{"stage": "tra')
    write_json(tmp_path / "jobs/train/table2/all.running", {})
    assert status.print_status(plan, tmp_path) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [text.split()[0] for text in lines[:5]] == ["done", "stale", "failed", "running", "waiting"]
    assert "search: no sizes reach it." in lines[2]
    assert "train epoch 3 of 10, 3 min left" in lines[3]  # 7 epochs of 25 seconds
    assert lines[5] == "5 runs of preset smoke: 1 done, 1 failed, 1 running, 1 stale, 1 waiting"
    hour_ago = time.time() - 3600
    os.utime(history, (hour_ago, hour_ago))
    status.print_status(plan, tmp_path)
    assert "stopped" in (text := capsys.readouterr().out.splitlines()[3]) and "silent for 60 min" in text


def test_plan_says_why_and_what_it_costs(plan, tmp_path, capsys):
    done, stale, failed, stopped, new = plan.runs
    write_result(tmp_path, done)
    write_result(tmp_path, stale, digests={**expected_digests(stale, "train"), "workflow.engine.train": "0" * 12})
    write_json(run_folder(tmp_path, failed.id) / "failure.json", {"stage": "train", "reason": "it broke."})
    run_folder(tmp_path, stopped.id).mkdir(parents=True)
    (run_folder(tmp_path, stopped.id) / "train.pt").touch()
    assert plan_listing.print_plan(plan, tmp_path) == 0
    assert "(from MACs, rate guessed)" in capsys.readouterr().out
    write_timing(tmp_path, new, 60.0, 120.0)
    plan_listing.print_plan(plan, tmp_path)
    lines = capsys.readouterr().out.splitlines()[1:]
    assert lines[0].split() == ["done", done.id]
    assert "changed: workflow.engine.train" in lines[1]
    assert "failed before: train: it broke." in lines[2] and "interrupted" in lines[3] and "no result yet" in lines[4]
    # Twice 5 s to start, one search epoch of 120 s and two training epochs of 60 s: 250 s, four minutes.
    assert lines[4].split()[:2] == ["4", "min"] and "(timed)" in lines[4]
    assert lines[5].startswith("4 of 5 runs to do on cpu: about 17 min")


def test_questions_are_listed_with_their_costs_cheapest_first(tmp_path, capsys):
    """Costs by hand from timing records: 5 s to start and two training epochs a run, a search where there is one."""
    rows = ["effconv-20-0.66m", "wide-3x3-20-0.66m", "mixed-20-0.66m", "permuted-20-0.66m-1"]
    plan = plan_of(*(f"cifar10/{row}" for row in rows), seeds=[0], **FEW)
    runs = {run.row: run for run in plan.runs}
    for row, seconds in zip(rows, (1000.0, 20.0, 3000.0, 500.0), strict=True):
        write_timing(tmp_path, runs[row], seconds)
    write_result(tmp_path, runs[rows[0]])
    plan_listing.print_plan(plan, tmp_path)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    chapter = lines[next(place for place, line in enumerate(lines) if "snakemake controls:" in line) :]
    assert chapter[0] == "2.0 h  snakemake controls: 3 of 4 runs to do, 3 of them run for it alone"
    costly = [line for line in chapter[1:] if line.endswith("?") and not line.startswith("done")]
    asked = (
        "3x3 kernels in a network widened or narrowed to equal parameters?",
        "which layer of a stage has which size?",
        "nearest mix of two neighbouring sizes?",
    )
    places = [next(place for place, line in enumerate(costly) if line.endswith(end)) for end in asked]
    assert places == sorted(places) and costly[places[0]].startswith("45 s") and costly[places[1]].startswith("17 min")
    assert not any("7x7 kernels" in line for line in chapter)  # a question whose other side is not planned
    for run in plan.runs:
        write_result(tmp_path, run)
    plan_listing.print_plan(plan, tmp_path)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert [line for line in lines if line.startswith("done") and line.endswith("to equal parameters?")]


def test_questions_about_data_that_cannot_be_had_wait(tmp_path, capsys):
    plan = plan_of("stl10/effconv-20-0.66m", "stl10/wide-3x3-20-0.66m", preset="short")
    plan_listing.print_plan(replace(plan, unavailable={"stl10": "its archive is not there"}), tmp_path)
    said = [line.split() for line in capsys.readouterr().out.splitlines() if line.endswith("wider network?")]
    assert [words[0] for words in said] == ["waits"]


def test_shortened_training_and_searches_without_images_cost_less(tmp_path):
    def cost(*rows, **user):
        plan = plan_of("cifar10/budget-only-20-0.66m", *rows, preset="paper", seeds=[0], **user)
        estimates = Estimates(plan, tmp_path, recorded=tmp_path)
        return {run.row: plan_listing.run_seconds(estimates, run)[0] - 2 * STARTUP for run in plan.runs}

    whole, short = cost("cifar10/no-mask-20-0.66m"), cost(images={"train": 5000})
    assert short["budget-only-20-0.66m"] == pytest.approx(whole["budget-only-20-0.66m"] / 10)
    # Ten epochs of search, which cost 1.3 of training each, and 164 epochs of training.
    assert whole["no-mask-20-0.66m"] / whole["budget-only-20-0.66m"] == pytest.approx(1 + 10 * 1.3 / 164)


def test_seconds_of_ones_own_times_count_and_an_epoch_of_two_passes_costs_two(tmp_path):
    """WRN-28-1's 40 epochs show every image twice (Chrabaszcz et al.): 80 passes of 100 s."""
    plan = plan_of("imagenet32/wrn-28-1", preset="paper", seeds=[0])
    (run,) = plan.runs
    record = timing_of(
        run, train_seconds=100.0, precision="fp32", batch_size=run.train.batch_size, provenance={"device": "EPYC"}
    )
    write_record(timing_path(tmp_path / "times", run.dataset, run.row), record)
    seconds, basis = Estimates(plan, tmp_path / "paper", recorded=tmp_path).seconds(Step("train", run.id))
    assert seconds == STARTUP + 80 * 100 and basis == "timed on EPYC"
