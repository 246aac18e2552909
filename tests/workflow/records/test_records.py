"""A record enters a table only if it is whole, finite and of the planned length; where a run stands follows from its records."""

import json
import struct
import zipfile

import numpy as np
import pytest

from tests.workflow.made_plans import plan_of, result_of, search_of, timing_of
from workflow.plan.digests import expected_digests
from workflow.plan.steps import Step
from workflow.records.kernels import as_text, from_text
from workflow.records.records import (
    BadRecord,
    read_cached,
    read_failure,
    read_kernels,
    read_predictions,
    read_result,
    read_search,
    read_timing,
    run_folder,
    timing_path,
    write_record,
)
from workflow.records.state import done_steps, state_of
from workflow.report.results import gather
from workflow.support.errors import UserError
from workflow.support.files import write_json

ROW = "cifar10/effconv-20-0.66m"


@pytest.fixture(scope="module")
def plan():
    return plan_of(ROW, seeds=[0, 1], epochs={"search": 1, "train": 2})


@pytest.fixture(scope="module")
def run(plan):
    return plan.runs[0]


def test_sound_records_are_read_back(run, tmp_path):
    for make, read in ((result_of, read_result), (search_of, read_search), (timing_of, read_timing)):
        write_json(tmp_path / "record.json", make(run))
        assert read(tmp_path / "record.json") == json.loads(json.dumps(make(run)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 1}, "schema 2"),
        ({"status": "failed"}, "status 'failed'"),
        ({"accuracy": "50.0"}, "'accuracy'"),
        ({"accuracy": 51.0}, "correct test images"),
        ({"correct": 11}, "11 correct of 10"),
        ({"epochs": 1}, "1 of 2 epochs"),
        ({"seconds_per_epoch": [1.0]}, "1 of 2 epochs"),
        ({"loss": float("nan")}, "not finite"),
        ({"seconds_per_epoch": [1.0, float("inf")]}, "not finite"),
    ],
)
def test_a_bad_result_is_refused_with_its_reason(run, tmp_path, change, words):
    path = tmp_path / "result.json"
    path.write_text(json.dumps(result_of(run, **change)))
    with pytest.raises(BadRecord, match=words):
        read_result(path)


HUGE = 10**400  # which no float can hold
HOSTILE = [
    {"macs": HUGE}, {"accuracy": HUGE}, {"test_images": 0, "correct": 0}, {"top5": "<b>"}, {"segments": [{"low": {}}]}, {"run": {}},
    {"run": {"train": None}}, {"seconds_per_epoch": ["<script>", "1"]}, {"kernel_sizes": ["<script>"]}, {"kernel_sizes": [[3, -1]]},
    {"kernel_sizes": [10**10]}, {"provenance": {"device": ["x"]}}, {"digests": {"run": {}}},
]  # fmt: skip


@pytest.mark.parametrize("change", HOSTILE, ids=lambda change: str(change)[:40])
def test_a_hostile_result_is_refused_and_stops_nothing(run, tmp_path, change):
    path = tmp_path / "result.json"
    path.write_text(json.dumps({**result_of(run), **change}))
    assert "result.json" in read_cached(read_result, path)


SEGMENT = {"stage": "train", "weight": 1.0, "seconds_per_epoch": 3.5}


@pytest.mark.parametrize(
    "segments",
    [
        [],
        [{**SEGMENT, "stage": "search"}],  # and no training, of which a row's seconds are the mean
        [SEGMENT, {**SEGMENT, "stage": "rest"}],
        *([{key: value for key, value in SEGMENT.items() if key != missing}] for missing in SEGMENT),
        *([{**SEGMENT, "weight": weight}] for weight in (0, -1.0, True, None, "1", float("nan"), HUGE)),
        *([{**SEGMENT, "seconds_per_epoch": seconds}] for seconds in (0.0, -3.5, None, "3.5", float("inf"))),
        *([{**SEGMENT, "rounds": rounds}] for rounds in ([], [3.5, 0], [None], 3.5, {"1": 3.5})),
        *([{**SEGMENT, name: None}] for name in ("low", "high", "images_per_second")),
    ],
    ids=lambda segments: str(segments)[-40:],
)
def test_a_timing_without_sound_segments_is_refused(run, tmp_path, segments):
    """The page divides by their weights and seconds."""
    path = tmp_path / "timing.json"
    path.write_text(json.dumps(timing_of(run, segments=segments)))
    with pytest.raises(BadRecord, match=r"segment|is no sound record|is not finite"):
        read_timing(path)


@pytest.mark.parametrize("missing", ["run", "batch_size"])
def test_a_timing_that_does_not_say_what_was_timed_is_refused_and_stops_nothing(plan, run, tmp_path, missing):
    """Of a row that the plan does not have, the record alone says what it is of."""
    record = {key: value for key, value in timing_of(run).items() if key != missing}
    write_record(timing_path(tmp_path / "recorded" / "x", "cifar10", "another"), record)
    write_record(timing_path(tmp_path / "recorded" / "y", "cifar10", "another"), timing_of(run))
    with pytest.raises(BadRecord, match=f"lacks a valid '{missing}'"):
        read_timing(timing_path(tmp_path / "recorded" / "x", "cifar10", "another"))
    found = gather(plan, tmp_path / "short").timings["cifar10", "another"]
    assert [timing.place.name for timing in found] == ["y"]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("seed", "0"), ("seed", 0.0), ("seed", None), ("train.recipe.epochs", "2"), ("train.recipe.epochs", 0),
        ("train.recipe.batch_size", 128.5), ("train.recipe.batch_size", True), ("train.recipe.name", {}), ("train.images", "all"),
        ("search.epochs", None), ("search.images", -1), ("search.parameters", "660000"), ("constants.classes", "10"),
        ("constants.train_images", 0),
    ],
)  # fmt: skip
def test_a_run_whose_numbers_are_none_is_refused(run, tmp_path, place, value):
    record = json.loads(json.dumps(timing_of(run)))
    *parents, name = place.split(".")
    inside = record["run"]
    for parent in parents:
        inside = inside[parent]
    assert name in inside
    inside[name] = value
    (tmp_path / "timing.json").write_text(json.dumps(record))
    with pytest.raises(BadRecord, match="is no sound record .*this is no run of this version"):
        read_timing(tmp_path / "timing.json")


def test_everything_that_is_recorded_is_sound(root):
    """Checks that grow stricter must not drop evidence."""
    recorded = root / "results" / "recorded"
    for pattern, read in (("*/runs/*/*/*/result.json", read_result), ("*/runs/*/*/*/search.json", read_search),
                          ("*/timings/*/*.json", read_timing)):  # fmt: skip
        records = [read(path) for path in sorted(recorded.glob(pattern))]
        assert len(records) >= 14 and all("seal" in record for record in records)


@pytest.mark.parametrize(
    "content",
    [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"1" * 10_000, b"\0", b'{"a": "\\uD800"}'],
    ids=lambda content: str(content[:5]),
)
def test_hostile_json_is_refused_and_stops_nothing(plan, run, tmp_path, content):
    folder = run_folder(tmp_path, run.id)
    folder.mkdir(parents=True)
    for name in ("result.json", "search.json", "failure.json", "history.jsonl"):
        (folder / name).write_bytes(content)
    for read in (read_result, read_search, read_timing):
        with pytest.raises(BadRecord, match="cannot be read as JSON"):
            read(folder / "result.json")
    state = state_of(run, tmp_path)
    assert state.status == "failed" and "cannot be read" in state.reason and state.history == []


def test_missing_cut_off_and_foreign_files(run, tmp_path):
    path = tmp_path / "result.json"
    with pytest.raises(BadRecord, match="missing"):
        read_result(path)
    path.write_text(json.dumps(result_of(run))[:50])
    with pytest.raises(BadRecord, match="cannot be read as JSON"):
        read_result(path)
    path.write_text("[]")
    with pytest.raises(BadRecord, match="not a record"):
        read_result(path)
    with pytest.raises(BadRecord):
        read_timing(path)


def test_search_needs_a_size_a_layer(run, tmp_path):
    write_json(tmp_path / "search.json", search_of(run, sizes=[3]))
    with pytest.raises(BadRecord, match="1 sizes for 2 layers"):
        read_search(tmp_path / "search.json")


@pytest.mark.parametrize("dilations", [[1], [1, 0], [1, 1.5], ["1", "2"], "12", None, [1, 10**10]])
def test_a_search_that_found_dilations_needs_one_a_size(run, tmp_path, dilations):
    path = tmp_path / "search.json"
    write_json(path, search_of(run, dilations=[2, 1]))
    assert read_search(path)["dilations"] == [2, 1]
    write_json(path, search_of(run, dilations=dilations))
    with pytest.raises(BadRecord, match="delete it and run again"):
        read_search(path)


@pytest.mark.parametrize(
    ("kernels", "text"),
    [
        ({}, ""),
        ({"kernel_sizes": [3, 10]}, "3 10"),
        ({"kernel_sizes": [3, 10], "dilations": [2, 1]}, "3d2 10d1"),
    ],
)
def test_found_kernels_are_written_in_a_digest_and_read_back(kernels, text):
    assert as_text(kernels) == text and from_text(text) == kernels


def test_predictions_are_a_class_and_a_log_probability_an_image(tmp_path):
    path = tmp_path / "predictions.npz"
    with pytest.raises(BadRecord, match="is missing"):
        read_predictions(path, 3)
    classes, likely = np.array([7, 0, 999], np.uint16), np.array([-0.5, 0, -11], np.float16)
    np.savez(path, classes=classes, log_probability=likely)
    for found, written in zip(read_predictions(path, 3), (classes, likely), strict=True):
        np.testing.assert_array_equal(found, written)
    with pytest.raises(BadRecord, match="each of 4 images"):
        read_predictions(path, 4)
    for wrong in (-likely, np.full(3, np.nan, np.float16)):  # no logarithm of a probability
        np.savez(path, classes=classes, log_probability=wrong)
        with pytest.raises(BadRecord, match="each of 3 images"):
            read_predictions(path, 3)
    np.savez_compressed(path, classes=classes, log_probability=likely)
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:60] + b"xxxx" + whole[64:], b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(BadRecord, match="cannot be read as predictions"):
            read_predictions(path, 3)


def test_failure_record(tmp_path):
    assert read_failure(tmp_path / "failure.json") is None
    (tmp_path / "failure.json").write_text("{")
    for content in ("{", "[]", "{}", '"reason"', '{"reason": "<b>"}'):
        (tmp_path / "failure.json").write_text(content)
        assert "cannot be read" in read_failure(tmp_path / "failure.json")["reason"]
    (tmp_path / "failure.json").write_text('{"stage": {}, "reason": ["x"]}')
    assert read_failure(tmp_path / "failure.json") == {"stage": "{}", "reason": "['x']"}


def test_arrays_that_are_larger_than_their_run_can_have_or_no_numbers(tmp_path):
    path = tmp_path / "a.npz"
    classes, likely = np.zeros(3, np.uint16), np.zeros(3, np.float16)
    np.savez_compressed(path, classes=classes, log_probability=likely, more=np.zeros(1 << 24))  # 16 KB on disk
    with pytest.raises(BadRecord, match="unpacks to more than 12 bytes"):
        read_predictions(path, 3)
    np.savez(path, classes=np.array([print] * 3, object), log_probability=likely)
    with pytest.raises(BadRecord, match="cannot be read as predictions"):
        read_predictions(path, 3)
    header = b"{'descr': '<f2', 'fortran_order': False, 'shape': (1000000000000000,), }"
    with zipfile.ZipFile(path, "w") as packed:  # the header asks for a petabyte
        for name in ("classes", "log_probability"):
            packed.writestr(f"{name}.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + header.ljust(117) + b"\n")
    with pytest.raises(BadRecord, match="cannot be read as predictions"):
        read_predictions(path, 3)
    for kernel in (np.zeros(3), np.full((3, 3), np.nan), np.zeros((1000, 1000)), np.zeros((0, 0)), np.array([["<b>"]])):
        np.savez(path, kernel)
        with pytest.raises(BadRecord, match="finite kernels|holds no numbers"):
            read_kernels(path)
    np.savez(path, layer01=np.ones((5, 5), np.float32))
    assert [kernel.shape for kernel in read_kernels(path)] == [(5, 5)]


def test_a_seal_tells_of_any_change(run, tmp_path):
    path = tmp_path / "result.json"
    write_record(path, result_of(run))
    read_result(path)
    path.write_text(path.read_text().replace('"macs": 9', '"macs": 8'))
    with pytest.raises(BadRecord, match="has changed since it was written"):
        read_result(path)


@pytest.mark.parametrize(
    "name", ["../x/seed0", "mnist/../../x", "/etc/x", "mnist//x", "mnist/x\n", "", "mnist/.hidden"]
)
def test_a_name_from_a_plan_cannot_lead_out_of_the_results(tmp_path, name):
    with pytest.raises(UserError, match="none of a run, row or job"):
        run_folder(tmp_path, name)
    with pytest.raises(UserError, match="none of a run, row or job"):
        timing_path(tmp_path, "mnist", f"../{name}")


def test_names_of_runs_are_parts_of_paths(tmp_path):
    assert run_folder(tmp_path, "mnist/a-1.5m/seed0") == tmp_path / "runs" / "mnist" / "a-1.5m" / "seed0"
    assert timing_path(tmp_path, "mnist", "a") == tmp_path / "timings" / "mnist" / "a.json"


def test_where_a_run_stands(plan, run, tmp_path):
    """Each sign of a run in turn; the later outweighs the earlier."""
    folder = run_folder(tmp_path, run.id)
    folder.mkdir(parents=True)
    state = lambda: (lambda found: (found.status, found.why))(state_of(run, tmp_path))
    assert state() == ("not run", "no result yet")
    (folder / "train.pt").touch()
    assert state() == ("unfinished", "interrupted") and state_of(run, tmp_path).reason == "in its first epoch"
    (folder / "history.jsonl").write_text('{"stage": "search", "epoch": 1, "epochs": 1}\n{"stage": "tr')
    assert state_of(run, tmp_path).reason == "search epoch 1 of 1"
    (folder / "search.json").write_text("{}")
    assert state()[0] == "rejected" and "runs/" in state()[1] and str(tmp_path) not in state()[1]
    write_record(folder / "search.json", search_of(run))
    assert state()[0] == "unfinished" and state_of(run, tmp_path).sizes == [3, 5]
    assert state_of(run, tmp_path).reason == "kernel sizes learned, not trained yet"
    assert done_steps(plan, tmp_path) == {Step("search", run.id)}
    write_json(folder / "failure.json", {"stage": "train", "epoch": 2, "reason": "it broke."})
    assert state() == ("failed", "failed before: train, epoch 2: it broke.")
    write_record(folder / "result.json", result_of(run, digests={"run": "other"}))
    assert state() == ("stale", f"changed: {', '.join(expected_digests(run, 'train'))}")
    write_record(folder / "result.json", result_of(run))
    write_record(timing_path(tmp_path, run.dataset, run.row), timing_of(run))
    assert state() == ("done", None)
    everything = {Step("search", run.id), Step("train", run.id), Step("time", run.place)}
    assert done_steps(plan, tmp_path) == done_steps(plan, tmp_path / "campaign", tmp_path) == everything
    (folder / "failure.json").unlink()
    (folder / "search.json").write_text("{}")  # damaged since
    assert state()[0] == "rejected" and "search.json" in state()[1]


def test_a_result_of_another_run_is_rejected(plan, run, tmp_path):
    write_record(run_folder(tmp_path, run.id) / "result.json", result_of(plan.runs[1]))
    found = state_of(run, tmp_path)
    assert found.status == "rejected" and f"belongs to run {plan.runs[1].id}" in found.reason
