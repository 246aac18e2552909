"""The train stage: it learns, repeats itself, and its records hold what they say."""

import json
import math

import numpy as np
import pytest
import torch
from engine_helpers import rows, train, weights


def test_the_fields_of_a_result(tiny, tmp_path):
    said = []
    sizes = [3, 5, 2, 3, 1, 7]
    result = train(tiny, tmp_path, kernel_sizes=sizes, log=said.append)
    assert result["test_images"] == 30
    assert result["accuracy"] == pytest.approx(100 * result["correct"] / 30)
    assert result["epochs"] == len(result["seconds_per_epoch"]) == 2
    assert result["kernel_sizes"] == sizes
    assert result["top5"] is None and result["captured"] is False and result["uncaptured_reason"] is None
    # stem 3x4x9, blocks 4x4 (9 + 25), 4x8 x 4 + 8x8 x 9, 8x16 x 1 + 16x16 x 49, norms 2 (3x4 + 2x8 + 2x16), linear 16x10 + 10
    assert result["parameters"] == 108 + 16 * 34 + 128 + 576 + 128 + 12544 + 2 * (12 + 16 + 32) + 170
    history = rows(tmp_path)
    assert [(row["stage"], row["epoch"], row["epochs"]) for row in history] == [("train", 1, 2), ("train", 2, 2)]
    assert history[-1]["accuracy"] == result["accuracy"] and history[-1]["loss"] == result["loss"]
    assert result["best_accuracy"] == max(row["accuracy"] for row in history)
    assert [row["lr"] for row in history] == pytest.approx([0.1, 0.01])  # two epochs: divided after the first
    assert history[0]["kernel_sizes"] == sizes
    assert len(said) == 2 and said[0].startswith("train epoch 1/2: loss ") and said[0].endswith("left")
    json.dumps(result, allow_nan=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "history.jsonl",
        "kernels.npz",
        "predictions.npz",
        "train.pt",
    ]
    with np.load(tmp_path / "kernels.npz") as kernels:
        assert [kernels[name].shape for name in sorted(kernels)] == [(size, size) for size in sizes]
        expected = (weights(tmp_path)["blocks.0.conv1.weight"] ** 2).mean((0, 1)).sqrt()  # over channels
        assert kernels[sorted(kernels)[0]] == pytest.approx(expected.numpy(), rel=1e-5)


def test_it_learns(tiny, tmp_path):
    tiny.data = tiny.made_up(train=160, test=60)
    result = train(tiny, tmp_path, tiny.run(train={"recipe": "resnet_sgd", "epochs": 12, "batch_size": 16}))
    assert result["accuracy"] > 30  # 10 by chance


def test_one_seed_gives_the_same_bits_and_another_does_not(tiny, tmp_path):
    first, again, other = (
        train(tiny, tmp_path / name, tiny.run(seed=seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    timing = ("seconds_per_epoch", "peak_memory_mb")
    assert {k: v for k, v in first.items() if k not in timing} == {k: v for k, v in again.items() if k not in timing}
    same, different = weights(tmp_path / "b"), weights(tmp_path / "c")
    assert all(torch.equal(value, same[name]) for name, value in weights(tmp_path / "a").items())
    assert any(not torch.equal(value, different[name]) for name, value in weights(tmp_path / "a").items())
    assert first["loss"] != other["loss"]


def test_global_random_state_is_left_alone(tiny, tmp_path):
    before = torch.get_rng_state()
    train(tiny, tmp_path, tiny.run(system="dropout"))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["flexconv_adam", "wrn_sgd"])
def test_other_recipes_and_bf16(tiny, tmp_path, name):
    plan = {"recipe": name, "epochs": 1, "batch_size": 16}
    result = train(tiny, tmp_path, tiny.run(train=plan, precision="bf16"))
    assert math.isfinite(result["loss"])
    with pytest.raises(ValueError, match="key 'precision' is 'fp8'"):
        train(tiny, tmp_path, tiny.run(precision="fp8"))


def test_top_5_from_a_hundred_classes_on(tiny, tmp_path):
    tiny.data = tiny.made_up(classes=1000)
    plan = {"recipe": "resnet_sgd", "epochs": 1, "batch_size": 16}
    result = train(tiny, tmp_path, tiny.run(dataset="imagenet32", train=plan))
    assert 0 <= result["accuracy"] <= result["top5"] <= 100


def test_evaluation_counts_every_image_once():
    from workflow.engine.evaluation import evaluate
    from workflow.engine.normalisation import Normalisation
    from workflow.engine.pixels import TestImages

    class Says(torch.nn.Module):
        """Ranks the classes by the distance to the image's one pixel."""

        def forward(self, images):
            assert not self.training
            return -(torch.arange(200.0) - images.flatten(1)).abs()

    images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1) * 10
    labels = np.array([0, 10, 22, 31, 48, 50, 66])  # 0, 0, 2, 1, 8, 0 and 6 classes off
    norm = Normalisation(torch.ones(1), torch.zeros(1))
    test = TestImages(images, labels, normalisation=norm, device=torch.device("cpu"), batch_size=3)
    model = Says().train()
    scores = evaluate(model, test, classes=200, precision="fp32")
    assert (scores.correct, scores.top5_correct, len(scores.classes)) == (3, 5, 7)
    assert scores.top5 == pytest.approx(500 / 7)
    # By hand: the outputs fall off as e^-|k - x|; over 200 classes the softmax of the class at distance d is e^-d / sum.
    sums = [sum(math.exp(-abs(k - 10 * i)) for k in range(200)) for i in range(7)]
    by_hand = [-abs(int(label) - 10 * i) - math.log(sums[i]) for i, label in enumerate(labels)]
    assert scores.log_probability.tolist() == pytest.approx(by_hand, rel=1e-5)
    assert scores.cross_entropy == pytest.approx(-sum(by_hand) / 7, rel=1e-6)
    assert model.training
    assert evaluate(model, test, classes=99, precision="fp32").top5 is None


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_network_trains_alike(tiny, tmp_path, monkeypatch):
    plain = train(tiny, tmp_path / "plain", kernel_sizes=[3] * 6)
    compile_with = torch.nn.Module.compile
    # Traced by the compiler, but not turned into machine code, which takes half a minute.
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compile_with(self, backend="eager"))
    compiled = train(tiny, tmp_path / "compiled", tiny.run(compile=True), kernel_sizes=[3] * 6)
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0
    assert compiled["loss"] == pytest.approx(plain["loss"], rel=1e-3)
    assert weights(tmp_path / "compiled").keys() == weights(tmp_path / "plain").keys()
