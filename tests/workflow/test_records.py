"""A record enters a table only if it is whole, finite and of the planned length."""

import json
import threading

import pytest
from made_plans import a_result, a_run

from workflow.plan.plan import SCHEMA
from workflow.records.records import (
    BadRecord,
    read_failure,
    read_result,
    read_search,
    read_timing,
    run_folder,
    timing_path,
    write_record,
)
from workflow.support.errors import UserError
from workflow.support.files import write_json, write_text

RESULT = json.loads(json.dumps(a_result(
    a_run(epochs=2), accuracy=97.5, correct=195, test_images=200, seconds_per_epoch=[1.0, 1.1], kernel_sizes=None,
)))  # fmt: skip


def test_a_sound_result_is_read_back(tmp_path):
    write_json(tmp_path / "result.json", RESULT)
    assert read_result(tmp_path / "result.json") == RESULT


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 1}, "schema 2"),
        ({"status": "failed"}, "status 'failed'"),
        ({"accuracy": "97.5"}, "'accuracy'"),
        ({"accuracy": 98.5}, "correct test images"),
        ({"correct": 201}, "201 correct of 200"),
        ({"epochs": 1}, "1 of 2 epochs"),
        ({"seconds_per_epoch": [1.0]}, "1 of 2 epochs"),
        ({"loss": float("nan")}, "not finite"),
        ({"seconds_per_epoch": [1.0, float("inf")]}, "not finite"),
    ],
)
def test_a_bad_result_is_refused_with_its_reason(tmp_path, change, words):
    path = tmp_path / "result.json"
    path.write_text(json.dumps({**RESULT, **change}))
    with pytest.raises(BadRecord, match=words):
        read_result(path)


def test_missing_cut_off_and_foreign_files(tmp_path):
    path = tmp_path / "result.json"
    with pytest.raises(BadRecord, match="missing"):
        read_result(path)
    path.write_text(json.dumps(RESULT)[:50])
    with pytest.raises(BadRecord, match="cannot be read as JSON"):
        read_result(path)
    path.write_text("[]")
    with pytest.raises(BadRecord, match="not a record"):
        read_result(path)
    with pytest.raises(BadRecord):
        read_timing(path)


def test_search_needs_a_size_a_layer(tmp_path):
    record = {
        "schema": SCHEMA, "status": "complete", "run": {"search": {"epochs": 1}}, "digests": {}, "provenance": {},
        "layers": ["a", "b"],
        "sizes": [3], "soft_sizes": [3.1], "parameters": 5, "macs": 5, "epochs": 1, "seconds_per_epoch": [1.0], "trajectory": {},
    }  # fmt: skip
    write_json(tmp_path / "search.json", record)
    with pytest.raises(BadRecord, match="1 sizes for 2 layers"):
        read_search(tmp_path / "search.json")
    write_json(tmp_path / "search.json", {**record, "sizes": [3, 5]})
    assert read_search(tmp_path / "search.json")["sizes"] == [3, 5]


def test_failure_record(tmp_path):
    assert read_failure(tmp_path / "failure.json") is None
    (tmp_path / "failure.json").write_text("{")
    assert "cannot be read" in read_failure(tmp_path / "failure.json")["reason"]


def test_writing_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]
    write_text(path, "b")
    assert path.read_text() == "b" and path.stat().st_mode & 0o777 == 0o644


def test_what_a_killed_process_left_is_taken_over(tmp_path):
    (tmp_path / ".text.csv.partial").write_text("a longer text, cut sho")
    write_text(tmp_path / "text.csv", "whole")
    assert (tmp_path / "text.csv").read_text() == "whole" and [path.name for path in tmp_path.iterdir()] == ["text.csv"]


def test_two_that_write_one_file_take_turns(tmp_path):
    texts = [letter * 100_000 for letter in "abcd"]
    writers = [
        threading.Thread(target=lambda t=text: [write_text(tmp_path / "f", t) for _ in range(20)]) for text in texts
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert not (tmp_path / "f").exists() or (tmp_path / "f").read_text() in texts
    assert (tmp_path / "f").read_text() in texts and [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_seal_tells_of_any_change(tmp_path):
    path = tmp_path / "result.json"
    write_record(path, RESULT)
    assert {**read_result(path), "seal": None} == {**RESULT, "seal": None}
    path.write_text(path.read_text().replace('"macs": 1,', '"macs": 2,'))
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
