"""Held-out images, and the learning rate that goes by them: which, how many, when, and the same after a stop."""

import json

import pytest
import torch

from workflow import engine
from workflow.engine.randomness import generator
from workflow.engine.validation import rate_scale, split

VGG5 = {"recipe": "vgg5_adam", "epochs": 4, "batch_size": 16}


def test_a_split_is_fixed_and_in_proportion(tiny):
    data = tiny.made_up(train=600, test=4)
    images, labels, (aside, aside_labels) = split(data, 5000, 60_000)
    assert len(images) == len(labels) == 550 and len(aside) == len(aside_labels) == 50
    both = sorted(image.tobytes() for part in (images, aside) for image in part)
    assert both == sorted(image.tobytes() for image in data.train.images)
    again = split(data, 5000, 60_000)
    assert (again[0] == images).all() and (again[2][1] == aside_labels).all()
    assert split(data, 0, 60_000)[2] is None and len(split(data, 0, 60_000)[0]) == 600
    assert len(split(tiny.made_up(train=8, test=4), 5000, 60_000)[2][0]) == 1  # never none


def test_the_real_split_is_45000_and_5000(real_data):
    from types import SimpleNamespace

    import numpy as np

    with np.load(real_data / "cifar10" / "train.npz") as file:
        images, labels = (file[name] for name in file.files[:2])
    train = SimpleNamespace(images=images[:, ::16, ::16], labels=labels)
    kept, _, (aside, aside_labels) = split(SimpleNamespace(train=train), 5000, 50_000)
    assert (len(kept), len(aside)) == (45_000, 5_000)
    counts = np.bincount(aside_labels.ravel())
    assert abs(counts - 500).max() < 5 * (500 * 0.9 * 0.9) ** 0.5  # hypergeometric


def rows(*accuracies: float) -> list[dict]:
    return [{"epoch": n, "validation_accuracy": a} for n, a in enumerate(accuracies, 1)]


def drawn(epoch: int, seed: int = 0) -> float:
    return torch.rand((), generator=generator(seed, "train", "rate", epoch), dtype=torch.float64).item() ** 3


def test_the_rate_changes_after_an_epoch_that_is_not_the_best_and_stays():
    assert rate_scale([], seed=0) == rate_scale(rows(90, 91), seed=0) == 1.0
    assert rate_scale(rows(90, 90), seed=0) == drawn(2)  # equal is not better
    assert rate_scale(rows(90, 80, 95), seed=0) == drawn(2)
    assert rate_scale(rows(90, 80, 95, 94), seed=0) == drawn(4)
    assert rate_scale(rows(90, 80), seed=1) == drawn(2, seed=1) != drawn(2)
    scales = torch.tensor([rate_scale(rows(90, 80), seed=n) for n in range(2000)])
    assert scales.mean().item() == pytest.approx(1 / 4, abs=0.02)  # the mean of u^3
    assert scales.min() > 0 and scales.max() < 1


def history(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_training_follows_the_rule_and_a_stop_changes_nothing(tiny, tmp_path):
    data = tiny.made_up(size=28, channels=1)
    run = tiny.run(dataset="mnist", search=None, train=VGG5, system="dropout")
    options = {"kernel_sizes": None, "digest": "d", "log": lambda text: None}
    engine.train(run, data, tmp_path / "whole", **options)
    whole = history(tmp_path / "whole")
    expected = [0.005 * rate_scale(whole[:n], seed=0) for n in range(4)]
    assert [row["lr"] for row in whole] == pytest.approx(expected, rel=1e-12)
    assert len(set(expected)) > 1
    assert all(0 <= row["validation_accuracy"] <= 100 for row in whole)
    for _ in range(20):
        try:
            engine.train(run, data, tmp_path / "sittings", deadline=0.0, **options)
        except engine.OutOfTime:
            continue
        break
    timing = ("seconds", "evaluation_seconds")
    without = lambda found: [{key: value for key, value in row.items() if key not in timing} for row in found]
    assert without(history(tmp_path / "sittings")) == without(whole)
    states = [torch.load(tmp_path / name / "train.pt", weights_only=True)["model"] for name in ("whole", "sittings")]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
