"""A captured step that goes wrong, pretended on the CPU: the run goes on uncaptured with the numbers of a plain one, and says why."""

import importlib
import re
from types import SimpleNamespace

import pytest
import torch
from engine_helpers import training_images

from effconv import SearchOptions, cifar_resnet
from workflow.engine import graphs
from workflow.engine.graphs import CapturedStep, end_failed_capture
from workflow.engine.loop import Loop
from workflow.engine.optimisation import for_recipe
from workflow.engine.search import fixed_shapes_pay
from workflow.engine.session import place
from workflow.engine.step import Step
from workflow.protocol.recipes import recipe

CPU = torch.device("cpu")
RESNET = recipe("resnet_sgd", "cifar10")


class Replays:
    """A graph whose replay is a function."""

    def __init__(self, replay):
        self.replay = replay


class Right(CapturedStep):
    def _capture(self):
        return Replays(self._body)


class Nothing(CapturedStep):
    """As an empty graph, captured on the stream of another device, would: nothing."""

    def _capture(self):
        return Replays(lambda: None)


class AnotherBatch(CapturedStep):
    def _capture(self):
        def replay():
            self._counter.add_(1)
            self._body()
            self._counter.sub_(1)

        return Replays(replay)


class TenthOfTheRate(CapturedStep):
    def _capture(self):
        def replay():
            self._table.mul_(0.1)
            self._body()
            self._table.mul_(10)

        return Replays(replay)


class OtherDropout(CapturedStep):
    def _capture(self):
        def replay():
            self._body()
            torch.rand(1)

        return Replays(replay)


class Raises(CapturedStep):
    """An operation is not permitted, and ending the capture fails for that reason."""

    def _capture(self):
        self.losses.fill_(7.0)  # half a step
        torch.rand(5)
        try:
            raise RuntimeError("CUDA error: operation not permitted when stream is capturing")
        finally:
            raise RuntimeError("capture_end: the capture was invalidated")


def build(kind, name="sgd"):
    torch.manual_seed(0)
    train = training_images(device=CPU, batch_size=4, count=26)  # six whole steps and a partial one
    model = place(torch.nn.Sequential(torch.nn.Dropout(0.2), cifar_resnet(8, widths=(4, 8, 16))), CPU).train()
    plan = for_recipe(model, RESNET, steps_per_epoch=train.steps, device=CPU, captured=issubclass(kind, CapturedStep))
    return kind(model, plan, train, precision="fp32")


def an_epoch(step):
    torch.manual_seed(1)
    step.begin(1)
    for number in range(step.images.steps):
        step.take(number)
    return step.losses.clone(), [p.detach().clone() for p in step.model.parameters()], torch.get_rng_state()


def same_as_plain(step):
    torch.testing.assert_close(an_epoch(step), an_epoch(build(Step)), rtol=1e-6, atol=1e-7)


def test_a_right_graph_is_replayed():
    step = build(Right)
    same_as_plain(step)
    assert step.captured and step.uncaptured_reason is None


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Nothing, r"other losses than a plain one \(apart by 100% of what a plain step changes\)"),
        (AnotherBatch, "other losses than a plain one"),
        (TenthOfTheRate, "other learning rates than a plain one"),
        (OtherDropout, "draws other random numbers"),
        (Raises, "could not be captured: CUDA error: operation not permitted when stream is capturing"),
    ],
)
def test_what_goes_wrong_costs_speed_and_no_number(kind, reason):
    step = build(kind)
    with pytest.warns(UserWarning, match="runs uncaptured, several times slower"):
        same_as_plain(step)
    assert not step.captured
    assert re.search(reason, step.uncaptured_reason)


def test_running_out_of_memory_is_no_reason_to_go_on():
    class Full(CapturedStep):
        def _capture(self):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        an_epoch(build(Full))


class Generator:
    """As torch's of a GPU: while it counts as capturing it refuses to be set; a copy of its state does not."""

    def __init__(self, capturing=False):
        self.capturing = capturing

    def clone_state(self):
        return Generator()

    def graphsafe_set_state(self, other):
        self.capturing = other.capturing


def test_a_generator_that_was_left_in_capture_is_given_back(monkeypatch):
    generators = [Generator(), Generator(capturing=True)]
    monkeypatch.setattr(torch.cuda, "default_generators", generators)
    end_failed_capture(torch.device("cuda:1"))
    assert not generators[1].capturing
    end_failed_capture(CPU)


def test_a_failed_capture_gives_the_generator_back_before_it_is_set(monkeypatch):
    order = []
    monkeypatch.setattr(graphs, "end_failed_capture", lambda device: order.append("given back"))
    real = graphs.restore_global_state
    monkeypatch.setattr(graphs, "restore_global_state", lambda *a: (order.append("set"), real(*a)))
    with pytest.warns(UserWarning):
        an_epoch(build(Raises))
    assert order == ["given back", "set"]


def test_warm_up_and_capture_take_one_stream_of_their_device_and_give_the_old_one_back(monkeypatch):
    """Pretended streams: what is current when, on which device."""
    log, current = [], ["main"]

    class Stream:
        def __init__(self, device):
            self.device = device

        def wait_stream(self, other):
            log.append(f"{self.device} waits")

    class Inside:
        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            current.append(self.stream)

        def __exit__(self, *error):
            current.pop()

    def broken_graph(graph, stream):
        current[-1] = stream  # it stays current when the capture fails

        class Capture:
            def __enter__(self):
                log.append(f"captures on {stream.device}")

            def __exit__(self, *error):
                raise RuntimeError("the capture was invalidated")

        return Capture()

    graphs.side_stream.cache_clear()
    main = SimpleNamespace(wait_stream=lambda other: log.append("main waits"))
    for name, value in {
        "Stream": Stream, "stream": Inside, "current_stream": lambda device: main, "graph": broken_graph, "CUDAGraph": object,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, value)
    step = build(Right)
    device = torch.device("cuda:1")
    step.images = SimpleNamespace(device=device)
    monkeypatch.setattr(step, "_body", lambda: log.append(f"step on {current[-1].device}"))
    step._warm_up_step()
    with pytest.raises(RuntimeError, match="invalidated"):
        CapturedStep._capture(step)
    graphs.side_stream.cache_clear()
    assert current == ["main"]
    assert log == [
        "cuda:1 waits", "step on cuda:1", "main waits", "cuda:1 waits", "captures on cuda:1", "step on cuda:1",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["resnet_sgd", "flexconv_adam"])
@pytest.mark.parametrize("kinds", [(Step, Right), (Right, Step)])
def test_an_optimisers_state_moves_between_plain_and_captured_steps(name, kinds, monkeypatch):
    """The rate stays what the step that takes it over needs: a tensor on the device, or a number."""
    monkeypatch.setattr("test_engine_guard.RESNET", recipe(name, "cifar10"))
    source, target = (build(kind) for kind in kinds)
    an_epoch(source)
    target.load_optimizer(source.optimizer.state_dict())
    for group in target.optimizer.param_groups:
        assert isinstance(group["lr"], torch.Tensor) == isinstance(target, Right)
        assert group.get("capturable", False) == (name == "flexconv_adam" and isinstance(target, Right))
    an_epoch(target)


def test_the_host_is_never_more_than_two_looks_ahead(monkeypatch):
    events = []

    class Event:
        def record(self):
            events.append(("recorded", id(self)))

        def synchronize(self):
            events.append(("waited for", id(self)))

    monkeypatch.setattr(torch.cuda, "Event", Event)
    loop = SimpleNamespace(_queued=None)
    kept = []
    for _ in range(3):
        Loop._keep_pace(loop)
        kept.append(loop._queued)
    first, second, third = map(id, kept)
    assert events == [
        ("recorded", first), ("waited for", first), ("recorded", second), ("waited for", second), ("recorded", third),
    ]  # fmt: skip


def test_checkpoints_at_the_ends_of_epochs_keep_to_their_share_of_the_time(tiny, tmp_path, monkeypatch):
    """A write that takes as long as all epochs together is done once, after the first, and at the end."""
    from workflow import engine

    checkpoint = importlib.import_module("workflow.engine.checkpoint")
    written, real = [], checkpoint.Checkpoints.save

    def save(self, state, *, final=False):
        written.append("final" if final else len(state["history"]))
        real(self, state, final=final)
        self.seconds = 60.0

    monkeypatch.setattr(checkpoint.Checkpoints, "save", save)
    run = tiny.run(train={"epochs": 5})
    engine.train(run, tiny.data, tmp_path, kernel_sizes=None, digest="d", log=lambda text: None)
    assert written == [1, "final"]


def test_fixed_shapes_are_for_predictors_of_small_weights():
    assert fixed_shapes_pay(SearchOptions(kernel_predictor="projected"))
    assert not fixed_shapes_pay(SearchOptions(kernel_predictor="literal"))
    assert not fixed_shapes_pay(SearchOptions(kernel_predictor="projected", odd_only=True))
