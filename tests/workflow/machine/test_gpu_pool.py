"""How many jobs share a GPU by default: chosen by measurement, kept by the card's name, asked for by pool and campaign."""

import json

import pytest

from workflow.campaign import conduct
from workflow.machine import gpu_pool, lease
from workflow.plan.config import load
from workflow.plan.make import make_plan
from workflow.plan.steps import Step
from workflow.support.errors import UserError


def test_the_fewest_that_reach_nearly_the_most():
    assert gpu_pool.best({1: 100.0, 2: 190.0, 3: 200.0, 4: 198.0}) == 2  # 95% of the most
    assert gpu_pool.best({1: 100.0, 2: 189.0, 3: 200.0}) == 3
    assert gpu_pool.best({1: 100.0, 2: 60.0}) == 1


def test_the_best_number_is_one_that_the_card_has_room_for():
    speeds = {1: 100.0, 2: 190.0, 4: 300.0, 8: 400.0}
    assert gpu_pool.fitting(speeds, memory_mb=2_000, card_mb=80_000) == 8
    assert gpu_pool.fitting(speeds, memory_mb=15_100, card_mb=80_000) == 4  # 0.9 of 80,000 MB have room for 4.8 of them
    assert gpu_pool.fitting(speeds, memory_mb=90_000, card_mb=80_000) == 1


def card(number, **kinds):
    return {"side_by_side": {"train": number, **kinds}}


def test_cards_are_kept_by_name_and_a_local_check_wins(tmp_path):
    here, recorded = tmp_path / "here" / "selfcheck.json", tmp_path / "recorded.json"
    gpu_pool.keep("NVIDIA H200", card(3), recorded)
    gpu_pool.keep("NVIDIA T4", card(2), recorded)
    gpu_pool.keep("NVIDIA H200", card(6, growing=7, literal=1), here)
    files = (here, recorded)
    assert json.loads(recorded.read_text()) == {"NVIDIA H200": card(3), "NVIDIA T4": card(2)}
    assert gpu_pool.per_gpu(["NVIDIA H200", "NVIDIA H200"], files) == 6  # the literal search has a card to itself
    assert gpu_pool.per_gpu(["NVIDIA H200", "NVIDIA T4"], files) == 1  # a T4 with growing kernels is not known
    assert gpu_pool.per_gpu(["another"], files) == gpu_pool.per_gpu([], files) == 1
    of = lambda kind: gpu_pool.side_by_side(["NVIDIA H200"], kind, gpu_pool.known(files))
    assert [of(kind) for kind in ("train", "growing", "search", "literal")] == [6, 7, 1, 1]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"NVIDIA H200": {}}',
        '{"NVIDIA H200": {"side_by_side": 3}}',
        '{"NVIDIA H200": {"side_by_side": {"train": 0}}}',
        '{"a": {"side_by_side": {"train": 17}}}',
        '{"a": 3}',
        '{"a": {"side_by_side": {}, "macs_per_second": {"train": 0}}}',
        '{"a": {"side_by_side": {}, "driver": NaN}}',
        '{"a": {"side_by_side": {}, "speeds": [1e999]}}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, content):
    path = tmp_path / "selfcheck.json"
    path.write_text(content)
    with pytest.raises(
        UserError, match=r"selfcheck\.json is damaged .*: remove it, and run `python -m workflow check` again"
    ):
        gpu_pool.per_gpu(["NVIDIA H200"], (path, tmp_path / "none.json"))
    assert path.read_text() == content


def test_the_pool_takes_what_was_measured_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gpu_pool.keep("NVIDIA H200", card(3))
    cards = ["NVIDIA H200", "NVIDIA H200"]
    assert lease.pool({"device": "cuda"}, lambda: cards) == 6
    assert lease.pool({"device": "cuda", "per_gpu": 2}, lambda: cards) == 4
    assert lease.pool({"device": "cuda"}, lambda: ["unheard of"]) == 1


CENTRAL = {"preset": "short", "device": "cpu", "seeds": [0], "only": ["cifar10/effconv-20-0.66m", "cifar10/flexnet-16"]}


def test_jobs_share_a_card_by_their_kind(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(conduct, "cuda_names", lambda: ["pretended", "pretended"])
    gpu_pool.keep("pretended", card(4, growing=2, search=3))
    plan = make_plan(load(CENTRAL))
    share = conduct.share_of({"device": "cuda"}, plan, threads=2)
    run = "cifar10/effconv-20-0.66m/seed0"
    steps = Step("train", run), Step("search", run), Step("train", "cifar10/flexnet-16/seed0")
    assert [share(step) for step in steps] == [1 / 8, 1 / 6, 1 / 4]
    share = conduct.share_of({"device": "cuda", "per_gpu": 5}, plan, threads=2)
    assert {share(step) for step in steps} == {1 / 10}
    assert conduct.share_of({"device": "cuda"}, plan, threads=2, jobs=3)(steps[0]) == 1 / 3


def test_a_literal_search_is_a_kind_of_its_own():
    plan = make_plan(load({**CENTRAL, "search_options": {"kernel_predictor": "literal"}}))
    run = plan.by_id["cifar10/effconv-20-0.66m/seed0"]
    assert [gpu_pool.kind_of(run, stage) for stage in ("search", "train")] == ["literal", "train"]


def test_on_a_cpu_the_cores_decide(monkeypatch):
    monkeypatch.setattr(conduct.os, "cpu_count", lambda: 8)
    assert conduct.share_of({"device": "cpu"}, None, threads=2)(None) == 1 / 4
    assert conduct.share_of({"device": "cpu"}, None, threads=16)(None) == 1
