"""Seconds without data sets: real rows, a run that is stopped and goes on, bad input."""

import itertools
import json
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from workflow import engine
from workflow.__main__ import main
from workflow.campaign.collection import Collection
from workflow.plan.digests import expected_digests
from workflow.protocol.datasets import DATASETS
from workflow.records.records import read_timing, timing_path, write_record
from workflow.support.errors import UserError
from workflow.times import sizes as sizes_module
from workflow.times import times as times_module
from workflow.times.images import made_up_images
from workflow.times.rounds import pooled
from workflow.times.sizes import by_budget_alone, from_records
from workflow.times.times import Times, chosen_runs, time_rows, times_plan

pytestmark = pytest.mark.slow

PLAIN, LEARNED, STL = "cifar10/cifar-resnet-20", "cifar10/effconv-20-0.66m", "stl10/resnet-18"


@pytest.fixture(scope="module")
def plan():
    return times_plan({"device": "cpu"})


@pytest.fixture(autouse=True)
def short_slices(monkeypatch):
    monkeypatch.setattr(times_module, "SLICES", 2)
    monkeypatch.setattr(times_module, "ROUNDS", 1)
    monkeypatch.setattr(times_module, "FOREIGN", 9.0)  # tests run side by side
    monkeypatch.setattr(times_module, "SLICE_SECONDS", 0.2)
    monkeypatch.setattr(sizes_module, "MOST_STEPS", 20)


def outcome(run, seconds):
    """What measuring a row without a search finds where nothing disturbs it."""
    part = {
        "stage": "train", "position": "start", "weight": 1.0, "batch_size": run.train.batch_size, "seconds_per_epoch": seconds,
        "low": seconds - 1, "high": seconds + 1, "images_per_second": run.constants.train_images / seconds, "slices": 2,
        "steps_per_slice": 1, "steps_per_epoch": 1, "captured": False, "uncaptured_reason": None, "clocks_agree": True,
    }  # fmt: skip
    return {
        "device": "cpu", "precision": "fp32", "batch_size": run.train.batch_size, "threads": torch.get_num_threads(),
        "segments": [part], "search_seconds": None, "train_seconds": seconds, "faster_segments": [], "faster_seconds": None,
        "seconds_per_epoch": seconds, "clocks_agree": True, "captured": False, "uncaptured_reason": None,
        "cudnn_benchmark": None, "on_the_clock": "", "foreign_load": 0.0, "foreign_gpu_processes": None, "peak_memory_mb": 1.0,
    }  # fmt: skip


@pytest.fixture
def measured(monkeypatch):
    """In place of measuring, for the tests of what happens around it: 30, 50, 40 s an epoch, and again."""
    seconds = itertools.cycle([30.0, 50.0, 40.0])

    def measure(run, data, *, kernel_sizes=None, dilations=None, log, slices, slice_seconds):
        log(run.place)
        return outcome(run, next(seconds))

    monkeypatch.setattr(engine, "measure", measure)


def run_of(plan, place):
    return next(run for run in plan.runs if run.place == place)


def test_the_rows_are_those_of_the_tables_figure_3_and_newer_methods_at_the_papers_epochs(plan):
    places = {run.place for run in plan.runs}
    assert {PLAIN, LEARNED, STL, "cifar10/dcn-sigma-ji", "imagenet32/flexnet-5", "cifar10/effconv-56-0.66m"} <= places
    assert {
        "cifar10/ccnn-0.20m",
        "stl10/ccnn-0.20m",
        "cifar10/gmconv-3-20",
        "cifar10/per-stage-20-0.20m",
        "cifar10/dash-20-0.20m",
    } <= places
    assert "cifar10/effconv-20-0.10m" in places and not any("wide-3x3" in place for place in places)
    assert len(places) == len(plan.runs) and {run.seed for run in plan.runs} == {0}
    learned = run_of(plan, LEARNED)
    assert (learned.train.epochs, learned.search.epochs, learned.train.batch_size) == (164, 10, 128)


@pytest.mark.parametrize("dataset", DATASETS)
def test_made_up_images_have_the_shape_and_number_of_the_real_ones_in_the_memory_of_a_few(dataset):
    info = DATASETS[dataset]
    data = made_up_images(info)
    assert data.train.images.shape == (info.train_images, info.image_size, info.image_size, info.channels)
    assert data.train.images.dtype == np.uint8 and data.train.labels.max() == info.classes - 1
    strip = (info.train_images + info.image_size - 1) * info.image_size * info.channels
    assert data.train.images.base is not None and strip * 20 < data.train.images.size
    np.testing.assert_array_equal(data.train.images[7, 1:], data.train.images[8, :-1])  # one row further down
    assert 100 < data.train.images[:100].mean() < 155 and len(np.unique(data.train.images[0])) > 100


@pytest.mark.parametrize("place", [PLAIN, STL])
def test_a_rows_record_is_scaled_to_the_whole_data_set(plan, place, tmp_path):
    run = run_of(plan, place)
    record = Times(plan, tmp_path, [], log=lambda text: None).time(run)
    found = read_timing(timing_path(tmp_path, run.dataset, run.row))
    assert found["made_up_pixels"] is True and found["sizes_from"] is None and found["provenance"]["data"] == {}
    (part,) = found["segments"]
    images = {"cifar10": 50_000, "stl10": 5_000}[run.dataset]
    assert part["seconds_per_epoch"] * part["images_per_second"] == pytest.approx(images)
    assert found["parameters"] == pytest.approx({"cifar10": 270_000, "stl10": 11_180_000}[run.dataset], rel=0.01)
    assert part["batch_size"] == 128 and part["steps_per_epoch"] == -(-images // 128) and part["low"] <= part["high"]
    assert found["seconds_per_epoch"] == pytest.approx(part["seconds_per_epoch"]) == record["seconds_per_epoch"]
    assert {**expected_digests(run, "time"), "sizes": ""} == found["digests"]
    assert Collection(tmp_path_with_plan(tmp_path, plan)).timing(run).endswith("pixels made up")
    stand_in = outcome(run, 1.0)  # has what is measured, and nothing else
    assert stand_in.keys() <= record.keys() and stand_in["segments"][0].keys() == part.keys()


def tmp_path_with_plan(folder, plan):
    times_module.write_json(folder / "plan.json", plan.to_json())
    return folder


def test_a_learned_row_without_a_search_is_timed_at_the_budgets_own_sizes(plan, tmp_path):
    run = run_of(plan, LEARNED)
    found = Times(plan, tmp_path, [], log=lambda text: None).time(run)
    assert found["sizes_from"] == "the budget alone: 20 steps without images"
    sizes = [int(size) for size in found["digests"]["sizes"].split()]
    assert len(sizes) == 18 and set(sizes) <= set(range(1, 8))
    assert [(part["stage"], part["position"]) for part in found["segments"]] == [
        ("search", "start"), ("search", "end"), ("train", "start"),
    ]  # fmt: skip
    # The mean over 10 epochs of search and 164 of training.
    search = sum(part["seconds_per_epoch"] for part in found["segments"][:2]) / 2
    assert found["seconds_per_epoch"] == pytest.approx((10 * search + 164 * found["train_seconds"]) / 174)


def searched_record(plan, run, **changes):
    """A search record of this row, as the search stage leaves it, with sizes made up for the test."""
    described = {**run.to_json(), "seed": 3, "id": f"{run.place}/seed3", **changes}
    return {
        "schema": 2, "status": "complete", "run": described, "digests": {}, "provenance": {}, "layers": [f"l{n}" for n in range(18)],
        "sizes": [4] * 17 + [5], "soft_sizes": [4.0] * 18, "parameters": 660_000, "macs": 80_000_000,
        "epochs": described["search"]["epochs"], "seconds_per_epoch": [1.0] * described["search"]["epochs"], "trajectory": {},
    }  # fmt: skip


def test_sizes_of_a_search_by_the_papers_protocol_are_taken_and_of_no_other(plan, tmp_path):
    run = run_of(plan, LEARNED)
    path = tmp_path / "short" / "runs" / run.place / "seed3" / "search.json"
    made_up_data = searched_record(plan, run, data="data/prepared/synthetic-cifar10-32-20")
    write_record(path, made_up_data)
    assert from_records(run, [tmp_path / "short"]) is None
    write_record(path, searched_record(plan, run_of(plan, "cifar10/effconv-20-0.50m")))
    assert from_records(run, [tmp_path / "short"]) is None  # of another budget
    write_record(path, searched_record(plan, run))
    found = from_records(run, [tmp_path / "absent", tmp_path / "short"])
    assert found.kernels == {"kernel_sizes": [4] * 17 + [5]} and found.source == f"learned: {path}"
    path.write_text(path.read_text().replace('"seed": 3', '"seed": 4'))  # no longer what was sealed
    assert from_records(run, [tmp_path / "short"]) is None


def test_a_stopped_command_goes_on_with_what_is_left(plan, tmp_path, capsys, monkeypatch, measured):
    runs, timed = chosen_runs(plan, [PLAIN, STL]), []
    whole = Times.time

    def stopped_in_the_second(self, run):
        timed.append(run.place)
        if len(timed) == 2:
            raise KeyboardInterrupt  # what Ctrl-C does
        return whole(self, run)

    monkeypatch.setattr(Times, "time", stopped_in_the_second)
    assert time_rows(plan, tmp_path, runs) == 75
    assert "the same command goes on" in capsys.readouterr().out
    first = run_of(plan, timed[0])
    path = timing_path(tmp_path, first.dataset, first.row)
    before, record = path.read_bytes(), json.loads(path.read_text())
    assert time_rows(plan, tmp_path, runs) == 0
    assert timed == [timed[0], timed[1], timed[1]] and path.read_bytes() == before
    assert "1 of 2 rows are timed already" in capsys.readouterr().out
    # A damaged record, one of other code, and one that something disturbed are timed again.
    for damage in (
        lambda text: text[:-40],
        lambda text: text.replace(record["digests"]["workflow.engine.clock"], "000000000000"),
    ):
        path.write_text(damage(before.decode()))
        assert Times(plan, tmp_path, []).kept(first) is None
    write_record(path, {**{key: value for key, value in record.items() if key != "seal"}, "clocks_agree": False})
    assert Times(plan, tmp_path, []).kept(first) is None
    write_record(path, {**json.loads(before), "provenance": {"device": "another"}})
    assert Times(plan, tmp_path, []).kept(first) is None


def test_no_row_is_started_that_would_end_after_the_time(plan, tmp_path, capsys):
    runs = chosen_runs(plan, [PLAIN, "cifar10/flexnet-*"])
    began = time.monotonic()
    assert time_rows(plan, tmp_path, runs, minutes=0.001) == 75
    assert time.monotonic() - began < 20 and f"{len(runs)} rows did not fit" in capsys.readouterr().out
    assert not list(tmp_path.glob("timings/**/*.json")) and (tmp_path / "plan.json").exists()


def test_a_row_that_fails_does_not_stop_the_others(plan, tmp_path, monkeypatch, capsys, measured):
    whole = Times.time

    def broken(self, run):
        if run.place == STL:
            raise UserError("there is no memory for it.")
        return whole(self, run)

    monkeypatch.setattr(Times, "time", broken)
    assert time_rows(plan, tmp_path, chosen_runs(plan, [PLAIN, STL])) == 1
    assert timing_path(tmp_path, *PLAIN.split("/")).exists()
    failure = json.loads(timing_path(tmp_path, *STL.split("/")).with_suffix(".failure.json").read_text())
    assert failure["reason"] == "there is no memory for it." and "FAILED stl10/resnet-18" in capsys.readouterr().out


def test_cheap_rows_come_first_and_those_of_claims_before_others(plan, tmp_path):
    times = Times(plan, tmp_path, [])
    order = [run.place for run in times.order(plan.runs)]
    assert order.index(PLAIN) < order.index("cifar10/flexnet-16") and order.index(PLAIN) < order.index(STL)
    # As costly as each other; Figure 3b's claim looks at the seconds of the first.
    assert times.claims["cifar10/effconv-20-0.40m"] > times.claims["mnist/effconv-20-0.50m"] == 0
    assert order.index("imagenet32/flexnet-5") < order.index("cifar10/gmconv-3-20")  # no table has it
    of_the_paper = [run for run in plan.runs if run.place in times.of_the_paper]
    assert sum(times.estimate(run) for run in of_the_paper) < 2 * 3600  # on one core, by its own estimate


def test_growing_kernels_are_timed_at_three_positions_by_each_convolution(tmp_path, monkeypatch):
    """On a GPU, where steps are short: of slices and setting up. The published convolution and the faster one; ResNet has one."""
    monkeypatch.setattr(times_module, "SETTING_UP", 100.0)
    on_gpu = times_plan({"device": "cuda", "cluster": True})
    times = Times(on_gpu, tmp_path, [])
    parts = {place: round(times.estimate(run_of(on_gpu, place)) / 100) for place in ("cifar10/flexnet-16", PLAIN)}
    assert parts == {"cifar10/flexnet-16": 6, PLAIN: 1}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--rows", "cifar10/cifar-resnet20"], "did you mean 'cifar10/cifar-resnet-20'?"),
        (["--rows", "x/y"], "matches no row of Tables 1 to 4, Figure 3 or the newer methods; give dataset/row"),
        (["--preset", "smoke"], "time rows with --preset paper or short"),
    ],
)
def test_bad_input_is_one_sentence(words, sentence, tmp_path, capsys):
    assert main(["times", "--threads", "1", "--out", str(tmp_path / "out"), *words]) == 1
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_another_methods_sizes_do_not_follow_from_a_budget(plan):
    run = run_of(plan, LEARNED)
    other = replace(run, search=replace(run.search, method="super-kernel"))
    with pytest.raises(UserError, match="search it first"):
        by_budget_alone(other, made_up_images(run.constants))


def test_a_row_of_another_search_is_timed_once_it_was_searched(plan, tmp_path, capsys, measured):
    run = run_of(plan, "cifar10/dash-20-0.20m")
    assert time_rows(plan, tmp_path / "times", [run, run_of(plan, PLAIN)]) == 0
    assert "to be searched first (snakemake newer): cifar10/dash-20-0.20m." in capsys.readouterr().out
    assert time_rows(plan, tmp_path / "times", [run]) == 1  # nothing that was asked for can be timed
    searched = {**searched_record(plan, run), "dilations": [2] * 17 + [1]}
    write_record(tmp_path / "short" / "runs" / run.place / "seed3" / "search.json", searched)
    for _ in range(2):  # again in a second round, at the sizes that the record says
        assert time_rows(plan, tmp_path / "times", [run]) == 0
        record = json.loads(timing_path(tmp_path / "times", run.dataset, run.row).read_text())
        assert record["digests"]["sizes"] == " ".join(["4d2"] * 17 + ["5d1"])


def test_rows_that_are_soon_timed_are_timed_in_rounds_and_the_median_counts(
    plan, tmp_path, monkeypatch, capsys, measured
):
    monkeypatch.setattr(times_module, "ROUNDS", 3)
    monkeypatch.setattr(times_module, "SOON", 1e9)
    run = run_of(plan, PLAIN)
    assert time_rows(plan, tmp_path / "times", [run]) == 0
    assert "Round 3 of 3: 1 rows" in capsys.readouterr().out
    record = read_timing(timing_path(tmp_path / "times", run.dataset, run.row))
    (part,) = record["segments"]
    assert part["rounds"] == [30, 50, 40] and record["seconds_per_epoch"] == part["seconds_per_epoch"] == 40
    assert (part["low"], part["high"], part["images_per_second"]) == (29, 51, 50_000 / 40)
    assert time_rows(plan, tmp_path / "times", [run]) == 0  # nothing is left


def test_rounds_of_a_learned_row_by_hand(plan):
    """10 epochs of search at the mean of both ends, 164 of training."""

    def record(started, *seconds):
        positions = [("search", "start"), ("search", "end"), ("train", "start")]
        segments = [
            {"stage": stage, "position": position, "seconds_per_epoch": value, "images_per_second": 50_000 / value,
             "low": value - 1, "high": value + 2, "slices": 2,
             "weight": 0.5 if stage == "search" else 1.0}
            for (stage, position), value in zip(positions, seconds, strict=True)
        ]  # fmt: skip
        return {"segments": segments, "faster_segments": [], "foreign_load": 0.1, "provenance": {"started": started}}

    run = run_of(plan, LEARNED)
    whole = pooled(
        run, pooled(run, record(1, 100.0, 80.0, 20.0), record(2, 140.0, 60.0, 30.0)), record(3, 120.0, 50.0, 24.0)
    )
    assert [part["seconds_per_epoch"] for part in whole["segments"]] == [120, 60, 24]  # medians
    assert [(part["low"], part["high"], part["slices"]) for part in whole["segments"]] == [
        (99, 142, 6),
        (49, 82, 6),
        (19, 32, 6),
    ]
    assert (whole["search_seconds"], whole["train_seconds"]) == (90, 24)
    assert whole["seconds_per_epoch"] == pytest.approx((10 * 90 + 164 * 24) / 174)
    assert whole["provenance"]["started"] == 1 and whole["segments"][2]["rounds"] == [20, 30, 24]


def test_slow_rows_have_one_round_and_a_disturbed_round_is_left_out(plan, tmp_path, monkeypatch, measured):
    monkeypatch.setattr(times_module, "ROUNDS", 2)
    run = run_of(plan, PLAIN)
    path = timing_path(tmp_path / "times", run.dataset, run.row)
    monkeypatch.setattr(times_module, "SOON", 0.0)
    time_rows(plan, tmp_path / "times", [run])
    first = read_timing(path)
    assert "rounds" not in first["segments"][0]
    monkeypatch.setattr(times_module, "SOON", 1e9)
    monkeypatch.setattr(Times, "undisturbed", lambda self, record: record == first)
    time_rows(plan, tmp_path / "times", [run])
    assert read_timing(path) == first
