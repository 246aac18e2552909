"""The head of the page: what a reader should beware of, where results come from, what they were computed in."""

import json

import pytest
import report_factory as factory

from workflow.report.claims.verdicts import FAILS, HOLDS, Finding
from workflow.report.page import summary
from workflow.report.results import gather


@pytest.fixture
def three(tmp_path):
    """A row of three seeds, all done: (plan, results)."""
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": [factory.entry("a")]}})
    for run in plan.runs:
        factory.write_result(tmp_path, run, 90.0)
    return plan, tmp_path


def written(results, run, **provenance):
    """The run's result, from elsewhere."""
    factory.write_result(results, run, 90.0, provenance={**factory.PROVENANCE, **provenance})


def said(three):
    return summary.warnings(gather(*three))


def test_nothing_to_beware_of(three):
    assert said(three) == []


@pytest.mark.parametrize(
    ("provenance", "sentence"),
    [
        ({"device": "Another GPU"}, "Results come from 2 devices: Another GPU, Example GPU."),
        ({"torch": "2.9.0"}, "Results come from 2 versions of torch: 2.11.0, 2.9.0."),
        ({"git_commit": "f" * 40}, "Results come from 2 commits: 0123456789, ffffffffff."),
        ({"git_dirty": True}, "Some results were made with changes that are not in the commit that they name."),
    ],
)
def test_a_result_from_elsewhere_is_told(three, provenance, sentence):
    plan, results = three
    written(results, plan.runs[1], **provenance)
    assert said(three) == [sentence]


def test_what_an_unknown_origin_says_is_nothing(three):
    plan, results = three
    written(results, plan.runs[1], device=None, git_commit=None)
    assert said(three) == []


def test_mixed_arithmetic_is_told_unless_a_chapter_asked_for_it(three):
    plan, results = three
    plan.runs[2]["precision"] = "bf16"
    factory.write_result(results, plan.runs[2], 90.0)
    assert said(three) == ["Results come from 2 kinds of arithmetic: bf16, fp32."]
    plan.on_demand = ["cifar10/a"]
    assert said(three) == []


def test_the_words_for_arithmetic():
    assert summary.arithmetic({"precision": "tf32"}) == "tf32"
    assert (
        summary.arithmetic({"precision": "fp32", "compile": True, "deterministic": True})
        == "fp32, compiled, deterministic"
    )


def test_arithmetics_are_those_of_finished_runs_or_of_the_plan(three, tmp_path):
    plan, results = three
    plan.runs[0]["precision"] = "bf16"
    factory.write_result(results, plan.runs[0], 90.0)
    assert summary.arithmetics(gather(plan, results)) == ["fp32", "bf16"]
    (results / "runs" / plan.runs[0]["id"] / "result.json").unlink()
    assert summary.arithmetics(gather(plan, results)) == ["fp32"]
    assert summary.arithmetics(gather(plan, tmp_path / "nothing")) == ["fp32", "bf16"]


def test_lost_and_stale_runs_are_counted(three):
    plan, results = three
    first, second, _ = plan.runs
    (results / "runs" / first.id / "result.json").unlink()
    factory.write_failure(results, first, "out of memory")
    factory.write_result(results, second, 90.0, digests={"run": "older"})
    lost, stale = said(three)
    assert (
        lost.startswith("1 of 3 runs failed or were refused")
        and stale.startswith("1 results are stale")
        and "run" in stale
    )


def test_disturbed_clocks_are_told(three):
    plan, results = three
    factory.write_timing(results, plan.runs[0], 2.0)
    assert said(three) == []
    (path,) = (results / "timings").rglob("*.json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "clocks_agree": False}))
    assert said(three) == [
        "Something else ran on the machine while 1 of 1 rows were timed, so that two clocks disagree: a (cifar10)."
    ]


def test_environments_are_counted_most_used_first(three):
    plan, results = three
    written(results, plan.runs[0], device="Another GPU")
    found, of_run = summary.environments(gather(plan, results))
    assert [(env.name, env.facts["device"], env.runs) for env in found] == [
        ("E1", "Example GPU", 2),
        ("E2", "Another GPU", 1),
    ]
    assert [of_run[run.id] for run in plan.runs] == ["E2", "E1", "E1"]


def test_the_outcome_in_one_sentence():
    def claim(verdict):
        return summary.Claim("id", "says", "where", "paper", "link", Finding(verdict, ""))

    many = [claim(HOLDS), claim(HOLDS), claim(FAILS)]
    assert summary.outcome(many) == "Of the paper's 3 claims, 2 hold and 1 does not hold."
    assert summary.outcome([claim(HOLDS)]) == "Of the paper's 1 claims, 1 holds."
