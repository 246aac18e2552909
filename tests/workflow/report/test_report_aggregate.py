"""runs.csv and summary.csv: what enters, what does not, and what is said of the rest."""

import csv
import json
import math

import pytest
import report_factory as factory

from workflow.report import products as report
from workflow.report.results import gather
from workflow.report.rows import rows_of


def read(path):
    with open(path, newline="") as file:
        return {(line["dataset"], line.get("id") or line["row"]): line for line in csv.DictReader(file)}


@pytest.fixture
def small(tmp_path):
    """Two rows and a published one; nothing measured."""
    rows = [
        factory.entry(
            "eff", label="EffConv-20", size="0.66M", learn=660000, paper={"acc": 92.35, "std": 0.05, "sec": 17.77}
        ),
        factory.entry("plain", label="CIFARResNet-20"),
        factory.entry("flex", label="FlexNet-16", system=None, paper={"acc": 92.2, "std": 0.1, "sec": 127}),
    ]
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "reference": "plain", "rows": rows}})
    return plan, tmp_path / "results" / "paper"


def test_nothing_measured_still_gives_both_files(small):
    plan, results = small
    report.write("aggregate", plan, results, results)
    assert {line["status"] for line in read(results / "runs.csv").values()} == {"not run"}
    summary = read(results / "summary.csv")
    assert [summary["cifar10", row]["status"] for row in ("eff", "plain", "flex")] == [
        "not run",
        "not run",
        "not measured",
    ]
    assert summary["cifar10", "flex"]["paper_accuracy"] == "92.2"


def test_means_spreads_and_differences(small):
    plan, results = small
    for run, accuracy in zip(plan.runs[:3], (92.0, 92.3, 92.6), strict=True):
        factory.write_search(results, run, [3] * 18)
        factory.write_result(results, run, accuracy)
    factory.write_timing(results, plan.runs[0], 10.0, search=16.0)
    report.write("aggregate", plan, results, results)
    line = read(results / "summary.csv")["cifar10", "eff"]
    assert (line["seeds"], line["seeds_planned"], line["status"]) == ("3", "3", "measured")
    assert float(line["accuracy"]) == pytest.approx(92.3)
    assert float(line["accuracy_std"]) == pytest.approx(0.3)
    assert float(line["difference"]) == pytest.approx(-0.05)
    # Welch by hand: error = sqrt(0.3^2/3 + 0.05^2/3) = 0.175594, freedom = 2.1110, so the interval is symmetric about -0.05
    half = (float(line["difference_high"]) - float(line["difference_low"])) / 2
    assert half == pytest.approx(0.7175, abs=5e-3)
    assert float(line["wrong"]) == pytest.approx(770)
    assert float(line["seconds_per_epoch"]) == pytest.approx((4 * 10 + 2 * 16) / 6)
    assert float(line["seconds_high"]) == pytest.approx(1.02 * 12)


def test_partial_failed_and_rejected_seeds(small):
    plan, results = small
    first, second, third, *others = plan.runs
    factory.write_result(results, first, 92.0)
    factory.write_failure(results, second, "the loss is not a number: lower the learning rate")
    bad = factory.write_result(results, third, 92.0)
    (results / "runs" / third.id / "result.json").write_text(json.dumps({**bad, "loss": math.nan}))
    factory.write_result(results, others[0], 91.0)
    (results / "runs" / others[0].id / "result.json").unlink()
    report.write("aggregate", plan, results, results)
    runs = read(results / "runs.csv")
    assert [runs["cifar10", run.id]["status"] for run in plan.runs] == [
        "done",
        "failed",
        "rejected",
        "unfinished",
        "not run",
        "not run",
    ]
    assert "not finite" in runs["cifar10", third.id]["reason"]
    assert runs["cifar10", others[0].id]["reason"] == "train epoch 4 of 4"
    line = read(results / "summary.csv")["cifar10", "eff"]
    assert (line["status"], line["accuracy"], line["accuracy_std"]) == ("1/3 seeds", "92.0", "")
    assert "seed 1 failed: train, epoch 3: the loss is not a number" in line["problems"]


def test_too_few_epochs_are_rejected(small):
    plan, results = small
    run = plan.runs[3]
    factory.write_result(results, run, 90.0, epochs=3, seconds_per_epoch=[1.0] * 3)
    state = next(state for state in gather(plan, results).states if state.run.id == run.id)
    assert state.status == "rejected" and "3 of 4 epochs" in state.reason


def test_results_of_other_code_are_stale_but_shown(small):
    plan, results = small
    factory.write_result(results, plan.runs[3], 90.0, digests={"run": "older"})
    evidence = gather(plan, results)
    row = rows_of(evidence)["cifar10", "plain"]
    assert row.stale == ("run",) and row.accuracy.mean == 90.0


def test_an_epoch_done_twice_counts_once(small):
    plan, results = small
    run = plan.runs[3]
    factory.write_result(results, run, 90.0)
    path = results / "runs" / run.id / "history.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[1], *lines[2:], '{"stage": "tra']))
    state = next(state for state in gather(plan, results).states if state.run.id == run.id)
    assert [entry["epoch"] for entry in state.history] == [1, 2, 3, 4]


def test_a_failed_and_a_stale_timing_are_said(small):
    plan, results = small
    plain = plan.runs[3]
    reason = {
        "run": "cifar10/eff",
        "stage": "time",
        "reason": "out of memory at batch size 128",
        "epoch": None,
        "when": None,
    }
    factory.write_json(results / "timings" / "cifar10" / "eff.failure.json", reason)
    record = factory.write_timing(results, plain, 5.0)
    factory.write_json(results / "timings" / "cifar10" / "plain.json", {**record, "digests": {"run": "older"}})
    rows = rows_of(gather(plan, results))
    assert rows["cifar10", "eff"].problems == ["seconds per epoch: out of memory at batch size 128"]
    assert rows["cifar10", "plain"].seconds == 5.0 and rows["cifar10", "plain"].stale == ("seconds per epoch",)
