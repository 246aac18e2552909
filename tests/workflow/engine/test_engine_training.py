"""The train stage: it learns, repeats itself, ends cleanly, and its records hold what they say."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import baselines
from workflow import engine
from workflow.engine.checkpoint import Checkpoints
from workflow.errors import UserError


def train(tiny, folder, run=None, **options):
    options = {"kernel_sizes": None, "digest": "d", "say": lambda text: None, **options}
    return engine.train(run or tiny.run(), tiny.data, folder, **options)


def weights(folder) -> dict:
    return torch.load(folder / "train.pt", weights_only=True)["model"]


def rows(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_the_fields_of_a_result(tiny, tmp_path):
    said = []
    sizes = [3, 5, 2, 3, 1, 7]
    result = train(tiny, tmp_path, kernel_sizes=sizes, say=said.append)
    assert result["test_images"] == 30
    assert result["accuracy"] == pytest.approx(100 * result["correct"] / 30)
    assert result["epochs"] == len(result["seconds_per_epoch"]) == 2
    assert result["kernel_sizes"] == sizes
    assert result["top5"] is None and result["search"] is None
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
    assert sorted(path.name for path in tmp_path.iterdir()) == ["history.jsonl", "kernels.npz", "train.pt"]
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


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(tiny, tmp_path, monkeypatch):
    class Breaks(torch.nn.Linear):
        calls = 0

        def forward(self, images):
            if self.training:
                self.calls += 1
            logits = super().forward(images.flatten(1))
            return logits * math.inf if self.calls == 6 else logits

    monkeypatch.setattr(baselines, "build", lambda *a, **k: Breaks(192, 10))
    with pytest.raises(engine.NonFinite, match="not finite at step 2 of epoch 2") as caught:
        train(tiny, tmp_path)
    assert (caught.value.epoch, caught.value.step) == (2, 2)
    assert isinstance(caught.value, ArithmeticError)
    assert len(rows(tmp_path)) == 1


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        torch.OutOfMemoryError("CUDA"),
        MemoryError(),
    ],
)
def test_out_of_memory_is_one_sentence_with_the_peak(tiny, tmp_path, monkeypatch, error):
    class Hungry(torch.nn.Linear):
        def forward(self, images):
            raise error

    monkeypatch.setattr(baselines, "build", lambda *a, **k: Hungry(192, 10))
    with pytest.raises(
        UserError, match=r"ran out of memory on this machine after a peak of [\d,]+ MB: lower batch_size \(now 16\)"
    ):
        train(tiny, tmp_path)
    assert not (tmp_path / "train.pt").exists()


def test_another_error_stays_what_it_is(tiny, tmp_path, monkeypatch):
    class Wrong(torch.nn.Linear):
        def forward(self, images):
            raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(baselines, "build", lambda *a, **k: Wrong(192, 10))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        train(tiny, tmp_path)


class Hooked(torch.nn.Module):
    """Uses every hook that a network may offer."""

    def __init__(self, *args, **kwargs):
        super().__init__()
        self.slow, self.fast = torch.nn.Linear(192, 10), torch.nn.Parameter(torch.ones(()))
        self.frozen = torch.nn.Parameter(torch.ones(()), requires_grad=False)
        self.size = 5

    def forward(self, images):
        return self.slow(images.flatten(1)) * self.fast

    def training_loss(self, images, labels):
        logits = self(images)
        return torch.nn.functional.multi_margin_loss(logits, labels), logits

    def penalty(self):
        return 1000.0 + 0 * self.fast

    def parameter_groups(self, recipe):
        return [
            {"params": [*self.slow.parameters(), self.frozen], "name": "slow"},
            {"params": [self.fast], "lr_factor": 0.1, "weight_decay": 0.0, "name": "fast"},
        ]

    def kernel_sizes(self):
        self.size += 2
        return [self.size, [3, self.size]]


def test_the_hooks_of_a_network(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "build", lambda *a, **k: Hooked())
    result = train(tiny, tmp_path)
    assert 1000 < result["loss"] < 1100  # its penalty, and its own loss
    assert [row["kernel_sizes"] for row in rows(tmp_path)] == [[7, [3, 7]], [9, [3, 9]]]


@pytest.mark.parametrize(
    "kind", [torch.nn.Conv2d, type("Generated", (torch.nn.Conv2d,), {"kernel_sizes": lambda self: [3]})]
)
def test_memory_is_channels_last_unless_kernels_are_generated(kind):
    from workflow.engine.session import place

    seen = []
    model = place(kind(4, 4, 3), torch.device("cpu"))
    model.register_forward_pre_hook(lambda module, arguments: seen.append(arguments[0]))
    model(torch.randn(2, 4, 8, 8).contiguous(memory_format=torch.channels_last))
    expected = torch.channels_last if kind is torch.nn.Conv2d else torch.contiguous_format
    assert seen[0].is_contiguous(memory_format=expected)
    assert model.weight.is_contiguous(memory_format=expected)


def test_groups_have_their_own_rate_and_decay():
    from workflow.engine.optimisation import for_recipe
    from workflow.recipes import recipe

    rule = recipe("resnet_sgd", "cifar10")
    plan = for_recipe(Hooked(), rule, steps_per_epoch=10, device=torch.device("cpu"))
    slow, fast = plan.optimizer.param_groups
    assert (len(slow["params"]), slow["weight_decay"], fast["weight_decay"]) == (2, 1e-4, 0.0)
    assert plan.rates(0) == pytest.approx([0.1, 0.01])
    assert plan.rates(820) == pytest.approx([0.01, 0.001])
    biases = for_recipe(
        torch.nn.Linear(2, 2), recipe("imagenet32_wrn", "imagenet32"), steps_per_epoch=1, device=torch.device("cpu")
    )
    assert [(len(g["params"]), g["weight_decay"]) for g in biases.optimizer.param_groups] == [(1, 1e-3), (1, 0.0)]


def test_top_5_from_a_hundred_classes_on(tiny, tmp_path):
    tiny.data = tiny.made_up(classes=1000)
    plan = {"recipe": "resnet_sgd", "epochs": 1, "batch_size": 16}
    result = train(tiny, tmp_path, tiny.run(dataset="imagenet32", train=plan))
    assert 0 <= result["accuracy"] <= result["top5"] <= 100


STARTS = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
torch.set_num_threads(1)
import baselines, conftest
from workflow import engine
baselines.build = conftest.tiny_system
run, data, folder = conftest.a_run(), conftest.made_up(), Path(sys.argv[1])
for name in ("resnet_sgd", "flexconv_adam"):
    run["train"]["recipe"] = name
    sizes = engine.search(run, data, folder / name, digest="d")["sizes"]
    engine.train(run, data, folder / name, kernel_sizes=sizes, digest="d")
engine.measure(run, data, kernel_sizes=sizes, slices=1, slice_seconds=0.01)
print("compiler" if "torch._dynamo" in sys.modules else "no compiler")
"""


def test_no_process_waits_for_the_compilers_import(tmp_path, root):
    code = STARTS.format(here=str(Path(__file__).parent))
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "no compiler", done.stderr


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_the_bare_update_is_the_optimisers_step(kind):
    from workflow.engine.startup import update_of

    parameters = [torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0])) for _ in range(2)]
    plain, bare = (kind([p], lr=0.1, weight_decay=0.1, fused=True) for p in parameters)
    update = update_of(bare)
    for number in range(3):
        for p in parameters:
            p.grad = torch.full((3,), float(number + 1))
        plain.step()
        with torch.no_grad():
            update()
    assert torch.equal(*parameters)


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_the_switches_of_a_precision_are_put_back(precision, tf32):
    from workflow.engine.precision import backend

    settings = lambda: (
        torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision,
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.are_deterministic_algorithms_enabled(),
    )  # fmt: skip
    before, wanted = settings(), "tf32" if tf32 else "ieee"
    with backend(precision, torch.device("cuda")):
        assert settings() == (wanted, wanted, True, False, False)
    with backend(precision, torch.device("cuda"), deterministic=True):
        assert settings() == (wanted, wanted, False, True, True)
    assert settings() == before


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
    assert (scores["correct"], scores["top5_correct"], scores["images"]) == (3, 5, 7)
    assert scores["top5"] == pytest.approx(500 / 7)
    assert model.training
    assert evaluate(model, test, classes=99, precision="fp32")["top5"] is None


def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path):
    said = []
    store = Checkpoints(tmp_path, "train", "d", said.append)
    assert store.load(torch.device("cpu")) is None and not said
    for number in (1, 2):
        store.save({"number": number})
    store.path.write_bytes(store.path.read_bytes()[:100])
    assert store.load(torch.device("cpu"))["number"] == 1
    assert (
        len(said) == 1
        and said[0].startswith("checkpoint train.pt is unreadable")
        and said[0].endswith("trying train.previous.pt.")
    )
    store.previous.write_bytes(b"nonsense")
    assert store.load(torch.device("cpu")) is None
    store.save({"number": 3}, final=True)
    assert [path.name for path in tmp_path.iterdir()] == ["train.pt"]


def test_a_checkpoint_of_other_code_is_not_used(tmp_path):
    said = []
    Checkpoints(tmp_path, "train", "old", said.append).save({"number": 1})
    assert Checkpoints(tmp_path, "train", "new", said.append).load(torch.device("cpu")) is None
    assert said == ["checkpoint train.pt was made by other code, data or settings: trying train.previous.pt."]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Checkpoints(tmp_path / "file" / "run", "train", "d", print).save({})


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
