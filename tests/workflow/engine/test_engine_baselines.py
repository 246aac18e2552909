"""The systems with losses, rates, recipes and solvers of their own, two steps through the real engine; stopped and resumed."""

import json
import math

import pytest

from workflow import engine


def run_of(tiny, system: str, recipe: str, **changes) -> dict:
    dataset = "mnist" if recipe in ("capsnet_adam", "nin_sgd", "vgg5_adam") else "cifar10"
    plan = {"recipe": recipe, "epochs": 1, "batch_size": 4}
    return tiny.run(system=system, dataset=dataset, search=None, train=plan, arguments={}, **changes)


@pytest.fixture
def real_systems(tiny, monkeypatch):
    """The engine's small run and made-up images, with the real systems."""
    import baselines
    from baselines import registry

    monkeypatch.setattr(baselines, "build", registry.build)
    return tiny


@pytest.mark.parametrize(
    ("system", "recipe", "size", "arguments"),
    [
        ("efficient_capsnet", "capsnet_adam", 28, {}),
        ("efficient_capsnet", "resnet_sgd", 28, {"reconstruction": 0.0}),
        ("network_in_network", "nin_sgd", 28, {}),
        ("network_in_network", "resnet_sgd", 28, {"layer_rates": False, "initial": "he"}),
        ("vgg5", "vgg5_adam", 28, {}),
        ("njet_nin", "njet_nin_sgd", 8, {"convolution": "basis"}),
        ("njetnet_allcnn", "njet_allcnn_sgd", 8, {}),
        ("njetnet_resnet32", "njet_resnet_sgd", 8, {}),
        ("dcn_sigma_ji", "dcn_sgd", 12, {}),
    ],
)
def test_two_steps_of_each_system_by_its_recipe(real_systems, tmp_path, system, recipe, size, arguments):
    mnist = system in ("efficient_capsnet", "network_in_network", "vgg5")
    data = real_systems.made_up(
        train=9 if recipe in ("vgg5_adam",) or "njet" in recipe else 8, test=4, size=size, channels=1 if mnist else 3
    )
    run = run_of(real_systems, system, recipe) | {"arguments": arguments}
    if mnist:
        run["dataset"] = "mnist"
    result = engine.train(run, data, tmp_path, kernel_sizes=None, digest="d", say=lambda text: None)
    assert math.isfinite(result["loss"]) and result["epochs"] == 1
    row = json.loads((tmp_path / "history.jsonl").read_text())
    assert ("validation_accuracy" in row) == (recipe in ("vgg5_adam",) or "njet" in recipe)
    assert ("solver_evaluations" in row) == (system == "dcn_sigma_ji")
