"""Recipes against torch's schedulers, the closed forms and the published numbers."""

import math
from dataclasses import replace

import pytest
import torch

from workflow.engine import schedules
from workflow.protocol import recipes
from workflow.protocol.recipes import Recipe, recipe
from workflow.support.errors import UserError

DEFINED = [(name, dataset) for name, entry in recipes._table().items() for dataset in entry["datasets"]]


def rates(rule: Recipe, steps: int, every: int = 1, base: float | None = None) -> list[float]:
    """Rates of the first steps, with `every` steps in an epoch."""
    return [schedules.rate(rule, step, every, base) for step in range(steps)]


def rate(rule: Recipe, epoch: float, base: float | None = None, steps: int = 1000) -> float:
    """The rate of the step that begins so many epochs after the start."""
    return schedules.rate(rule, round(epoch * steps), steps, base)


def scheduled(make, lr: float, steps: int, every: int = 1) -> list[float]:
    """Rates of a torch scheduler that is advanced every `every` steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    scheduler, seen = make(optimizer), []
    for step in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            scheduler.step()
    return seen


@pytest.mark.parametrize(
    ("name", "dataset", "published"),
    [
        ("resnet_sgd", "cifar10", {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 1e-4,
         "batch_size": 128, "pad": 4, "pad_mode": "zero", "flip": "random", "normalisation": "per-pixel-mean"}),
        ("wrn_sgd", "cifar10", {"nesterov": True, "weight_decay": 5e-4, "epochs": 200, "batch_size": 128, "pad_mode": "reflect",
         "normalisation": "wrn", "milestones": (60, 120, 160), "gamma": 0.2}),
        ("imagenet32_wrn", "imagenet32", {"lr": 0.01, "weight_decay": 1e-3, "decay_biases": False, "epochs": 40,
         "milestones": (10, 20, 30), "gamma": 0.2, "passes": 2}),
        ("flexconv_adam", "cifar10", {"optimizer": "adam", "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "lr": 0.01,
         "batch_size": 64, "epochs": 350, "flip": "random"}),
        ("flexconv_adam", "mnist", {"batch_size": 64, "epochs": 350, "flip": "none"}),
        ("flexconv_adam", "stl10", {"batch_size": 256, "epochs": 100, "flip": "none"}),
        ("flexconv_adam", "imagenet32", {"batch_size": 2048, "epochs": 350, "flip": "random"}),
        ("ckconv_siren_adam", "cifar10", {"lr": 0.001, "schedule": "warmup_cosine", "warmup_epochs": 5, "eta_min": 1e-6}),
        ("capsnet_adam", "mnist", {"optimizer": "adam", "eps": 1e-7, "batch_size": 16, "epochs": 150, "weight_decay": 0.0,
         "augmentation": "capsnet", "normalisation": "unit-256", "held_out": 0}),
        ("nin_sgd", "mnist", {"momentum": 0.9, "weight_decay": 1e-4, "batch_size": 128, "epochs": 80, "pad": 0, "flip": "none",
         "augmentation": "none", "normalisation": "per-pixel-mean", "held_out": 0}),
        ("vgg5_adam", "mnist", {"optimizer": "adam", "lr": 0.005, "batch_size": 100, "epochs": 200, "held_out": 5000,
         "augmentation": "perspective-rotation", "normalisation": "dataset", "weight_decay": 0.0}),
        *((name, "cifar10", {"optimizer": "sgd", "momentum": 0.9, "nesterov": False, "batch_size": 128, "pad": 4, "pad_mode": "zero",
           "flip": "random", "lr": lr, "weight_decay": decay, "epochs": epochs, "milestones": milestones, "gamma": 0.1,
           "held_out": held_out, "drop_last": name == "dcn_sgd", "normalisation": "unit" if name == "dcn_sgd" else "wrn"})
          for name, lr, decay, epochs, milestones, held_out in (
              ("njet_nin_sgd", 0.1, 5e-4, 90, (30, 60), 5000),
              ("njet_allcnn_sgd", 0.05, 1e-3, 350, (200, 250, 300), 5000),
              ("njet_resnet_sgd", 0.1, 1e-4, 164, (81, 122), 5000),
              ("dcn_sgd", 0.1, 0.0, 200, (80, 140), 0),
          )),
    ],
)  # fmt: skip
def test_published_settings(name, dataset, published):
    found = recipe(name, dataset)
    assert {field: getattr(found, field) for field in published} == published


@pytest.mark.parametrize(
    ("name", "dataset", "images", "steps"),
    [
        ("resnet_sgd", "cifar10", 50_000, 391),  # the last batch has 80 images
        ("flexconv_adam", "mnist", 60_000, 938),
        ("flexconv_adam", "cifar10", 50_000, 782),
        ("flexconv_adam", "stl10", 5_000, 20),
        ("flexconv_adam", "imagenet32", 1_281_167, 626),
        ("imagenet32_wrn", "imagenet32", 1_281_167, 20_018),  # 2 x 1,281,167 / 128, the rest dropped
        ("capsnet_adam", "mnist", 60_000, 3750),
    ],
)
def test_published_steps_per_epoch(name, dataset, images, steps):
    assert recipe(name, dataset).steps_per_epoch(images) == steps


def test_resnet_sgd_has_he_et_als_steps():
    rule = recipe("resnet_sgd", "cifar10")
    # 32,000, 48,000 and 64,000 steps, to the nearest epoch
    assert [round(n / 391) for n in (32_000, 48_000, 64_000)] == [*rule.milestones, rule.epochs]


@pytest.mark.parametrize(("name", "dataset"), DEFINED)
def test_multistep_is_torchs(name, dataset):
    rule = recipe(name, dataset)
    if rule.schedule == "multistep":
        torchs = lambda o: torch.optim.lr_scheduler.MultiStepLR(o, rule.milestones, rule.gamma)
        expected = scheduled(torchs, rule.lr, 3 * rule.epochs, every=3)
        assert rates(rule, 3 * rule.epochs, every=3) == pytest.approx(expected, rel=1e-12)


def test_biases_have_a_rate_of_their_own():
    """Network in Network: twice the weights' rate for biases, divided with it after 60 and 70 epochs."""
    found = [rate(recipe("nin_sgd", "mnist"), epoch, 0.2) for epoch in (0, 59, 60, 69, 70, 79)]
    assert found == pytest.approx([0.2, 0.2, 0.02, 0.02, 0.002, 0.002])


@pytest.mark.parametrize("base", [None, 0.001])
def test_flexconv_adam_is_the_closed_form(base):
    rule, b = recipe("flexconv_adam", "cifar10"), 0.01 if base is None else base
    found = rates(rule, 350 * 782 + 1, 782, base)
    warmup, length = 5 * 782, 345 * 782
    assert found[0] == 0 and found[1] == pytest.approx(b / 3910) and found[warmup] == pytest.approx(b)
    assert (peak := found[warmup + 1]) == pytest.approx(b * 3911 / 3910)
    assert found[warmup + 1 + length // 2] == pytest.approx((peak + 1e-6) / 2)
    assert schedules.rate(rule, warmup + 1 + length, 782, base) == pytest.approx(1e-6)


def test_flexconv_adam_follows_torchs_cosine_after_its_warm_up():
    rule = recipe("flexconv_adam", "stl10").with_epochs(20)  # one epoch of warm-up
    assert rule.warmup_epochs == 1
    cosine = lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 19 * 4, eta_min=1e-6)
    expected = scheduled(cosine, 0.01 * 5 / 4, 19 * 4 - 1)
    seen = rates(rule, 20 * 4, 4)
    assert seen[:5] == pytest.approx([0, 0.0025, 0.005, 0.0075, 0.01])
    assert seen[5:] == pytest.approx(expected, rel=1e-9)


def test_without_warm_up_the_cosine_starts_at_the_top():
    rule = recipe("flexconv_adam", "cifar10").with_epochs(2)
    assert [rate(rule, epoch) for epoch in (0, 1, 2)] == pytest.approx([0.01, (0.01 + 1e-6) / 2, 1e-6])


def test_capsnet_adam_is_the_closed_form():
    rule = recipe("capsnet_adam", "mnist")
    seen = rates(rule, 150 * 4, 4)[3::4]  # the last step of each epoch
    assert seen == pytest.approx([max(5e-5, 5e-4 * 0.97**epoch) for epoch in range(150)])
    assert seen[75] > 5e-5 == seen[76]  # the floor, ln 10 / -ln 0.97 = 75.6
    assert rate(rule, 80, 0.1 * rule.lr) == pytest.approx(5e-6)  # in proportion for other groups
    tenth = rule.with_epochs(15)
    assert [rate(tenth, n) for n in (0, 1, 5)] == pytest.approx([5e-4 * 0.97**n for n in (0, 10, 50)])


def test_a_schedule_by_validation_starts_at_its_rate():
    assert {rate(recipe("vgg5_adam", "mnist"), epoch) for epoch in (0, 2, 180)} == {
        0.005
    }  # what changes it is the accuracy


def test_the_short_protocols_line_by_hand():
    """Five epochs of ten steps: ten steps up to the peak of 0.2, forty down to zero, each read off in its middle."""
    short = recipe("wrn_sgd", "cifar10").shortened(5, peak=0.2, weight_decay=5e-4)
    seen = rates(short, 50, 10)
    assert [seen[step] for step in (0, 9, 10, 49)] == pytest.approx([0.01, 0.19, 0.1975, 0.0025])
    assert max(seen) == seen[10] and sum(seen) == pytest.approx(0.2 * 50 / 2)  # a triangle


def test_the_short_protocol_keeps_the_images_and_changes_the_training():
    rule = recipe("resnet_sgd", "cifar10")
    short = rule.shortened(8, peak=0.2, weight_decay=5e-4)
    assert (short.epochs, short.lr, short.momentum, short.nesterov, short.weight_decay) == (8, 0.2, 0.9, True, 5e-4)
    assert short.milestones == () and short.of_images() == rule.of_images()
    # Adam's warm-up of 5 in 350 epochs is a seventieth; the cosine ends where it ended.
    adam = recipe("flexconv_adam", "cifar10").shortened(7, peak=0.2, weight_decay=5e-4)
    assert (adam.lr, adam.weight_decay, adam.warmup_epochs) == (0.01, 0.0, pytest.approx(0.1))
    assert rate(adam, 0.1) == pytest.approx(0.01) and rate(adam, 7) == pytest.approx(1e-6, rel=0.01)
    assert recipe("capsnet_adam", "mnist").shortened(15, peak=0.2, weight_decay=0.0).gamma == pytest.approx(0.97**10)


@pytest.mark.parametrize(("name", "dataset"), DEFINED)
def test_with_epochs_keeps_proportions(name, dataset):
    rule = recipe(name, dataset)
    for epochs in (1, 2, 3, 10, 16, 35, 400):
        made = rule.with_epochs(epochs)
        assert made.epochs == epochs and 0 <= made.warmup_epochs < epochs
        assert list(made.milestones) == sorted(set(made.milestones)) and all(0 < m < epochs for m in made.milestones)
        if epochs >= 10:
            for old, new in zip(rule.milestones, made.milestones, strict=True):
                assert abs(new / epochs - old / rule.epochs) <= 0.5 / epochs + 1e-12
        for short in (made, rule.shortened(epochs, peak=0.2, weight_decay=0.0)):
            steps = rates(short, 3 * epochs, 3)
            assert all(math.isfinite(found) and found >= 0 for found in steps) and max(steps) > 0


def test_a_tenth_of_the_epochs():
    assert recipe("resnet_sgd", "cifar10").with_epochs(16).milestones == (8, 12)
    assert recipe("flexconv_adam", "cifar10").with_epochs(35).warmup_epochs == 1  # 0.5, rounded up
    assert recipe("flexconv_adam", "cifar10").with_epochs(2).warmup_epochs == 0
    assert recipe("resnet_sgd", "cifar10").with_epochs(2).milestones == (1,)
    with pytest.raises(ValueError, match="at least 1"):
        recipe("resnet_sgd", "cifar10").with_epochs(0)


@pytest.mark.parametrize(("name", "dataset"), DEFINED)
def test_every_recipe_says_where_it_is_from(name, dataset):
    rule = recipe(name, dataset)
    assert rule.source and (rule.note or dataset == "cifar10" or name == "flexconv_adam")
    assert (rule.pad == 0) == (rule.pad_mode == "none")


def test_words_are_none_of_a_recipes_numbers():
    rule = recipe("resnet_sgd", "cifar10")
    assert replace(rule, source="x", note="y", name="z", dataset="mnist").numbers() == rule.numbers()
    assert replace(rule, gamma=0.2).numbers() != rule.numbers()


@pytest.mark.parametrize(
    ("name", "dataset", "words"),
    [
        ("resnet_sdg", "cifar10", "unknown recipe 'resnet_sdg'; did you mean 'resnet_sgd'"),
        ("imagenet32_wrn", "mnist", "recipe 'imagenet32_wrn' is not defined for data set 'mnist', only for imagenet32"),
    ],
)
def test_unknown_names_are_one_sentence(name, dataset, words):
    with pytest.raises(UserError, match=words):
        recipe(name, dataset)


@pytest.mark.parametrize("field, value", [("learning_rate", 1), ("optimizer", None)])
def test_a_damaged_entry_is_named(monkeypatch, field, value):
    entry = {
        "source": "x",
        "recipe": {"optimizer": "sgd", "lr": 1, "epochs": 1, "batch_size": 1},
        "datasets": {"mnist": {}},
    }
    entry["recipe"] = {key: value for key, value in {**entry["recipe"], field: value}.items() if value is not None}
    monkeypatch.setattr(recipes, "_table", lambda: {"mine": entry})
    with pytest.raises(UserError, match=f"recipes.yaml, recipe 'mine', mnist: .*{field}.*correct the entry"):
        recipe("mine", "mnist")
