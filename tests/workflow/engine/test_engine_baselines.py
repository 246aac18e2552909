"""The systems with losses, rates, recipes and solvers of their own, two steps through the real engine."""

import json
import math

import pytest
import torch

from workflow import engine


@pytest.fixture
def real_systems(tiny, monkeypatch):
    """The engine's small run and made-up images, with the real systems."""
    import baselines
    from baselines import registry

    monkeypatch.setattr(baselines, "build", registry.build)
    return tiny


SIZES = {"ccnn4_140": [[33, 33]] * 5, "gmconv_resnet20": [5] * 18}  # that their networks tell the history of


@pytest.mark.slow
@pytest.mark.parametrize(
    ("system", "recipe", "size", "arguments"),
    [
        ("efficient_capsnet", "capsnet_adam", 28, {}),
        ("efficient_capsnet", "resnet_sgd", 28, {"reconstruction": 0.0}),
        ("network_in_network", "nin_sgd", 28, {}),
        ("network_in_network", "resnet_sgd", 28, {"layer_rates": False, "initial": "he"}),
        ("vgg5", "vgg5_adam", 28, {}),
        ("njet_nin", "njet_nin_sgd", 8, {"backend": "basis"}),
        ("njetnet_allcnn", "njet_allcnn_sgd", 8, {}),
        ("njetnet_resnet32", "njet_resnet_sgd", 8, {}),
        ("dcn_sigma_ji", "dcn_sgd", 10, {"tolerance": 0.1}),
        ("ccnn4_140", "ccnn_adam", 8, {"backend": "auto"}),
        ("gmconv_resnet20", "resnet_sgd", 8, {"widths": [2, 4, 8], "size": 5}),
    ],
)
def test_two_steps_of_each_system_by_its_recipe(real_systems, tmp_path, system, recipe, size, arguments):
    mnist = system in ("efficient_capsnet", "network_in_network", "vgg5")
    holds_out = recipe in ("vgg5_adam", "ccnn_adam") or recipe.startswith("njet")  # one image of them
    data = real_systems.made_up(train=8 + holds_out, test=4, size=size, channels=1 if mnist else 3)
    run = real_systems.run(
        system=system, dataset="mnist" if mnist else "cifar10", search=None, arguments=arguments,
        train={"recipe": recipe, "epochs": 1, "batch_size": 4},
    )  # fmt: skip
    result = engine.train(run, data, tmp_path, kernel_sizes=None, digest="d", log=lambda text: None)
    assert math.isfinite(result["loss"]) and result["epochs"] == 1
    row = json.loads((tmp_path / "history.jsonl").read_text())
    assert ("validation_accuracy" in row) == holds_out
    assert ("solver_evaluations" in row) == (system == "dcn_sigma_ji")
    assert system not in SIZES or row["kernel_sizes"] == SIZES[system]


def test_a_solver_that_cannot_go_on_ends_the_run_with_its_sentence(real_systems, tmp_path):
    run = real_systems.run(
        system="dcn_sigma_ji", search=None, arguments={"max_steps": 1},
        train={"recipe": "dcn_sgd", "epochs": 1, "batch_size": 4},
    )  # fmt: skip
    data = real_systems.made_up(train=4, test=4, size=10)
    with pytest.raises(ArithmeticError, match="at most 1 steps.*or raise max_steps"):
        engine.train(run, data, tmp_path, kernel_sizes=None, digest="d", log=lambda text: None)


def test_nins_groups_reach_the_optimiser():
    import baselines
    from workflow.engine.optimisation import for_recipe
    from workflow.protocol.recipes import recipe

    with torch.random.fork_rng():
        model = baselines.build("network_in_network", in_channels=1, num_classes=10, image_size=28)
    plan = for_recipe(model, recipe("nin_sgd", "mnist"), steps_per_epoch=1, device=torch.device("cpu"))
    assert plan.rates(0) == pytest.approx([0.1, 0.2, 0.01, 0.02])
    assert plan.rates(70) == pytest.approx([1e-3, 2e-3, 1e-4, 2e-4])
    assert [group["weight_decay"] for group in plan.optimizer.param_groups] == [1e-4, 0.0, 1e-4, 0.0]
