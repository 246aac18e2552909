"""The step that CUDA graphs replay: its arithmetic here on the CPU, uncaptured; the capture itself where there is a GPU."""

import importlib

import pytest
import torch

from workflow import engine
from workflow.engine import graphs
from workflow.engine.graphs import CapturedStep, capturable
from workflow.engine.optimisation import for_recipe
from workflow.engine.session import images, network, place
from workflow.engine.step import Step
from workflow.protocol.recipes import recipe

CPU = torch.device("cpu")


def build(tiny, kind, device=CPU):
    rule = recipe("resnet_sgd", "cifar10").with_epochs(2)
    run = tiny.run()
    train = images(run, tiny.data, rule, stage="train", batch_size=16, device=device).train
    model = place(network(run, tiny.data, stage="train"), device).train()
    plan = for_recipe(model, rule, steps_per_epoch=train.steps, device=device, captured=kind is CapturedStep)
    return kind(model, plan, train, precision="fp32")


def run_epochs(step, epochs=2):
    seen = []
    for epoch in range(1, epochs + 1):
        step.begin(epoch)
        for number in range(step.images.steps):
            step.take(number)
        seen.append((step.losses.tolist(), int(step.correct), [float(g["lr"]) for g in step.optimizer.param_groups]))
    return seen


def test_the_step_that_reads_its_plan_from_the_device_is_the_plain_step(tiny, monkeypatch):
    monkeypatch.setattr(CapturedStep, "uncaptured_reason", "there is no GPU")
    plain, resident = build(tiny, Step), build(tiny, CapturedStep)
    first, second = run_epochs(plain), run_epochs(resident)
    for (losses, correct, rates), (others, other_correct, other_rates) in zip(first, second, strict=True):
        assert others == pytest.approx(losses, rel=1e-6)
        assert other_correct == correct
        assert other_rates == pytest.approx(rates)
    for p, q in zip(plain.model.parameters(), resident.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)


def test_it_can_go_on_in_the_middle_of_an_epoch(tiny, monkeypatch):
    monkeypatch.setattr(CapturedStep, "uncaptured_reason", "there is no GPU")
    step = build(tiny, CapturedStep)
    step.begin(1)
    step.take(2)
    assert [bool(loss) for loss in step.losses] == [False, False, True, False]
    step.take(3)
    assert bool(step.losses[3])


def test_what_is_captured():
    grows = type("Grows", (torch.nn.Linear,), {"pretend_sizes": None})
    dynamic = type("Dynamic", (torch.nn.Linear,), {"static_shapes": False})
    cuda = torch.device("cuda")
    assert [capturable(kind(2, 2), cuda) for kind in (torch.nn.Linear, grows, dynamic)] == [True, False, False]
    assert not capturable(torch.nn.Linear(2, 2), CPU)


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


@needs_cuda
def test_replaying_the_graph_is_running_the_step(tiny):
    cuda = torch.device("cuda:0")
    plain, captured = run_epochs(build(tiny, Step, cuda), 4), build(tiny, CapturedStep, cuda)
    seen = run_epochs(captured, 4)
    assert captured.captured
    for (losses, _, rates), (others, _, other_rates) in zip(plain, seen, strict=True):
        assert others == pytest.approx(losses, rel=1e-2)
        assert other_rates == pytest.approx(rates)


@needs_cuda
def test_a_network_that_cannot_be_captured_goes_on_uncaptured(tiny):
    class Reads(torch.nn.Linear):
        def forward(self, images):
            pictures = images.flatten(1)
            return super().forward(pictures) * float(pictures.sum() > -1)

    cuda = torch.device("cuda:0")
    train = build(tiny, Step, cuda).images
    model = Reads(192, 10).to(cuda)
    rule = recipe("resnet_sgd", "cifar10")
    step = CapturedStep(
        model, for_recipe(model, rule, steps_per_epoch=4, device=cuda, captured=True), train, precision="fp32"
    )
    with pytest.warns(UserWarning, match="could not be captured"):
        losses = run_epochs(step, 2)
    assert not step.captured and torch.cuda.current_stream() == torch.cuda.default_stream()
    torch.rand(3, device=cuda)  # the generator draws again
    assert all(loss > 0 for loss in losses[-1][0])


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_all_stages_on_cuda(tiny, tmp_path, precision):
    run = tiny.run(device="cuda", precision=precision)
    found = engine.search(run, tiny.data, tmp_path, digest="d", log=lambda text: None)
    result = engine.train(run, tiny.data, tmp_path, kernel_sizes=found["sizes"], digest="d", log=lambda text: None)
    assert result["epochs"] == 2
    timing = engine.measure(
        run, tiny.data, kernel_sizes=found["sizes"], log=lambda text: None, slices=2, slice_seconds=0.02
    )
    assert timing["segments"][-1]["captured"]


@needs_cuda
def test_resuming_on_cuda_is_exact_with_the_deterministic_option(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    monkeypatch.setattr(importlib.import_module("workflow.engine.loop"), "CHECK_STEPS", 1)
    monkeypatch.setattr(graphs, "WARM_STEPS", 1)
    run = tiny.run(device="cuda", deterministic=True)
    options = {"kernel_sizes": None, "digest": "d", "log": lambda text: None}
    whole = engine.train(run, tiny.data, tmp_path / "whole", **options)
    while True:
        try:
            sittings = engine.train(run, tiny.data, tmp_path / "sittings", deadline=0.0, **options)
            break
        except engine.OutOfTime:
            continue
    assert (sittings["loss"], sittings["correct"]) == (whole["loss"], whole["correct"])
