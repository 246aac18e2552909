"""What is chosen first, on a plan small enough to weigh by hand."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from made_plans import a_plan, a_run, an_entry

from workflow.campaign import campaign, priorities
from workflow.campaign.conduct import presets_of
from workflow.campaign.priorities import Chooser, claims, shares
from workflow.plan.steps import Step, steps
from workflow.protocol.runs import SizesFrom


@pytest.fixture
def plan():
    """A table of two rows and one that is quoted; a chapter that the plain report leaves out."""
    return a_plan(
        [
            a_run("mnist/a"), a_run("mnist/a", 1), a_run("mnist/b", searched=True), a_run("mnist/b", 1, searched=True),
            a_run("mnist/c"),
        ],
        on_demand=("mnist/c",),
        tables={
            "table1": an_entry("mnist", {"a": "net", "b": "net", "quoted": None}),
            "chapter": an_entry("mnist", {"c": "net"}, "chapter"),
        },
    )  # fmt: skip


LAYER = {"layer": 5, "tolerance": 1, "deepest": 6}
CLAIMS = [
    {"id": "accuracy", "dataset": "mnist", "parts": [{"rule": "beats", "better": "b", "worse": "a"}]},
    {"id": "speed", "dataset": "mnist", "parts": [{"rule": "faster", "slow": "a", "fast": "b"}]},
    {
        "id": "quoted",
        "dataset": "mnist",
        "parts": [{"rule": "on_par", "row": "a", "other": "quoted", "tolerance": 0.3}],
    },
    {"id": "printed", "dataset": "mnist", "parts": [{"rule": "rises", "rows": ["quoted"]}]},
]


def train(row: str, seed: int) -> Step:
    return Step("train", f"mnist/{row}/seed{seed}")


def with_rows(plan, change):
    """The plan with each row of its table changed."""
    table = plan.tables["table1"]
    return replace(plan, tables={**plan.tables, "table1": replace(table, rows=tuple(map(change, table.rows)))})


def test_what_has_to_come_first(plan):
    found = steps(plan)
    assert found[train("b", 1)] == (Step("search", "mnist/b/seed1"),)
    assert found[Step("time", "mnist/b")] == (Step("search", "mnist/b/seed0"),)
    assert found[train("a", 0)] == () and len(found) == 5 + 2 + 3
    assert steps(replace(plan, unavailable={"mnist": "not here."})) == {}


def test_a_row_whose_rule_starts_from_a_search_waits_for_it(plan):
    derived = a_run("mnist/d", sizes=SizesFrom(rule="of", run="mnist/b/seed1"))
    plan = replace(plan, runs=(*plan.runs, derived))
    found = steps(plan)
    assert found[train("d", 0)] == found[Step("time", "mnist/d")] == (Step("search", "mnist/b/seed1"),)


def test_a_tables_worth_is_one_in_all(plan):
    worth = shares(plan, steps(plan))
    # Two measured rows, each with two seeds and its seconds: six parts.
    assert worth[train("a", 0)] == worth[Step("time", "mnist/b")] == pytest.approx(1 / 6)
    assert worth[Step("search", "mnist/b/seed0")] == worth[train("c", 0)] == 0
    assert sum(worth.values()) == pytest.approx(1)


def test_what_claims_rest_on(plan):
    found = claims(plan, steps(plan), CLAIMS)
    assert found["accuracy"] == {train(row, seed) for row in "ab" for seed in (0, 1)}
    assert found["speed"] == {Step("time", "mnist/a"), Step("time", "mnist/b")}
    assert found["quoted"] == {train("a", 0), train("a", 1)} and "printed" not in found


def cost(step: Step) -> float:
    return {"time": 1.0, "search": 10.0, "train": 100.0}[step.stage]


def test_best_value_comes_first(plan):
    chooser = Chooser(plan, set(), cost, CLAIMS)
    first = chooser.next()  # seconds of a: 1/6 in 1 s; both rows' seconds and the claim, with a search: 4/3 in 12 s
    assert first.steps == (Step("time", "mnist/a"),) and first.worth == pytest.approx(1 / 6)
    second = chooser.next()  # now 7/6 in 11 s, more than a seed of a: 1/6 in 100 s
    assert second.steps == (Step("search", "mnist/b/seed0"), Step("time", "mnist/b")) and second.claims == ("speed",)
    third = chooser.next()  # both seeds of a: 1/3 and the claim with a quoted row, in 200 s
    assert set(third.steps) == {train("a", 0), train("a", 1)} and third.worth == pytest.approx(4 / 3)
    fourth = chooser.next()  # all that is left: 1/3 and the last claim in 210 s
    assert fourth.claims == ("accuracy",) and fourth.seconds == 210
    assert chooser.next() is None  # the chapter's row is worth nothing to the plain report


def test_nothing_is_chosen_that_does_not_fit_or_is_done(plan):
    assert [choice.steps for choice in Chooser(plan, set(), cost, CLAIMS).all(11)] == [(Step("time", "mnist/a"),)]
    done = {Step("time", "mnist/a"), Step("search", "mnist/b/seed0")}
    first = Chooser(plan, done, cost, CLAIMS).next(1)
    assert first.steps == (Step("time", "mnist/b"),) and first.claims == ("speed",)


def test_the_best_of_some_hours_is_printed_with_what_it_decides(plan, tmp_path, monkeypatch, capsys):
    """As above: 1 + 11 + 200 s, and of the 148 s left of 360 a seed of b for 100; 1/6 + 7/6 + 4/3 + 1/6 of worth."""
    monkeypatch.setattr(priorities.written, "definitions", lambda: CLAIMS)
    monkeypatch.setattr(campaign, "recorded_folders", lambda: [])
    campaign.print_best(plan, tmp_path, SimpleNamespace(seconds=lambda step: (cost(step), "by hand")), 0.1)
    title, *lines, total = capsys.readouterr().out.splitlines()
    assert title.startswith("Best value for 0.1 h") and len(lines) == 4
    assert lines[1].split() == ["11", "s", "search", "mnist/b/seed0,", "time", "mnist/b;", "decides", "speed"]
    assert total == "4 choices, 5 min: 2 claims decided, worth 2.8 in all."


@pytest.mark.parametrize(
    ("user", "device", "presets"),
    [
        ({}, "cuda", ["short", "paper"]),
        ({"preset": "auto"}, "cuda", ["short", "paper"]),
        ({"preset": "paper"}, "cuda", ["paper"]),
        ({}, "cpu", ["short"]),
    ],
)
def test_a_gpu_gets_the_short_protocol_and_then_the_papers(user, device, presets):
    assert presets_of(user, {"preset": presets[0], "device": device}) == presets


def test_every_step_comes_after_what_it_needs(plan):
    order = [step for choice in Chooser(plan, set(), cost, CLAIMS).all() for step in choice.steps]
    assert len(order) == len(set(order)) == 8
    for step, before in steps(plan).items():
        assert all(order.index(one) < order.index(step) for one in before if step in order)


def test_sizes_ask_for_searches_and_counts_for_one_network(plan):
    plan = with_rows(
        plan, lambda row: replace(row, learn={"parameters": 660_000}, in_paper=True) if row.row == "b" else row
    )
    given = [
        {"id": "sizes", "dataset": "mnist", "parts": [{"rule": "largest_layer", "row": "b", **LAYER}]},
        {
            "id": "counts",
            "dataset": "mnist",
            "parts": [{"rule": "parameter_ratio", "large": "a", "small": "b", "ratio": 3.0, "tolerance": 0.1}],
        },
        {"id": "searches", "dataset": "mnist", "parts": [{"rule": "searches_settle", "budget": 0.02, "drift": 0.5}]},
        {"id": "unsearched", "dataset": "mnist", "parts": [{"rule": "largest_layer", "row": "a", **LAYER}]},
    ]
    found = claims(plan, steps(plan), given)
    assert found["sizes"] == found["searches"] == {Step("search", "mnist/b/seed0"), Step("search", "mnist/b/seed1")}
    assert found["counts"] == {train("a", 0), train("b", 0)}
    assert found["unsearched"] == {train("a", 0), train("a", 1)}


def test_the_most_accurate_row_of_a_table_rests_on_every_row_of_it(plan):
    plan = with_rows(plan, lambda row: replace(row, in_paper=True))
    given = [{"id": "best", "dataset": "mnist", "parts": [{"rule": "best", "row": "b", "table": "table1"}]}]
    assert claims(plan, steps(plan), given)["best"] == {train(row, seed) for row in "ab" for seed in (0, 1)}
