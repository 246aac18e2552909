"""What is not run, in hours; and a user's own seconds from `python -m workflow times`, which the page reads. Sums by hand."""

import re
from dataclasses import replace

import pytest
import report_factory as factory

from workflow.report import products
from workflow.report.claims.claims import judged
from workflow.report.claims.verdicts import HOLDS, NOT_RUN
from workflow.report.costs import costs_of
from workflow.report.results import gather
from workflow.report.rows import rows_of

ROWS = [
    factory.entry("learned", learn=660_000, size="0.66M"),
    factory.entry("control", size="0.66M"),  # of the learned row's network and size
    factory.entry("other", size="0.20M"),
]


def planned(preset="short", epochs=8, seeds=range(5), **changes):
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": ROWS}}, preset=preset, epochs=epochs, seeds=seeds)
    return replace(plan, runs=tuple(replace(run, **changes) for run in plan.runs)) if changes else plan


def found(plan, results):
    """The costs and the rows by name."""
    evidence = gather(plan, results)
    return costs_of(evidence), {row.id: row for row in rows_of(evidence).values()}


@pytest.fixture
def timed(tmp_path):
    """(plan, results): the learned row was timed, 40 s an epoch of search and 10 s of training."""
    plan = planned()
    factory.write_timing(tmp_path / "times", plan.runs[0], 10.0, search=40.0)
    return plan, tmp_path / "short"


def test_epochs_times_seconds_times_seeds(timed):
    costs, rows = found(*timed)
    assert costs.seconds(rows["learned"]) == 5 * (8 * 10 + 2 * 40)
    assert costs.seconds(rows["learned"], paper=True) == 3 * (4 * 10 + 2 * 40)  # the factory's epochs of the paper
    assert costs.seconds(rows["control"]) == 5 * 8 * 10  # by its neighbour's seconds; it searches nothing
    assert costs.seconds(rows["other"]) is None
    assert costs.about(rows.values()) == "about 20 min on Example GPU for 2 of 3"
    assert costs.about([rows["other"]]) == "" == costs.time([rows["other"]])


def test_the_nearest_size_stands_in_up_to_twice_its_own(tmp_path):
    entries = [factory.entry(name, size=name) for name in ("0.10M", "0.30M", "0.20M", "0.61M")]
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": entries}}, seeds=(0,))
    for run, seconds in zip(plan.runs[:2], (10.0, 30.0), strict=True):
        factory.write_timing(tmp_path / "times", run, seconds)
    costs, rows = found(plan, tmp_path / "paper")
    assert costs.seconds(rows["0.20M"]) == 4 * 30  # 0.30M is nearer than 0.10M, by factors
    assert costs.seconds(rows["0.61M"]) is None  # more than twice 0.30M


def test_what_is_there_is_not_paid_again(timed):
    plan, results = timed
    for run in plan.runs[:2]:
        factory.write_search(results, run, [3, 5])
    costs, rows = found(plan, results)
    assert costs.seconds(rows["learned"]) == 5 * 8 * 10 + 3 * 2 * 40
    for run in plan.runs[:5]:
        factory.write_result(results, run, 80.0)
    costs, rows = found(plan, results)
    assert costs.seconds(rows["learned"]) == 0 and costs.about([rows["learned"]]) == ""


def test_the_faster_convolution_counts_where_the_row_trains_with_it(tmp_path):
    for arguments, each in (({}, 10.0), ({"backend": "fft"}, 4.0)):
        plan = planned(arguments=arguments)
        record = factory.write_timing(tmp_path / "times", plan.runs[5], 10.0)
        factory.write_json(tmp_path / "times/timings/cifar10/control.json", record | {"faster_seconds": 4.0})
        costs, rows = found(plan, tmp_path / "short")
        assert costs.seconds(rows["control"]) == 5 * 8 * each


def test_an_epoch_of_two_passes_costs_two(timed):
    plan, results = timed
    twice = replace(plan.runs[0].train, recipe=replace(plan.runs[0].train.recipe, flip="both"))
    costs, rows = found(replace(plan, runs=tuple(replace(run, train=twice) for run in plan.runs)), results)
    assert costs.seconds(rows["control"]) == 5 * 8 * 2 * 10


def test_made_up_images_cost_nothing_worth_saying(tmp_path):
    plan = planned(preset="smoke")
    factory.write_timing(tmp_path / "times", plan.runs[0], 10.0, search=40.0)
    costs, rows = found(plan, tmp_path / "smoke")
    assert costs.about(rows.values()) == ""


def test_a_timing_that_nothing_disturbed_comes_before_a_nearer_one(timed):
    plan, results = timed
    near = factory.write_timing(results, plan.runs[0], 9.0, search=9.0)
    for agree, train in ((True, 9.0), (False, 10.0)):
        factory.write_json(results / "timings/cifar10/learned.json", near | {"clocks_agree": agree})
        _, rows = found(plan, results)
        assert rows["learned"].timed_on("Example GPU")["train_seconds"] == train


def page(plan, results, out):
    products.write("index", plan, results, out)
    return (out / "index.html").read_text()


@pytest.mark.slow
def test_the_page_says_what_is_not_run_in_hours(tmp_path):
    plan, results = factory.configured_plan(), tmp_path / "results" / "paper"
    assert " on Example GPU" not in page(plan, results, tmp_path / "before")
    run = next(run for run in plan.runs if run.place == "cifar10/effconv-20-0.66m")
    factory.write_timing(results.parent / "times", run, 600.0, search=1200.0)
    after = page(plan, results, tmp_path / "after")
    row = after[after.index('id="table2-effconv-20-0.66m"') :]
    # Three seeds of four epochs of 600 s and two of 1200 s.
    assert "· about 4.0 h on Example GPU" in row[: row.index("</tr>")]
    table = after[after.index('id="table2"') : after.index('id="table3"')]
    assert "rows not run: about 8.0 h on Example GPU for 2 of " in table  # EffConv-20 at 0.50M goes by its seconds
    assert re.search(r"not run at the paper&#39;s protocol, about \d+\.\d h on Example GPU for \d of ", after)


@pytest.mark.slow
def test_ones_own_times_stand_on_the_page_and_decide_claims(tmp_path):
    plan, results = factory.configured_plan(), tmp_path / "results" / "paper"
    claim = lambda: next(claim for claim in judged(gather(plan, results)) if claim.id == "cifar-flexnet-time")
    assert claim().finding.verdict == NOT_RUN
    runs = {run.row: run for run in reversed(plan.runs) if run.dataset == "cifar10"}
    for row, train, search in (("flexnet-16", 80.0, None), ("effconv-20-0.66m", 8.0, 14.0)):
        factory.write_timing(results.parent / "times", runs[row], train, search=search)
    # (2 x 14 + 4 x 8) / 6 = 10 s an epoch of the learned row, an eighth of 80 s.
    (part,) = claim().parts
    assert part.finding.verdict == HOLDS and part.finding.ours.value == pytest.approx(8)
    assert part.devices == ("Example GPU",)
    made = page(plan, results, tmp_path / "out")
    row = made[made.index('id="table2-flexnet-16"') :]
    assert "timed · Example GPU" in row[: row.index("</tr>")] and "<strong>80.0</strong>" in row[: row.index("</tr>")]
    products.write("aggregate", plan, results, tmp_path / "out")
    assert ",80.0," in next(
        line for line in (results / "summary.csv").read_text().splitlines() if line.startswith("cifar10,flexnet-16,")
    )
