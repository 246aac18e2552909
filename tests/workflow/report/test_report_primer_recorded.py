"""The chapter from the records that are kept with the code: real CIFAR-10, every seed of the recorded plan."""

import json
from collections import Counter
from pathlib import Path

import primer_records
import pytest
import report_factory as factory

from workflow.primer import chapter
from workflow.primer.readings import readings
from workflow.primer.record import read
from workflow.report.results import gather

FOLDER = factory.ROOT / "results" / "recorded" / "cpu-primer"


@pytest.fixture(scope="module")
def evidence():
    return gather(primer_records.plan_with_chapter(), FOLDER.parent)


@pytest.fixture(scope="module")
def done(evidence):
    return [state for state in evidence.found if state.folder.is_relative_to(FOLDER) and state.result]


def test_every_recorded_run_is_sound(evidence, done):
    assert len(done) == len(list(Path(FOLDER).glob("runs/*/*/*/result.json"))) >= 3
    for state in done:
        history = [json.loads(line) for line in (state.folder / "history.jsonl").read_text().splitlines()]
        assert [entry["epoch"] for entry in history] == list(range(1, 7))
        assert history[-1]["correct"] == state.result["correct"] and state.result["test_images"] == 10_000


def test_counts_are_those_by_hand(done):
    # Stem 864 + 64, classifier 330; four units of 9 * 1024 + 64, two of 25 * 1024 + 64, four of 288 + 1024 + 64.
    expected = {"article-stacked-3x3": 38_378, "article-single-5x5": 52_586, "article-separable-3x3": 6_762}
    assert {state.run.row: state.result["parameters"] for state in done} == expected


def test_readings_rest_on_every_seed(evidence, done):
    n = Counter(state.run.row for state in done)
    found = {f"{part.experiment.key}-{part.key}": part.finding for part in readings(evidence)}
    for key, other in (("stacked-better", "article-single-5x5"), ("separable-better", "article-separable-3x3")):
        assert f"n = {n['article-stacked-3x3']} and {n[other]}" in found[key].measured
    assert found["stacked-lighter"].verdict == found["separable-lighter"].verdict == "holds"


def test_the_recorded_statements_read_back(evidence):
    keys = {statement.key: statement.verdict for statement in read(FOLDER / "primer.json")["statements"]}
    assert keys["plain-256"] == "wrong" and keys["bottleneck"] == "right"
    assert len(chapter.lines(evidence)) == len(keys) + 5 + 18 * 7
