"""The configuration: precedence, presets, and a sentence for every mistake."""

import pytest

from workflow.plan import config
from workflow.support.errors import UserError


def test_merge_replaces_lists_and_merges_mappings():
    base = {"seeds": [0, 1, 2], "epochs": {"search": 1, "train": 2}, "data": "a"}
    over = {"seeds": [7], "epochs": {"train": 5}}
    assert config.merge(base, over) == {"seeds": [7], "epochs": {"search": 1, "train": 5}, "data": "a"}


@pytest.mark.parametrize("preset", config.PRESETS)
def test_every_preset_is_valid(preset):
    loaded = config.load({"preset": preset, "device": "cpu"})
    seeds = 5 if preset == "short" else 3
    assert loaded["seeds"] == list(range(seeds)) and loaded["preset"] == preset and loaded["why"]


def test_auto_is_smoke_without_cuda_and_short_with(monkeypatch):
    monkeypatch.setattr(config, "cuda_devices", lambda: 0)
    assert (config.load()["preset"], config.load()["device"]) == ("smoke", "cpu")
    monkeypatch.setattr(config, "cuda_devices", lambda: 1)
    assert (config.load()["preset"], config.load()["device"]) == ("short", "cuda")


def test_seeds_from_the_command_line_come_as_text():
    assert config.load({"seeds": ["3", "4"], "preset": "smoke"})["seeds"] == [3, 4]
    assert config.load({"seeds": 5, "preset": "smoke"})["seeds"] == [5]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"sedes": [1]}, ["unknown key 'sedes'", "'seeds'"]),
        ({"timing": {"slice": 3}}, ["unknown key 'timing.slice'", "'slices'"]),
        ({"seeds": ["one"]}, ["key 'seeds.0'", "'one'", "integer"]),
        ({"seeds": [1.5]}, ["key 'seeds.0'", "1.5", "integer"]),
        ({"preset": "papr"}, ["key 'preset'", "'papr'", "smoke"]),
        ({"precision": "fp8"}, ["key 'precision'", "'fp8'", "bf16"]),
        ({"epochs": {"factor": 0}}, ["key 'epochs.factor'", "0"]),
        ({"device": "cuda"}, ["key 'device'", "no CUDA device", "cpu"]),
    ],
)
def test_a_mistake_gets_one_sentence_with_its_key(monkeypatch, given, words):
    monkeypatch.setattr(config, "cuda_devices", lambda: 0)
    with pytest.raises(UserError) as caught:
        config.load({"preset": "smoke", **given})
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text


def test_device_cpu_asks_for_no_gpu(monkeypatch):
    monkeypatch.setattr(config, "cuda_devices", None)  # where the driver does not suit torch, asking raises
    assert config.load({"device": "cpu"})["preset"] == "smoke"
