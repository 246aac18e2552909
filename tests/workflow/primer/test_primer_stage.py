"""The stage: one record, whole or not at all, with its provenance; the digests cover what it computes."""

import pytest

from workflow.__main__ import main
from workflow.plan import make
from workflow.plan.config import load
from workflow.primer import parameters, record, stage
from workflow.records.records import BadRecord


@pytest.fixture
def short(monkeypatch, tmp_path):
    """One topic instead of seven, in an empty folder."""
    monkeypatch.setattr(stage, "TOPICS", (parameters,))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "results" / "smoke" / "primer.json"


def test_the_command_writes_a_record_that_reads_back(short, capsys):
    assert main(["primer", "--preset", "smoke"]) == 0
    found = record.read(short)
    assert [s.key for s in found["statements"]][:2] == ["conv-weights", "dense-weights"]
    assert found["statements"][2].computed == pytest.approx(32**4 / 121)
    assert len(found["costs"]) == 18 * 7 and len(found["vgg16"]) == 22
    assert {line["step"] for line in found["untrained"]["changes"]} == set(range(2, 50))  # of 7 x 7 positions
    assert {line["size"] for line in found["untrained"]["flips"]} == set(range(1, 7))
    assert found["provenance"]["threads"] == 1 and found["digests"] == record.primer_digests()
    assert found["effort"]["outputs"] == 256  # smoke: the small one
    assert "8,666" in capsys.readouterr().out
    assert "8665" in short.read_text() and "seal" in found
    short.write_text(short.read_text().replace("8665", "8565"))
    with pytest.raises(BadRecord, match="has changed since it was written"):
        record.read(short)


def test_a_failure_leaves_the_record_of_before(short, monkeypatch):
    short.parent.mkdir(parents=True)
    short.write_text("before")

    def broken(effort):
        raise ArithmeticError("no")

    monkeypatch.setattr(parameters, "STATEMENTS", (parameters.convolution_weights, broken))
    with pytest.raises(ArithmeticError):
        main(["primer", "--preset", "smoke"])
    assert short.read_text() == "before" and [path.name for path in short.parent.iterdir()] == ["primer.json"]


def test_a_plan_that_is_not_there_is_named(short, capsys):
    assert main(["primer", "--plan", "nowhere.json"]) == 1
    assert "nowhere.json cannot be read as a plan" in capsys.readouterr().err and not short.exists()


def test_a_missing_record_says_what_makes_it(tmp_path):
    with pytest.raises(BadRecord, match="python -m workflow primer"):
        record.read(tmp_path / "primer.json")


def test_the_digests_cover_every_topic():
    topics = {topic.__name__ for topic in stage.TOPICS} | {"workflow.primer.costs"}
    assert topics | {"workflow.primer.statement", "effconv.same_conv", "effconv.counting"} < set(
        record.primer_digests()
    )


def test_the_chapters_rows_are_planned():
    made = make.make_plan(load({"preset": "smoke", "device": "cpu", "seeds": [0, 1, 2], "only": ["cifar10/article-*"]}))
    assert {run.system for run in made.runs} == {"article_stacked3", "article_single5", "article_separable3"}
    assert len(made.runs) == 9 and made.tables["primer"].kind == "chapter"
