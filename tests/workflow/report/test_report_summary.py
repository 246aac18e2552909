"""What a reader should beware of, where results come from, what they were computed in, and the self-check."""

import json
from dataclasses import replace

import pytest
import report_factory as factory

from workflow.machine import gpu_pool
from workflow.report.claims.claims import Part
from workflow.report.claims.verdicts import HOLDS, Finding
from workflow.report.page import claim_lines, summary
from workflow.report.page.runs import arithmetic
from workflow.report.results import gather
from workflow.report.stats import Interval
from workflow.support.files import write_json


@pytest.fixture
def three(tmp_path):
    """A row of three seeds, all done: (plan, results)."""
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": [factory.entry("a")]}})
    for run in plan.runs:
        factory.write_result(tmp_path / "paper", run, 90.0)
    return plan, tmp_path / "paper"


def written(results, run, **provenance):
    """The run's result, from elsewhere."""
    factory.write_result(results, run, 90.0, provenance={**factory.PROVENANCE, **provenance})


def said(three):
    """What is said besides that no card was checked."""
    return [sentence for sentence in summary.warnings(gather(*three)) if "has not been checked" not in sentence]


def test_nothing_to_beware_of(three):
    assert said(three) == []


def test_seeds_of_two_devices_are_told(three):
    plan, results = three
    written(results, plan.runs[1], device="Another GPU")
    (sentence,) = said(three)
    assert sentence == "The seeds of 1 row come from more than one device, which their badges say: a."


def test_the_first_screen_says_on_what_was_measured(three):
    plan, results = three
    assert summary.measured_on(gather(*three)) == "Measured on Example GPU: 1 row trained"
    for run in plan.runs:
        written(results, run, device="Intel(R) Xeon(R) Processor", driver=None)
    factory.write_timing(results, plan.runs[0], 3.0)
    found = summary.measured_on(gather(*three))
    assert found == "Measured on Example GPU: 1 row timed · Xeon: 1 row trained"
    (results / "timings" / "cifar10" / "a.json").unlink()
    assert summary.measured_on(gather(*three)) == "Measured on Xeon: 1 row trained · nothing on a GPU"
    assert summary.measured_on(gather(plan, results.parent / "empty" / "paper")) == "Nothing measured yet."


def test_an_exponent_is_no_ratio():
    finding = Finding(HOLDS, "", Interval(0.66, 0.42, 0.9))
    shown = lambda found: claim_lines.Line(
        None, "", "seconds", (Part("", "seconds", found, None, None, None, {}, ()),), ()
    )
    assert shown(finding).ours == "×0.660 [0.420, 0.900]" and "<svg" in claim_lines.drawing(shown(finding))
    power = shown(replace(finding, exponent=True))
    assert power.ours == "power 0.660 [0.420, 0.900]" and claim_lines.drawing(power) == ""


def test_changes_beyond_the_commit_are_told(three):
    written(three[1], three[0].runs[1], git_dirty=True)
    assert said(three) == ["Some results were made with changes that are not in the commit that they name."]


def test_what_an_unknown_origin_says_is_nothing(three):
    plan, results = three
    written(results, plan.runs[1], git_commit=None)
    assert said(three) == []


def test_mixed_arithmetic_is_told_unless_a_chapter_asked_for_it(tmp_path):
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": [factory.entry("a"), factory.entry("b")]}})
    runs = tuple(replace(run, precision="bf16") if run.row == "b" else run for run in plan.runs)
    plan = replace(plan, runs=runs)
    for run in runs:
        factory.write_result(tmp_path / "paper", run, 90.0)
    mixed = ["Rows were computed in 2 kinds of arithmetic, which their badges say: bf16, fp32."]
    assert said((plan, tmp_path / "paper")) == mixed
    assert said((replace(plan, on_demand=("cifar10/b",)), tmp_path / "paper")) == []


def test_the_words_for_arithmetic():
    run = factory.run_of("cifar10", factory.entry("a"), 0)
    assert arithmetic(replace(run, precision="tf32")) == "tf32"
    assert arithmetic(replace(run, compile=True, deterministic=True)) == "fp32, compiled, deterministic"


def test_lost_and_stale_runs_are_counted(three):
    plan, results = three
    first, second, third = plan.runs
    (results / "runs" / first.id / "result.json").unlink()
    factory.write_failure(results, first, "out of memory")
    for run in (second, third):
        factory.write_result(results, run, 90.0, digests={"run": "older"})
    lost, stale = said(three)
    assert lost.startswith("1 of 3 runs failed or were refused")
    assert stale.startswith("1 row rests on results of earlier code or data (run)")


def test_disturbed_clocks_are_told(three):
    plan, results = three
    factory.write_timing(results, plan.runs[0], 2.0)
    assert said(three) == []
    (path,) = (results / "timings").rglob("*.json")
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "clocks_agree": False}))
    assert said(three) == [
        "Something else ran on the machine while 1 of 1 row were timed, so that two clocks disagree: a (cifar10)."
    ]


UNCHECKED = "Example GPU has not been checked: run python -m workflow check."


def test_a_card_that_was_never_checked_is_told(three):
    plan, results = three
    found = lambda: summary.warnings(gather(plan, results))
    assert found() == [UNCHECKED]
    gpu_pool.keep("Another GPU", {"side_by_side": {}}, results.parent / "selfcheck.json")
    assert found() == [UNCHECKED]  # of another card
    gpu_pool.keep("Example GPU", {"side_by_side": {}, "trouble": ["no capture"]}, results.parent / "selfcheck.json")
    assert found() == ["The self-check of Example GPU found 1 thing to mend: no capture."]
    gpu_pool.keep("Example GPU", {"side_by_side": {}, "trouble": []}, results.parent / "selfcheck.json")
    assert found() == [] and set(summary.selfcheck(gather(plan, results))["cards"]) == {"Another GPU", "Example GPU"}
    (results.parent / "selfcheck.json").write_text("{")
    assert len(found()) == 1 and "selfcheck.json is damaged" in found()[0]


def test_a_card_that_was_checked_elsewhere_is_known_by_its_record(three):
    plan, results = three
    gpu_pool.keep("Example GPU", {"side_by_side": {}}, results.parent / "recorded" / "selfcheck.json")
    assert summary.warnings(gather(plan, results)) == []


def test_a_card_that_has_only_timed_is_told_and_a_processor_is_not(tmp_path):
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": [factory.entry("a")]}})
    record = factory.write_timing(tmp_path / "times", plan.runs[0], 2.0)
    assert summary.warnings(gather(plan, tmp_path / "paper")) == [UNCHECKED]
    record |= {"device": "cpu", "provenance": {**factory.PROVENANCE, "driver": None}}
    write_json(tmp_path / "times" / "timings" / "cifar10" / "a.json", record)
    assert summary.warnings(gather(plan, tmp_path / "paper")) == []


def test_environments_are_counted_most_used_first(three):
    plan, results = three
    written(results, plan.runs[0], device="Another GPU")
    found = summary.environments(gather(plan, results))
    assert [(env.name, env.facts["device"], env.runs) for env in found] == [
        ("E1", "Example GPU", 2),
        ("E2", "Another GPU", 1),
    ]


def test_every_verdict_has_a_glyph_a_colour_and_a_place_in_the_tally():
    from workflow.report.claims.verdicts import VERDICTS

    assert set(claim_lines.GLYPHS) == set(claim_lines.CLASSES) == set(VERDICTS)
    assert len({claim_lines.GLYPHS[verdict] for verdict in VERDICTS}) == 5  # not run and not comparable share theirs
