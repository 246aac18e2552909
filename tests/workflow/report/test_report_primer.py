"""The primer's chapter from made-up records: statements, readings of the experiments, the bridge, and what is missing."""

import csv
import json
import re

import primer_records as primer
import pytest
import report_factory as factory
from test_report_page import Page

from workflow.primer.figures import kinds_of
from workflow.primer.readings import readings, slight, time_ratios
from workflow.primer.record import read
from workflow.records.records import BadRecord
from workflow.report import products
from workflow.report.chapters import sections
from workflow.report.claims.verdicts import FAILS, HOLDS, NOT_RUN, UNDECIDED
from workflow.report.page.page import _environment
from workflow.report.results import gather
from workflow.report.stats import Interval

COUNTS = {
    "article-stacked-3x3": (38_378, 24e6),
    "article-single-5x5": (52_586, 34e6),
    "article-separable-3x3": (6_762, 4e6),
}
NEAR, FAR = {"article-stacked-3x3": 80.0, "article-single-5x5": 77.0, "article-separable-3x3": 78.5}, 60.0


def fill(plan, results, accuracies=NEAR, *, seeds=3):
    """Results with a spread of 0.1 over the seeds."""
    for run in plan.runs:
        if run.row in accuracies and run.seed < seeds:
            parameters, macs = COUNTS[run.row]
            accuracy = accuracies[run.row] + 0.1 * (run.seed - 1)
            factory.write_result(results, run, accuracy, parameters=parameters, macs=int(macs))


def page_of(plan, results, tmp_path):
    products.write("index", plan, results, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    start = page.find('<section id="primer">')
    return page, page[start : page.find("</section>", start)] if start >= 0 else ""


def chapter_of(plan, results):
    """The chapter without the rest of the page, whose figures take longer than everything else here."""
    frame = '{% import "parts.html.j2" as parts with context %}{% include "chapters.html.j2" %}'
    return (
        _environment()
        .from_string(frame)
        .render(chapters=sections(gather(plan, results)), waiting_chapters=[], plan=plan)
    )


@pytest.fixture
def planned(tmp_path):
    return primer.plan_with_chapter(), tmp_path / "results" / "paper"


def verdicts(plan, results):
    return {f"{part.experiment.key}-{part.key}": part.finding.verdict for part in readings(gather(plan, results))}


@pytest.mark.slow
def test_the_whole_chapter(planned, tmp_path):
    plan, results = planned
    fill(plan, results)
    for run in plan.runs[::3]:
        factory.write_timing(results, run, {"article-single-5x5": 30.0}.get(run.row, 20.0))
    primer.save(results)
    page, chapter = page_of(plan, results, tmp_path)
    parsed = Page(page)  # complains about open tags
    assert len(page.encode()) < 1_000_000 and len(parsed.ids) == len(set(parsed.ids))
    words = " ".join(re.sub(r"<[^>]+>", " ", chapter).split())
    assert "Of 2 statements 1 are wrong" in words and "589,824" in words and "✗ wrong" in words
    assert "&lt;i&gt;nine&lt;/i&gt; forgotten" in chapter
    assert "80.00 ± 0.10" in words and "parameters ×1.37" in words and "Single 5x5 takes ×1.50 the seconds" in words
    # 3 to 7 adds 40 positions: 40 * 256 and 40 * 4096 weights, both 40 * 262,144 multiply-accumulates.
    assert "costs 10,240 parameters in each of layers 1 to 6 and 163,840 in each of layers 14 to 18" in words
    assert (
        "10.5 and 10.5 million MACs" in words and "used 1,024 times an image in the first stage and 64 times" in words
    )
    for symbol, name in (("✗", "wrong"), ("✓", "right"), ("✓", "holds")):
        assert re.search(rf'<span aria-hidden="true">{symbol}</span> {name}', chapter)
    assert chapter.count("<svg") == 2 and all(label for label in re.findall(r'aria-label="([^"]*)"', chapter))
    assert "<script" not in chapter and "not run" not in words


def test_the_csv_has_every_statement_reading_and_cost(planned, tmp_path):
    plan, results = planned
    fill(plan, results)
    primer.save(results)
    products.write("primer", plan, results, tmp_path)
    with (tmp_path / "chapters" / "primer.csv").open(newline="") as file:
        lines = {line["row"]: line for line in csv.DictReader(file)}
    assert len(lines) == 2 + 5 + 18 * 7
    assert (lines["plain"]["printed"], lines["plain"]["computed"], lines["plain"]["verdict"]) == (
        "65536",
        "589824",
        "wrong",
    )
    assert lines["stacked-better"]["verdict"] == HOLDS and "+3.00" in lines["stacked-better"]["computed"]
    assert (lines["layer07-size5"]["parameters"], lines["layer07-size5"]["milliseconds"]) == (str(25 * 512), "12.0")


def test_readings_that_hold(planned):
    plan, results = planned
    fill(plan, results)
    assert set(verdicts(plan, results).values()) == {HOLDS}


def test_readings_that_do_not_hold(planned):
    plan, results = planned
    fill(plan, results, {"article-stacked-3x3": 70.0, "article-single-5x5": 75.0, "article-separable-3x3": FAR})
    found = verdicts(plan, results)
    assert (
        found["stacked-better"] == FAILS and found["separable-better"] == HOLDS and found["separable-slight"] == FAILS
    )


def test_one_seed_decides_no_accuracy(planned):
    plan, results = planned
    fill(plan, results, seeds=1)
    found = verdicts(plan, results)
    assert found["stacked-better"] == UNDECIDED == found["separable-slight"] and found["stacked-lighter"] == HOLDS


def test_made_up_images_give_no_results(tmp_path):
    plan, results = primer.plan_with_chapter(preset="smoke"), tmp_path / "results" / "smoke"
    fill(plan, results)
    assert set(verdicts(plan, results).values()) == {NOT_RUN}


def test_heavier_networks_are_not_lighter(planned, monkeypatch):
    plan, results = planned
    monkeypatch.setitem(COUNTS, "article-single-5x5", (38_000, 34e6))
    monkeypatch.setitem(COUNTS, "article-separable-3x3", (20_000, 4e6))  # lighter, but not by half
    fill(plan, results)
    found = verdicts(plan, results)
    assert found["stacked-lighter"] == FAILS == found["separable-lighter"]


def test_without_runs_the_statements_stand(planned):
    plan, results = planned
    primer.save(results)
    chapter = chapter_of(plan, results)
    assert "Statement plain" in chapter and chapter.count("not run") >= 5
    assert "No epoch has been recorded yet." in chapter
    assert set(verdicts(plan, results).values()) == {NOT_RUN} and time_ratios(gather(plan, results)) == []


def test_without_statements_the_runs_stand(planned):
    plan, results = planned
    fill(plan, results, {"article-stacked-3x3": 80.0}, seeds=2)
    chapter = chapter_of(plan, results)
    assert "primer.json is missing: `python -m workflow primer` computes it" in chapter
    assert "79.95 ± 0.07" in chapter and chapter.count("not run") == 5 and chapter.count(">·<") == 2  # readings, rows
    assert "What a size costs" not in chapter


def test_with_nothing_there_is_no_chapter(planned):
    assert chapter_of(*planned) == ""


def test_statements_of_earlier_code_are_marked(planned):
    plan, results = planned
    primer.save(results, digests={**primer.primer_digests(), "workflow.primer.vgg": "older"})
    assert "changed since: workflow.primer.vgg" in chapter_of(plan, results)


@pytest.mark.parametrize(
    "content, words",
    [
        ("{", "cannot be read as JSON"),
        ("[]", "holds no mapping"),
        (json.dumps({**primer.record(), "schema": 1}), "schema 2"),
        (json.dumps({**primer.record(), "statements": []}), "is empty"),
        (json.dumps({**primer.record(), "statements": [primer.statement("a", "perhaps")]}), "verdict is 'perhaps'"),
        (json.dumps({**primer.record(), "statements": [{"key": "a"}]}), "lacks a sound part"),
        (json.dumps({**primer.record(), "statements": [primer.statement("a", computed=float("nan"))]}), "not finite"),
        (json.dumps({k: v for k, v in primer.record().items() if k != "costs"}), "'costs'"),
        (json.dumps({**primer.record(), "statements": [primer.statement("a", computed=None)]}), "not NoneType"),
        (json.dumps({**primer.record(), "statements": [primer.statement("a", printed=None)]}), "not NoneType"),
        (json.dumps({**primer.record(), "statements": [primer.statement("a", computed=10**400)]}), "too large"),
        (json.dumps({**primer.record(), "costs": [{"milliseconds": "1", "layer": 1}]}), "not str"),
        (json.dumps({**primer.record(), "seal": "0123456789abcdef"}), "has changed since it was written"),
        pytest.param("[" * 100_000, "cannot be read as JSON", id="deep"),
    ],
)
def test_a_bad_record_is_refused_with_its_reason(planned, content, words):
    plan, results = planned
    results.mkdir(parents=True)
    (results / "primer.json").write_text(content)
    with pytest.raises(BadRecord, match=re.escape(words)):
        read(results / "primer.json")
    assert "What a size costs" not in chapter_of(plan, results)


def test_slight_needs_an_interval():
    assert slight(Interval(1.0)) == UNDECIDED
    assert slight(Interval(1.0, 0.5, 1.5)) == HOLDS and slight(Interval(9.0, 8.0, 10.0)) == FAILS
    assert slight(Interval(5.0, 4.0, 6.0)) == UNDECIDED


def test_layers_by_shape():
    kinds = kinds_of(primer.record()["costs"])
    assert [kind["numbers"] for kind in kinds] == ["1 to 6", "7", "8 to 12", "13", "14 to 18"]
    assert kinds[1]["label"] == "16 → 32, 16x16"


@pytest.mark.slow
def test_an_untrained_predictor_is_drawn_where_it_was_computed(planned, tmp_path):
    plan, results = planned
    changes = [
        {"seed": seed, "step": step, "change": 1 / step + seed / 100} for seed in (0, 1) for step in range(2, 50)
    ]
    flips = [{"seed": 0, "size": size, "moved": size / 10, "change": 0.5} for size in range(1, 7)]
    primer.save(results, untrained={"changes": changes, "flips": flips})
    _, chapter = page_of(plan, results, tmp_path)
    words = " ".join(re.sub(r"<[^>]+>", " ", chapter).split())
    assert "mean of 2 with their range" in words and "by less than 16 % of its length" in words  # 1 / 7 + 0.01
    assert "20 to 60 % of the pixels" in words
    assert "from the second on: 0.51, 0.34" in chapter and "1 to 2: 0.50" in chapter
