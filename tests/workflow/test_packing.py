"""How many jobs share a GPU by default: chosen by measurement, kept by the card's name, asked for by pool and campaign."""

import json

import pytest

from workflow.campaign import campaign
from workflow.machine import gpu_pool, lease
from workflow.support.errors import UserError

H200 = {"NVIDIA H200": {"side_by_side": 3}}


def test_the_fewest_that_reach_nearly_the_most():
    assert gpu_pool.best({1: 100.0, 2: 190.0, 3: 200.0, 4: 198.0}) == 2  # 95% of the most
    assert gpu_pool.best({1: 100.0, 2: 189.0, 3: 200.0}) == 3
    assert gpu_pool.best({1: 100.0, 2: 60.0}) == 1


def test_cards_are_kept_by_name_and_a_local_measurement_wins(tmp_path):
    here, recorded = tmp_path / "here" / "packing.json", tmp_path / "recorded.json"
    gpu_pool.keep("NVIDIA H200", {"side_by_side": 3}, recorded)
    gpu_pool.keep("NVIDIA T4", {"side_by_side": 2}, recorded)
    gpu_pool.keep("NVIDIA H200", {"side_by_side": 6}, here)
    files = (here, recorded)
    assert json.loads(recorded.read_text()) == {**H200, "NVIDIA T4": {"side_by_side": 2}}
    assert gpu_pool.per_gpu(["NVIDIA H200", "NVIDIA H200"], files) == 6
    assert gpu_pool.per_gpu(["NVIDIA H200", "NVIDIA T4"], files) == 2
    assert gpu_pool.per_gpu(["NVIDIA H200", "another"], files) == 1
    assert gpu_pool.per_gpu([], files) == 1


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"NVIDIA H200": {}}',
        '{"NVIDIA H200": {"side_by_side": 0}}',
        '{"a": {"side_by_side": 17}}',
        '{"a": 3}',
    ],
)
def test_a_damaged_file_is_named_with_what_to_do(tmp_path, content):
    path = tmp_path / "packing.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"packing\.json is damaged .*: remove it, and measure again"):
        gpu_pool.per_gpu(["NVIDIA H200"], (path, tmp_path / "none.json"))
    assert path.read_text() == content


def test_the_pool_takes_what_was_measured_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gpu_pool.keep("NVIDIA H200", {"side_by_side": 3})
    cards = ["NVIDIA H200", "NVIDIA H200"]
    assert lease.pool({"device": "cuda"}, lambda: cards) == 6
    assert lease.pool({"device": "cuda", "per_gpu": 2}, lambda: cards) == 4
    assert lease.pool({"device": "cuda"}, lambda: ["unheard of"]) == 1


@pytest.fixture
def on_a_gpu(tmp_path, monkeypatch):
    """A machine with one pretended GPU; the list of measurements that a campaign asks for."""
    from workflow.campaign import measure_packing as engine

    asked = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(campaign, "cuda_names", lambda: ["pretended"])

    def measure(config, counts, seconds):
        asked.append(tuple(counts))
        gpu_pool.keep("pretended", {"side_by_side": 4})

    monkeypatch.setattr(engine, "measure", measure)
    return asked


def test_a_long_campaign_measures_first_and_once(on_a_gpu, tmp_path):
    config, out = {"device": "cuda"}, tmp_path / "out"
    assert campaign.slots(config, out, threads=2, minutes=10) == 1 and not on_a_gpu and not out.exists()
    assert campaign.slots(config, out, threads=2, minutes=30) == 4 and on_a_gpu == [gpu_pool.COUNTS]
    assert campaign.slots(config, out, threads=2, minutes=30) == 4 and len(on_a_gpu) == 1
    assert campaign.slots({**config, "per_gpu": 2}, out, threads=2, minutes=30) == 2
    assert gpu_pool.read(out / "packing.json") == {"pretended": {"side_by_side": 4}}  # goes home with the results


def test_on_a_cpu_the_cores_decide(monkeypatch, tmp_path):
    monkeypatch.setattr(campaign.os, "cpu_count", lambda: 8)
    assert campaign.slots({"device": "cpu"}, tmp_path, threads=2, minutes=30) == 4
    assert campaign.slots({"device": "cpu"}, tmp_path, threads=16, minutes=30) == 1
