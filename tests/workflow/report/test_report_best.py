"""The best evidence of a row: by protocol, then seeds, then code, then place; what may be averaged, and what may be compared."""

from dataclasses import replace

import pytest
import report_factory as factory

from workflow.report import badges, figures
from workflow.report.claims import protocols
from workflow.report.results import Timing, gather, sources
from workflow.report.rows import at_common, rows_of
from workflow.report.seconds import device_shared
from workflow.report.tables.cells import view

TABLE = {
    "table2": {
        "dataset": "cifar10",
        "reference": "b",
        "rows": [factory.entry("a", paper={"acc": 92.0, "sec": 10.0}), factory.entry("b")],
    }
}


def plans():
    """The same two rows at the paper's protocol and at the short one, five seeds."""
    return {preset: factory.plan_of(TABLE, preset=preset, seeds=range(5)) for preset in ("paper", "short")}


def write(folder, plan, row, accuracies, **fields):
    """Results of the first seeds of a row."""
    for run, accuracy in zip((run for run in plan.runs if run.row == row), accuracies, strict=False):
        factory.write_result(folder, run, accuracy, **fields)


def row_of(results, plan, name="a"):
    return rows_of(gather(plan, results))["cifar10", name]


def test_paper_before_short_whatever_the_seeds(tmp_path):
    plan = plans()
    write(tmp_path / "recorded" / "x", plan["short"], "a", [80.0] * 5)
    write(tmp_path / "recorded" / "y", plan["paper"], "a", [91.0])
    row = row_of(tmp_path / "paper", plan["paper"])
    assert (row.best.protocol, row.accuracy.mean, row.accuracy.n) == ("paper", 91.0, 1)
    assert [group.protocol for group in row.groups] == ["paper", "short"]
    assert [s.result["accuracy"] for s in row.at(protocols.SHORT)] == [80.0] * 5


def test_one_seed_here_does_not_hide_five_recorded_ones(tmp_path):
    plan = plans()["short"]
    write(tmp_path / "short", plan, "a", [70.0], digests={"run": "current", "engine": "new"})
    write(tmp_path / "recorded" / "x", plan, "a", [80.0] * 5, digests={"run": "current", "engine": "old"})
    row = row_of(tmp_path / "short", plan)
    assert row.accuracy.mean == 80.0 and row.best.places == ["x"]
    assert [len(group.states) for group in row.groups] == [5, 1]  # the other is listed
    write(tmp_path / "short", plan, "a", [71.0] * 5, digests={"run": "current", "engine": "new"})
    assert row_of(tmp_path / "short", plan).best.places == [""]  # of equally many those here


def test_two_codes_two_recipes_and_two_arithmetics_are_never_averaged(tmp_path):
    plan = plans()["paper"]
    first, second, third, *_ = (run for run in plan.runs if run.row == "a")
    factory.write_result(tmp_path / "recorded" / "x", first, 90.0)
    factory.write_result(tmp_path / "recorded" / "x", second, 80.0, digests={"run": "older"})
    factory.write_result(tmp_path / "recorded" / "x", replace(third, precision="bf16"), 70.0)
    row = row_of(tmp_path / "paper", plan)
    assert [group.states[0].result["accuracy"] for group in row.groups] == [90.0, 80.0, 70.0]
    assert [group.protocol for group in row.groups] == ["paper", "paper", "other"] and row.accuracy.n == 1


def test_seeds_that_learned_other_sizes_are_averaged(tmp_path):
    """A training's digests name the sizes that it was given: each seed's own."""
    plan = factory.plan_of(
        {"table2": {"dataset": "cifar10", "rows": [factory.entry("a", learn=660_000)]}}, seeds=(0, 1)
    )
    for run, sizes, accuracy in zip(plan.runs, ("3 3 5", "3 4 4"), (90.0, 91.0), strict=True):
        factory.write_result(
            tmp_path, run, accuracy, digests={"run": f"of seed {run.seed}", "sizes": sizes, "engine": "x"}
        )
    row = row_of(tmp_path, plan)
    assert row.by_seed == {0: 90.0, 1: 91.0} and row.accuracy.mean == 90.5


def test_of_equally_many_searches_those_in_float32_count(tmp_path):
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": [factory.entry("a", learn=660_000)]}})
    for run in plan.runs:
        factory.write_search(tmp_path / "recorded" / "x", replace(run, precision="bf16"), [3, 3])
    for run in plan.runs[:2]:
        factory.write_search(tmp_path / "recorded" / "y", run, [5, 5])
    assert row_of(tmp_path / "paper", plan).sizes == [[3, 3]] * 3  # more seeds before better arithmetic
    factory.write_search(tmp_path / "recorded" / "y", plan.runs[2], [5, 5])
    assert row_of(tmp_path / "paper", plan).sizes == [[5, 5]] * 3


def test_seeds_of_two_devices_stand_in_one_row_and_the_badge_says_so(tmp_path):
    plan = plans()["short"]
    for number, run in enumerate(run for run in plan.runs if run.row == "a"):
        device = "NVIDIA H100 80GB HBM3" if number < 3 else "AMD EPYC 7B13"
        factory.write_result(tmp_path / "short", run, 80.0, provenance={**factory.PROVENANCE, "device": device})
    assert str(badges.of_group(row_of(tmp_path / "short", plan).best)) == "◧ short 4 ep · 3 H100 + 2 EPYC · 5 seeds"


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA H200", "H200"),
        ("AMD EPYC 7B13 64-Core Processor", "EPYC"),
        ("Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz", "Xeon"),
        ("Example GPU", "Example GPU"),
        (None, "unknown device"),
    ],
)
def test_devices_are_called_as_people_call_them(name, word):
    assert badges.device_word(name) == word


def test_badges_have_real_epochs_and_images_where_a_protocol_has_no_name(tmp_path):
    run = next(run for run in plans()["paper"].runs if run.row == "a")
    train = replace(run.train, recipe=run.train.recipe.with_epochs(2), images=20_000, protocol="changed")
    factory.write_result(tmp_path / "paper", replace(run, train=train), 40.0)
    (group,) = row_of(tmp_path / "paper", plans()["paper"]).groups
    assert str(badges.of_group(group)) == "◻ 2 ep, 20k images · Example GPU · 1 seed"


@pytest.mark.parametrize(
    ("changes", "marks"),
    [
        ({"captured": True, "uncaptured_reason": None, "foreign_gpu_processes": 0}, ()),
        ({"captured": False, "uncaptured_reason": "the step could not be captured"}, ("uncaptured",)),
        ({"foreign_gpu_processes": 2}, ("not alone",)),  # both clocks of a GPU include what others do there
        ({"clocks_agree": False}, ("not alone",)),
    ],
)
def test_what_casts_doubt_on_seconds_is_marked(tmp_path, changes, marks):
    record = {"device": "Example GPU", "clocks_agree": True, **changes}
    assert badges.of_timing(Timing(record, tmp_path)).marks == marks


def test_no_difference_to_the_paper_from_another_protocol(tmp_path):
    plan = plans()["short"]
    write(tmp_path / "short", plan, "a", [80.0, 81.0])
    row = row_of(tmp_path / "short", plan)
    assert row.published().mean == 92.0 and row.against_paper() is None
    write(tmp_path / "paper", plans()["paper"], "a", [91.0, 91.2])
    row = row_of(tmp_path / "short", plan)
    assert row.against_paper().value == pytest.approx(-0.9)


def test_ratios_are_of_one_device_or_blank(tmp_path):
    plan = plans()["paper"]
    a, b = (next(run for run in plan.runs if run.row == name) for name in "ab")
    factory.write_timing(tmp_path / "paper", a, 4.0)
    factory.write_timing(tmp_path / "recorded" / "x", b, 2.0)
    path = tmp_path / "recorded" / "x" / "timings" / "cifar10" / "b.json"
    path.write_text(
        path.read_text()
        .replace('"device": "Example GPU", "precision"', '"device": "Other GPU", "precision"')
        .replace('"device": "Example GPU",\n', '"device": "Other GPU",\n')
    )
    evidence = gather(plan, tmp_path / "paper")
    rows = rows_of(evidence)
    pair = [rows["cifar10", name] for name in "ab"]
    assert [protocols.device_of(row.timing) for row in pair] == ["Example GPU", "Other GPU"]
    assert device_shared(pair) is None and view("table2", evidence).lines[0].ratios[1] is None
    factory.write_timing(tmp_path / "recorded" / "y", b, 2.0)
    evidence = gather(plan, tmp_path / "paper")
    assert view("table2", evidence).lines[0].ratios[1] == pytest.approx(2.0)  # on the device that both were timed on


def test_figures_show_one_protocol(tmp_path):
    plan = plans()
    write(tmp_path / "paper", plan["paper"], "a", [91.0])
    write(tmp_path / "short", plan["short"], "a", [80.0])
    write(tmp_path / "short", plan["short"], "b", [81.0])
    evidence = gather(plan["paper"], tmp_path / "paper")
    protocol, rows = at_common(rows_of(evidence).values())
    assert protocol == "short" and [row.accuracy.mean for row in rows] == [80.0, 81.0]
    found = [line for line in figures.lines_of("accuracy-time", evidence) if line["source"] == "measured"]
    assert {line["protocol"] for line in found} == {"short"} and len(found) == 2
    curves = figures.lines_of("curves", evidence)
    assert {line["protocol"] for line in curves} == {"short"} and {line["row"] for line in curves} == {"a", "b"}


def test_made_up_images_are_no_evidence_wherever_they_lie(tmp_path):
    plan = plans()["paper"]
    run = replace(plan.runs[0], data="data/prepared/synthetic-1234")
    factory.write_result(tmp_path / "recorded" / "x", run, 99.0)
    assert row_of(tmp_path / "paper", plan).accuracy is None
    smoke = factory.plan_of(TABLE, preset="smoke")
    factory.fill(smoke, tmp_path / "smoke")
    assert not any(
        row.accuracy or row.timing or row.sizes for row in rows_of(gather(smoke, tmp_path / "smoke")).values()
    )


def test_the_folders_that_are_read(tmp_path):
    for name in ("paper", "short", "smoke", "times", "recorded/b", "recorded/a"):
        (tmp_path / name).mkdir(parents=True)
    names = lambda results: [folder.relative_to(tmp_path).as_posix() for folder in sources(tmp_path / results)]
    assert names("smoke") == ["paper", "short", "times", "recorded/a", "recorded/b"]
    assert names("short") == ["paper", "times", "recorded/a", "recorded/b"]
    assert names("recorded") == ["recorded/a", "recorded/b"]  # the page that is kept with the code


def test_a_record_of_a_system_that_is_gone_is_refused_with_a_sentence(tmp_path, monkeypatch):
    from workflow.records import state
    from workflow.support.errors import UserError

    plan = plans()["paper"]
    write(tmp_path / "recorded" / "x", plan, "a", [90.0])

    def gone(run, stage):
        raise UserError(f"no system '{run.system}'")

    monkeypatch.setattr(state, "expected_digests", gone)
    monkeypatch.setattr("workflow.report.results.run_folder", lambda results, run: results)
    evidence = gather(replace(plan, runs=()), tmp_path / "paper")
    assert len(evidence.refused) == 1 and "no system 'cifar_resnet20'" in evidence.refused[0]
