"""Recipes against torch's schedulers, the closed forms and the published numbers."""

import math
import subprocess
import sys

import pytest
import torch

from workflow.protocol import recipes
from workflow.protocol.recipes import Recipe, recipe
from workflow.support.errors import UserError

DATASETS = ("mnist", "cifar10", "stl10", "imagenet32")
SUITES = ("resnet_sgd", "flexconv_adam", "wrn_sgd", "imagenet32_wrn")  # the others belong to single baselines


def rates(rule: Recipe, steps: int, images: int, base: float | None = None) -> list[float]:
    return [rule.rate(i, rule.steps_per_epoch(images), base) for i in range(steps)]


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


def test_resnet_sgd_is_he_et_al():
    rule = recipe("resnet_sgd", "cifar10")
    assert (rule.optimizer, rule.lr, rule.momentum, rule.nesterov, rule.weight_decay) == ("sgd", 0.1, 0.9, False, 1e-4)
    assert (rule.batch_size, rule.pad, rule.pad_mode, rule.flip, rule.normalisation) == (
        128,
        4,
        "zero",
        "random",
        "per-pixel-mean",
    )
    steps = rule.steps_per_epoch(50_000)
    assert steps == 391  # the last batch has 80 images
    # 32,000, 48,000 and 64,000 steps, to the nearest epoch
    assert [round(n / steps) for n in (32_000, 48_000, 64_000)] == [*rule.milestones, rule.epochs]


@pytest.mark.parametrize("name", ["resnet_sgd", "wrn_sgd"])
def test_multistep_is_torchs(name):
    rule = recipe(name, "cifar10")
    images, steps = 3 * rule.batch_size, 3 * rule.epochs
    expected = scheduled(
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, rule.milestones, rule.gamma), rule.lr, steps, every=3
    )
    assert rates(rule, steps, images) == pytest.approx(expected, rel=1e-12)


def test_wrn_sgd_is_the_published_one():
    rule = recipe("wrn_sgd", "cifar10")
    assert (rule.nesterov, rule.weight_decay, rule.epochs, rule.batch_size) == (True, 5e-4, 200, 128)
    assert (rule.pad_mode, rule.normalisation, rule.milestones) == ("reflect", "wrn", (60, 120, 160))
    at = [rule.rate(epoch * 391, 391) for epoch in (59, 60, 120, 160)]
    assert at == pytest.approx([0.1, 0.02, 0.004, 0.0008])


@pytest.mark.parametrize("base", [None, 0.001])
def test_flexconv_adam_is_the_closed_form(base):
    rule = recipe("flexconv_adam", "cifar10")
    assert (rule.betas, rule.eps, rule.weight_decay, rule.batch_size, rule.epochs) == ((0.9, 0.999), 1e-8, 0.0, 64, 350)
    steps, b = rule.steps_per_epoch(50_000), 0.01 if base is None else base
    assert steps == 782
    warmup, length = 5 * steps, 345 * steps
    assert rule.rate(0, steps, base) == 0
    assert rule.rate(1, steps, base) == pytest.approx(b / 3910)
    assert rule.rate(warmup, steps, base) == pytest.approx(b)
    peak = rule.rate(warmup + 1, steps, base)
    assert peak == pytest.approx(b * 3911 / 3910)
    middle = rule.rate(warmup + 1 + length // 2, steps, base)
    assert middle == pytest.approx((peak + 1e-6) / 2)
    assert rule.rate(warmup + 1 + length, steps, base) == pytest.approx(1e-6)


def test_flexconv_adam_follows_torchs_cosine_after_its_warm_up():
    rule = recipe("flexconv_adam", "stl10").with_epochs(20)  # one epoch of warm-up
    assert rule.warmup_epochs == 1
    steps = 4
    peak = 0.01 * 5 / 4
    expected = scheduled(
        lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 19 * steps, eta_min=1e-6), peak, 19 * steps - 1
    )
    seen = [rule.rate(i, steps) for i in range(20 * steps)]
    assert seen[:5] == pytest.approx([0, 0.0025, 0.005, 0.0075, 0.01])
    assert seen[5:] == pytest.approx(expected[: len(seen) - 5], rel=1e-9)


def test_flexconv_steps_per_epoch_are_the_published_ones():
    images = {"mnist": 60_000, "cifar10": 50_000, "stl10": 5_000, "imagenet32": 1_281_167}
    published = {"mnist": 938, "cifar10": 782, "stl10": 20, "imagenet32": 626}
    assert {d: recipe("flexconv_adam", d).steps_per_epoch(n) for d, n in images.items()} == published
    assert [recipe("flexconv_adam", d).flip for d in DATASETS] == ["none", "random", "none", "random"]


def test_imagenet32_wrn_shows_every_image_and_its_mirror():
    rule = recipe("imagenet32_wrn", "imagenet32")
    assert (rule.lr, rule.weight_decay, rule.decay_biases, rule.epochs, rule.milestones) == (
        0.01,
        1e-3,
        False,
        40,
        (10, 20, 30),
    )
    assert rule.passes == 2
    steps = rule.steps_per_epoch(1_281_167)
    assert steps == 2 * 1_281_167 // 128 == 20018
    assert rule.rate(10 * steps - 1, steps) == 0.01
    assert rule.rate(10 * steps, steps) == pytest.approx(0.002)


def home(name: str) -> str:
    """A data set for which the recipe is defined."""
    return {"capsnet_adam": "mnist", "nin_sgd": "mnist", "vgg5_adam": "mnist", "imagenet32_wrn": "imagenet32"}.get(
        name, "cifar10"
    )


@pytest.mark.parametrize("name", recipes.names())
@pytest.mark.parametrize("epochs", [1, 2, 3, 10, 16, 35, 400])
def test_with_epochs_keeps_proportions(name, epochs):
    rule = recipe(name, home(name))
    short = rule.with_epochs(epochs)
    assert short.epochs == epochs
    assert 0 <= short.warmup_epochs < epochs
    assert all(0 < m < epochs for m in short.milestones)
    assert list(short.milestones) == sorted(set(short.milestones))
    if epochs >= 10:
        assert len(short.milestones) == len(rule.milestones)
        for old, new in zip(rule.milestones, short.milestones, strict=True):
            assert abs(new / epochs - old / rule.epochs) <= 0.5 / epochs + 1e-12
    steps = [short.rate(i, 3) for i in range(3 * epochs)]
    assert all(math.isfinite(rate) and rate >= 0 for rate in steps)
    assert max(steps) > 0


def test_a_tenth_of_the_epochs():
    assert recipe("resnet_sgd", "cifar10").with_epochs(16).milestones == (8, 12)
    assert recipe("flexconv_adam", "cifar10").with_epochs(35).warmup_epochs == 1  # 0.5, rounded up
    assert recipe("flexconv_adam", "cifar10").with_epochs(2).warmup_epochs == 0
    assert recipe("resnet_sgd", "cifar10").with_epochs(2).milestones == (1,)
    with pytest.raises(ValueError, match="at least 1"):
        recipe("resnet_sgd", "cifar10").with_epochs(0)


def test_without_warm_up_the_cosine_starts_at_the_top():
    rule = recipe("flexconv_adam", "cifar10").with_epochs(2)
    assert [rule.rate(i, 2) for i in (0, 2, 4)] == pytest.approx([0.01, (0.01 + 1e-6) / 2, 1e-6])


def test_every_recipe_says_where_it_is_from():
    for name in recipes.names():
        for dataset in DATASETS if name in SUITES else [home(name)]:
            if name != "imagenet32_wrn" or dataset == "imagenet32":
                rule = recipe(name, dataset)
                assert rule.source
                assert rule.note or dataset == "cifar10" or name == "flexconv_adam"
                assert (rule.pad == 0) == (rule.pad_mode == "none")


def test_capsnet_adam_is_the_closed_form():
    rule = recipe("capsnet_adam", "mnist")
    assert (rule.optimizer, rule.eps, rule.batch_size, rule.epochs, rule.weight_decay) == ("adam", 1e-7, 16, 150, 0.0)
    assert (rule.augmentation, rule.normalisation, rule.held_out) == ("capsnet", "unit-256", 0)
    steps = rule.steps_per_epoch(60_000)
    assert steps == 3750
    seen = [rule.rate(epoch * steps + steps - 1, steps) for epoch in range(150)]
    assert seen == pytest.approx([max(5e-5, 5e-4 * 0.97**epoch) for epoch in range(150)])
    assert seen[75] > 5e-5 == seen[76]  # the floor, ln 10 / -ln 0.97 = 75.6
    assert rule.rate(80 * steps, steps, 0.1 * rule.lr) == pytest.approx(5e-6)  # in proportion for other groups
    tenth = rule.with_epochs(15)
    assert [tenth.rate(n, 1) for n in (0, 1, 5)] == pytest.approx([5e-4 * 0.97**n for n in (0, 10, 50)])


def test_nin_sgd():
    rule = recipe("nin_sgd", "mnist")
    assert (rule.momentum, rule.weight_decay, rule.batch_size, rule.normalisation) == (0.9, 1e-4, 128, "per-pixel-mean")
    assert (rule.pad, rule.flip, rule.augmentation, rule.held_out) == (0, "none", "none", 0)
    biases = [rule.rate(epoch, 1, 0.2) for epoch in (0, 59, 60, 69, 70, 79)]
    assert biases == pytest.approx([0.2, 0.2, 0.02, 0.02, 0.002, 0.002])
    assert rule.epochs == 80


def test_vgg5_adam():
    rule = recipe("vgg5_adam", "mnist")
    assert (rule.optimizer, rule.lr, rule.batch_size, rule.epochs, rule.held_out) == ("adam", 0.005, 100, 200, 5000)
    assert (rule.augmentation, rule.normalisation, rule.weight_decay) == ("perspective-rotation", "dataset", 0.0)
    assert {rule.rate(step, 550) for step in (0, 1000, 100_000)} == {0.005}  # what changes it is the accuracy


@pytest.mark.parametrize(
    ("name", "lr", "decay", "epochs", "milestones", "held_out"),
    [
        ("njet_nin_sgd", 0.1, 5e-4, 90, (30, 60), 5000),
        ("njet_allcnn_sgd", 0.05, 1e-3, 350, (200, 250, 300), 5000),
        ("njet_resnet_sgd", 0.1, 1e-4, 164, (81, 122), 5000),
        ("dcn_sgd", 0.1, 0.0, 200, (80, 140), 0),
    ],
)
def test_recipes_of_the_njetnets_and_dcn(name, lr, decay, epochs, milestones, held_out):
    rule = recipe(name, "cifar10")
    assert (rule.optimizer, rule.momentum, rule.nesterov, rule.batch_size) == ("sgd", 0.9, False, 128)
    assert (rule.lr, rule.weight_decay, rule.epochs, rule.held_out) == (lr, decay, epochs, held_out)
    assert (rule.pad, rule.pad_mode, rule.flip) == (4, "zero", "random")
    for number, milestone in enumerate(milestones):
        assert rule.rate(milestone * 7 - 1, 7) == pytest.approx(lr / 10**number)
        assert rule.rate(milestone * 7, 7) == pytest.approx(lr / 10 ** (number + 1))
    assert (rule.drop_last, rule.normalisation) == ((True, "unit") if name == "dcn_sgd" else (False, "wrn"))


def test_unknown_names_are_one_sentence():
    with pytest.raises(UserError, match="unknown recipe 'resnet_sdg'; did you mean 'resnet_sgd'"):
        recipe("resnet_sdg", "cifar10")
    with pytest.raises(
        UserError, match="recipe 'imagenet32_wrn' is not defined for data set 'mnist', only for imagenet32"
    ):
        recipe("imagenet32_wrn", "mnist")


def test_recipes_do_not_import_torch(root):
    code = "import sys; from workflow import recipes; assert recipes.names(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_siren_kernels_take_a_tenth_of_flexconvs_rate():
    siren, magnet = recipe("ckconv_siren_adam", "cifar10"), recipe("flexconv_adam", "cifar10")
    assert siren.lr == 0.001 and magnet.lr == 0.01
    assert [siren.rate(step, 782) for step in (0, 1, 4000)] == pytest.approx(
        [magnet.rate(s, 782, 0.001) for s in (0, 1, 4000)]
    )
