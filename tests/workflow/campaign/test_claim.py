"""One claim: what it rests on and costs, records that are used as they are, its verdict, bad input."""

import json

import pytest

from tests.workflow.made_plans import a_run
from workflow.__main__ import main
from workflow.campaign.claim import OneClaim
from workflow.records.records import timing_path, write_record
from workflow.support.errors import UserError

USER = {"preset": "short", "device": "cpu"}


def timing(folder, place, seconds, batch_size, device="A processor", **changes):
    """A timing record of a row on 60,000 images, one segment, its slices within a hundredth."""
    dataset, row = place.split("/")
    part = {"stage": "train", "position": "start", "weight": 1.0, "seconds_per_epoch": seconds, "low": 0.99 * seconds,
            "high": 1.01 * seconds, "images_per_second": 60_000 / seconds, "batch_size": batch_size}  # fmt: skip
    record = {"schema": 2, "status": "complete", "digests": {}, "provenance": {"cpu": device}, "row": row, "dataset": dataset,
              "run": a_run(place).to_json(), "device": "cpu",
              "batch_size": batch_size, "clocks_agree": True, "segments": [part], "train_seconds": seconds,
              "search_seconds": None, "seconds_per_epoch": seconds, **changes}  # fmt: skip
    write_record(timing_path(folder, dataset, row), record)


@pytest.mark.slow
def test_seconds_ask_for_timing_and_nothing_else(tmp_path, capsys):
    claim = OneClaim("mnist-time", USER, tmp_path / "results", tmp_path / "reports")
    assert claim.steps() == [] and claim.rows_to_time() == ["mnist/effconv-20-0.66m", "mnist/flexnet-16"]
    assert claim.run(cost_only=True) == 0
    said = capsys.readouterr().out
    assert (
        "rests on the seconds of mnist/effconv-20-0.66m, mnist/flexnet-16" in said and "To do: 2 steps, about" in said
    )
    assert "time mnist/flexnet-16" in said and not (tmp_path / "results").exists()


def test_records_that_are_there_decide_a_claim_at_once(tmp_path, capsys):
    """The paper's own seconds, 205 and 35.86: a ratio of 5.7."""
    results, reports = tmp_path / "results", tmp_path / "reports"
    timing(results / "times", "mnist/flexnet-16", 205.0, 64)
    timing(results / "short", "mnist/effconv-20-0.66m", 35.86, 128)
    assert OneClaim("mnist-time", USER, results, reports).run() == 0
    said = capsys.readouterr().out
    assert "Everything it rests on is there." in said and "VERDICT on mnist-time: holds" in said and "5.7" in said
    (entry,) = json.loads((reports / "claims" / "mnist-time.json").read_text())["claims"]
    assert entry["verdict"].startswith("holds") and entry["parts"][0]["ours"]["value"] == pytest.approx(205 / 35.86)
    assert entry["parts"][0]["devices"] == ["A processor"]


@pytest.mark.parametrize("changes", [{"device": "Another"}, {"clocks_agree": False}, {"batch_size": 32}])
def test_seconds_that_may_not_be_compared_are_measured_again(changes, tmp_path):
    batch = changes.get("batch_size", 64)
    timing(
        tmp_path / "times", "mnist/flexnet-16", 205.0, batch, **{k: v for k, v in changes.items() if k != "batch_size"}
    )
    timing(tmp_path / "times", "mnist/effconv-20-0.66m", 35.86, 128)
    assert len(OneClaim("mnist-time", USER, tmp_path, tmp_path).rows_to_time()) == 2


def test_a_damaged_record_is_measured_again(tmp_path):
    for place, batch in (("mnist/flexnet-16", 64), ("mnist/effconv-20-0.66m", 128)):
        timing(tmp_path / "times", place, 100.0, batch)
    path = timing_path(tmp_path / "times", "mnist", "flexnet-16")
    path.write_text(path.read_text().replace("100.0", "900.0"))
    assert len(OneClaim("mnist-time", USER, tmp_path, tmp_path).rows_to_time()) == 2


def test_sizes_ask_for_the_searches_and_accuracy_for_training_too(tmp_path):
    sizes = OneClaim("sizes-not-deepest", USER, tmp_path, tmp_path)
    assert [str(step) for step in sizes.steps()] == [f"search cifar10/effconv-20-0.66m/seed{n}" for n in range(5)]
    both = OneClaim("cifar-low-budget", {**USER, "seeds": [0]}, tmp_path, tmp_path)
    assert [str(step) for step in both.steps()] == [
        "search cifar10/effconv-20-0.20m/seed0", "train cifar10/effconv-20-0.20m/seed0", "train cifar10/flexnet-3/seed0",
    ]  # fmt: skip


@pytest.mark.slow
def test_counts_need_a_built_network_only(tmp_path):
    """2,580,970 parameters against He et al.'s 658,586."""
    claim = OneClaim("cifar-plugin-hurts", {**USER, "seeds": [0]}, tmp_path, tmp_path)
    assert claim.counts()["cifar10", "cifar-resnet-44-ckconv"] == 2_580_970
    claim.print_verdict()
    (entry,) = json.loads((tmp_path / "claims" / "cifar-plugin-hurts.json").read_text())["claims"]
    verdicts = [(part["basis"], part["verdict"]) for part in entry["parts"]]
    assert verdicts[:2] == [("accuracy", "not run")] * 2 and all(v.startswith("holds") for _, v in verdicts[2:])


def test_data_that_is_not_here_waits_with_a_sentence(tmp_path, capsys):
    user = {**USER, "data": str(tmp_path / "data"), "seeds": [0]}
    claim = OneClaim("imagenet-backbones", user, tmp_path / "results", tmp_path / "reports")
    assert claim.run() == 1
    said = capsys.readouterr().out
    assert "imagenet32 has to wait: " in said and "VERDICT on imagenet-backbones: not run" in said


@pytest.mark.parametrize(("fault", "status"), [(None, 0), (ValueError("no sizes fit."), 1)])
def test_a_search_that_fails_is_told_by_the_exit_status(engine, tmp_path, monkeypatch, fault, status):
    for part in ("say_cost", "prepare", "print_verdict"):
        monkeypatch.setattr(OneClaim, part, lambda *of: None)
    if fault:
        engine.faults["cifar10/effconv-20-0.66m/seed0"] = fault
    claim = OneClaim("sizes-not-deepest", {**USER, "seeds": [0, 1]}, tmp_path, tmp_path)
    assert claim.run() == status
    assert engine.calls == ["cifar10/effconv-20-0.66m/seed0", "cifar10/effconv-20-0.66m/seed1"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["mnist-tim"], "did you mean 'mnist-time'?"),
        (["mnist-time", "--preset", "smoke"], "take --preset short or paper"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence, capsys):
    assert main(["claim", *words, "--threads", "1"]) == 1
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_an_unknown_name_far_from_any_lists_them():
    with pytest.raises(UserError, match="the claims are mnist-best, "):
        OneClaim("zzz", USER, None, None)
