"""Every verdict that each rule on sizes can give, on made-up results."""

import json
from dataclasses import replace

import pytest
import report_factory as factory
from rule_factory import finding, found

from workflow.report.claims.claims import judge
from workflow.report.claims.rules import Setting
from workflow.report.claims.verdicts import FAILS, HOLDS, NOT_COMPARABLE, NOT_RUN, TOLERANCE, UNDECIDED
from workflow.report.results import gather


def peaked(layer, size=7, count=18):
    return [size if index == layer else 3 for index in range(1, count + 1)]


@pytest.mark.parametrize(
    ("seeds", "verdict"),
    [
        ([peaked(5)] * 3, HOLDS),
        ([peaked(5), peaked(4), peaked(5)], TOLERANCE),
        ([peaked(17)] * 3, FAILS),
        ([peaked(9)] * 3, FAILS),
        ([peaked(5), peaked(17), peaked(9)], UNDECIDED),
        ([peaked(2), peaked(2), peaked(5)], UNDECIDED),  # too early by the mean, but not in every seed
        ([peaked(10), peaked(10), peaked(5)], UNDECIDED),
        ([peaked(9), peaked(9), peaked(4)], UNDECIDED),  # far off, but within the tolerance in one seed
        ([peaked(9), peaked(9), peaked(6)], UNDECIDED),
        ([peaked(4), peaked(4), peaked(5)], TOLERANCE),
        ([peaked(5)] * 2, HOLDS),
        ([peaked(12)] * 3, FAILS),
        ([peaked(13)] * 3, FAILS),
        ([peaked(5)], UNDECIDED),
        ([], NOT_RUN),
    ],
)
def test_largest_layer(tmp_path, seeds, verdict):
    part = {"rule": "largest_layer", "row": "a", "layer": 5, "tolerance": 1, "deepest": 6}
    assert finding(tmp_path, part, sizes={"a": seeds}) == verdict


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([[5, 5, 2, 2]] * 3, [[5, 5, 4, 4]] * 3, HOLDS),
        ([[5, 5, 2, 2]] * 3, [[5, 4, 4, 4]] * 3, TOLERANCE),
        ([[5, 5, 2, 2]] * 3, [[5, 5, 4, 4], [5, 5, 4, 4], [5, 4, 4, 4]], TOLERANCE),
        ([[5, 5, 2, 2]] * 2, [[5, 5, 4, 4]] * 2, HOLDS),
        ([[5, 5, 2, 2]] * 2, [[5, 5, 3, 2]] * 2, HOLDS),
        ([[5, 5, 2, 2]] * 3, [[2, 2, 2, 2]] * 3, FAILS),
        ([[5, 5, 2, 2]], [[5, 5, 4, 4]], UNDECIDED),
        ([[5, 5, 2, 2]], [], NOT_RUN),
    ],
)
def test_first_layers_agree(tmp_path, a, b, verdict):
    part = {"rule": "first_layers_agree", "row": "a", "other": "b", "layers": 2, "tolerance": 0.5}
    assert finding(tmp_path, part, sizes={"a": a, "b": b}) == verdict


def test_kernel_evaluations(tmp_path):
    """By hand: the Gaussian falls to a tenth at 0.075 * sqrt(2 ln 10) = 0.161 of 16 cells, 2.6 of them: 5 x 5 of 33 x 33 are left."""
    names = {"before": {}, "after": {"crop": "after"}, "still": None}
    rows = [factory.entry(name, system="cifar_resnet20" if name == "still" else "flexnet3") for name in names]
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": rows}}, seeds=(0,))
    plan = replace(plan, runs=tuple(replace(run, arguments=names[run.row] or {}) for run in plan.runs))
    evidence = gather(plan, tmp_path)
    judged = lambda row, source="paper", side=33: judge(
        Setting(evidence, "cifar10", source), {"rule": "kernel_evaluations", "row": row, "side_of_input": side}
    )
    assert judged("before").verdict == FAILS and "at 25.0 positions as training starts" in judged("before").measured
    assert judged("after").verdict == HOLDS and judged("after").measured.count("1089") == 3
    assert judged("still").verdict == NOT_RUN and "do not grow" in judged("still").measured
    assert judged("before", "published").verdict == NOT_RUN
    # Nine tenths of the input count as all of it: 1,089 of 34 * 34 = 1,156, but not of 35 * 35 = 1,225.
    assert (judged("after", side=34).verdict, judged("after", side=35).verdict) == (HOLDS, FAILS)


@pytest.mark.parametrize(
    ("sizes", "count", "verdict"),
    [
        ([3, 3, 3], 660_000, HOLDS),
        ([7, 7, 7], 660_000, TOLERANCE),
        ([3, 3, 3], 680_000, TOLERANCE),
        ([3, 3, 3], 650_000, HOLDS),
        ([3, 3, 3], 900_000, FAILS),
    ],
)
def test_searches_settle(tmp_path, sizes, count, verdict):
    part = {"rule": "searches_settle", "budget": 0.02, "drift": 0.1}
    assert finding(tmp_path, part, sizes={"a": [sizes] * 3}, count=count) == verdict


def settled(tmp_path, *searches, rows=None):
    """What `searches_settle` finds on searches with these parameters (of 660,000), soft sizes of one layer by record, and options.

    Each is of a row of its own, or all are seeds of as many `rows`.

    Beside it an ablation that neither settles nor meets its budget, at which the rule does not look.
    """
    total = rows or len(searches)
    entries = [factory.entry(f"row{number}", learn=660_000, paper={"acc": 90.0}) for number in range(total)]
    entries.append(factory.entry("ablation", learn=660_000))
    seeds = len(searches) // total
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": entries}}, seeds=tuple(range(seeds)))
    for run, given in zip(plan.runs, [*searches, *[(10, [1, 7], {"mask": "none"})] * seeds], strict=True):
        if given is None:  # still to come
            continue
        count, soft, options = given
        run = replace(run, search=replace(run.search, options=options))
        factory.write_search(tmp_path, run, [3], parameters=count)
        path = tmp_path / "runs" / run.id / "search.json"
        record = json.loads(path.read_text())
        path.write_text(
            json.dumps({**record, "trajectory": {**record["trajectory"], "soft_sizes": [[size] for size in soft]}})
        )
    part = {"rule": "searches_settle", "budget": 0.02, "drift": 1.0}
    return judge(Setting(gather(plan, tmp_path), "cifar10"), part)


def test_how_far_a_search_moved_in_its_last_tenth(tmp_path):
    # Of 20 records the last tenth begins after the 18th: 18 -> 20. Of 10: 9 -> 10. Of one: not at all.
    for name, soft, moved in (
        ("20", range(1, 21), "2.00"),
        ("10", range(1, 11), "1.00"),
        ("1", [4], "0.00"),
        ("0", [], "0.00"),
    ):
        outcome = settled(tmp_path / name, (660_000, list(soft), {}))
        assert f"moved by at most {moved} in the last tenth" in outcome.measured, name
        assert outcome.verdict == (TOLERANCE if moved == "2.00" else HOLDS), name


def test_searches_settle_by_the_worst_of_all(tmp_path):
    outcome = settled(tmp_path, None, (660_000, [3] * 10, {}), (679_800, [3] * 10, {}))  # 3% above
    assert outcome.verdict == TOLERANCE
    assert outcome.measured.startswith("2 searches with the same options: after the last step 0.0, 3.0 % off")
    outcome = settled(tmp_path / "far", (660_000, [3] * 10, {}), (528_000, [3] * 10, {}))  # 20% below
    assert outcome.verdict == FAILS and "0.0, 20.0 % off" in outcome.measured


def test_the_last_step_counts_and_not_the_one_that_was_chosen_by_its_count(tmp_path):
    """Algorithm 1 ends with the last step; the sizes that are trained are of a step that is chosen for meeting the budget."""
    part = {"rule": "searches_settle", "budget": 0.02, "drift": 1.0}
    plan = factory.plan_of(
        {"table2": {"dataset": "cifar10", "rows": [factory.entry("a", learn=660_000, paper={"acc": 90.0})]}}
    )
    for run in plan.runs:
        record = factory.write_search(tmp_path, run, [3, 3])
        path = tmp_path / "runs" / run.id / "search.json"
        path.write_text(json.dumps({**record, "last": {"parameters": 660_000 + 66_000 * run.seed}}))
    outcome = judge(Setting(gather(plan, tmp_path), "cifar10"), part)
    assert outcome.verdict == FAILS and "after the last step 0.0, 10.0, 20.0 % off" in outcome.measured


def test_searches_with_options_of_their_own_are_not_one_setting(tmp_path):
    for name, others in (
        ("two", [{"mask_centre": "centred"}]),
        ("three", [{"mask_centre": "centred"}, {"even_padding": "start"}]),
    ):
        searches = [(660_000, [3] * 10, options) for options in ({}, *others)]
        outcome = settled(tmp_path / name, *searches)
        assert outcome.verdict == FAILS and f"{len(searches)} searches with different options" in outcome.measured


def test_a_seed_that_was_searched_otherwise_does_not_count_beside_those_of_its_row(tmp_path):
    same = (660_000, [3] * 10, {})
    outcome = settled(tmp_path, same, same, (10, [1, 7], {"mask_centre": "centred"}), rows=1)
    assert outcome.verdict == HOLDS and outcome.measured.startswith("2 searches with the same options")


def test_a_single_search_late_in_the_network_decides_nothing(tmp_path):
    part = {"rule": "largest_layer", "row": "a", "layer": 5, "tolerance": 1, "deepest": 6}
    assert finding(tmp_path, part, sizes={"a": [peaked(17)]}) == UNDECIDED
    assert finding(tmp_path / "two", part, sizes={"a": [peaked(17)] * 2}) == FAILS


def test_searches_settle_without_a_search(tmp_path):
    assert (
        finding(
            tmp_path, {"rule": "searches_settle", "budget": 0.02, "drift": 0.1}, accuracies={"a": [92.3, 92.35, 92.4]}
        )
        == NOT_RUN
    )


def test_sizes_of_a_result_whose_search_is_lost_say_nothing_of_the_search(tmp_path):
    rows = [factory.entry("a", learn=660_000, paper={"acc": 90.0})]
    plan = factory.plan_of({"table2": {"dataset": "cifar10", "rows": rows}}, seeds=(0,))
    factory.write_result(tmp_path, plan.runs[0], 90.0, sizes=[3, 3])
    (tmp_path / "runs" / plan.runs[0].id / "search.json").unlink(missing_ok=True)
    setting = Setting(gather(plan, tmp_path), "cifar10")
    assert setting.row("a").sizes == [[3, 3]]
    assert judge(setting, {"rule": "searches_settle", "budget": 0.02, "drift": 0.1}).verdict == NOT_RUN


def test_searches_with_a_printed_value_changed_are_not_the_papers(tmp_path):
    outcome = settled(tmp_path, (660_000, [3] * 10, {"lr_size_predictor": 0.03}))
    assert outcome.verdict == NOT_COMPARABLE and outcome.measured == "1 searches, none by the paper's protocol"


def test_a_tie_of_layers_says_so(tmp_path):
    part = {"rule": "largest_layer", "row": "a", "layer": 5, "tolerance": 1, "deepest": 6}
    both = [7 if index in (5, 9) else 3 for index in range(1, 19)]
    said = found(tmp_path, part, sizes={"a": [both, both]})
    assert said.measured == "largest mean size 7.0 in layers 5, 9 (a tie); by seed: layers 5, 9; 5, 9"
    assert said.verdict == TOLERANCE  # the fifth is one of the largest, and none of them is deep
    late = [7 if index in (9, 10) else 3 for index in range(1, 19)]
    assert finding(tmp_path / "late", part, sizes={"a": [late, late]}) == FAILS
