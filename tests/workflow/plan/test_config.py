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
        ({2: "a", "sedes": 1}, ["unknown key '2'"]),
        ({"seeds": ["--5"]}, ["key 'seeds.0'", "'--5'", "integer"]),
        ({"seeds": ["²"]}, ["key 'seeds.0'", "integer"]),
        ({"epochs": {"factor": float("nan")}}, ["key 'epochs.factor' is nan", "finite"]),
        ({"time_limit": ".inf"}, ["key 'time_limit' is inf", "finite"]),
        ({"search_options": {"lam": [1, float("-inf")]}}, ["key 'search_options.lam.1' is -inf"]),
        ({"epochs": {"train": 2, "factor": 0.5}}, ["'train' and 'factor'", "take one out"]),
        ({"epochs": {"train": 2}, "short": {"epochs": {"mnist": 3}}}, ["'epochs' and 'short.epochs'", "take one out"]),
    ],
)
def test_a_mistake_gets_one_sentence_with_its_key(monkeypatch, given, words):
    monkeypatch.setattr(config, "cuda_devices", lambda: 0)
    with pytest.raises(UserError) as caught:
        config.load({"preset": "smoke", **given})
    text = str(caught.value)
    assert "\n" not in text and all(word in text for word in words), text


def test_every_key_can_be_given_on_snakemakes_command_line():
    """As its parser hands them on: what is no number or list at first sight stays text, and so does all that stands in brackets."""
    parse = pytest.importorskip("snakemake.cli").parse_config
    words = [
        "preset=smoke",
        "device=cpu",
        "compile=true",
        "deterministic=False",
        "cluster=false",
        "epochs={factor: 0.1}",
        "seeds=[3, 4]",
    ]
    words += ["search_options={hidden: 32, odd_only: true, mask: none, lam: 1e-1}", "only=cifar10/*", "data=2024-01-02"]
    found = config.load(parse(words))
    assert (found["compile"], found["deterministic"], found["cluster"]) == (True, False, False)
    assert found["epochs"] == {"search": 2, "factor": 0.1} and found["seeds"] == [3, 4]
    options = {key: found["search_options"][key] for key in ("hidden", "odd_only", "mask", "lam")}
    assert options == {"hidden": 32, "odd_only": True, "mask": "none", "lam": 0.1}
    assert found["only"] == ["cifar10/*"] and found["data"] == "2024-01-02"


def test_data_may_lie_in_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert config.load({"preset": "smoke", "device": "cpu", "data": "~/sets"})["data"] == "/home/someone/sets"


def test_device_cpu_asks_for_no_gpu(monkeypatch):
    monkeypatch.setattr(config, "cuda_devices", None)  # where the driver does not suit torch, asking raises
    assert config.load({"device": "cpu"})["preset"] == "smoke"
