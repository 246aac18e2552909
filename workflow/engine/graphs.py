"""On CUDA: a whole training step as one captured graph, replayed without the host telling it anything.

The epoch's plan and learning rates lie on the device; a counter there, advanced by the step itself, says which batch is next. The
first steps of a process run uncaptured on a side stream, as capturing requires, and are ordinary steps of the training. The last,
partial batch of an epoch has another shape and runs uncaptured. Networks whose shapes change while they train (they have
`pretend_sizes`, or `static_shapes = False`) are never captured.

No graph is trusted unseen: the first one is replayed once and compared with a plain step from the same state. Where they differ, or
where capturing fails, the run goes on uncaptured, and `uncaptured_reason` says why.
"""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import torch
from torch import Tensor, nn

from workflow.engine.optimisation import OptimizerSchedule
from workflow.engine.pixels import Batch, TrainingImages
from workflow.engine.randomness import global_state, restore_global_state
from workflow.engine.step import Step

WARM_STEPS = 3
TOLERANCE = 0.02  # of what a step changes: sums in another order change some tenths of a percent, a wrong batch or rate most of it


CORRECT = "counts of correct answers"


class Graph(Protocol):
    """What was captured."""

    def replay(self) -> None:
        """Do the step."""


def capturable(model: nn.Module, device: torch.device) -> bool:
    """Whether the model's step is worth capturing: on CUDA, unless its shapes change."""
    return device.type == "cuda" and getattr(model, "static_shapes", not hasattr(model, "pretend_sizes"))


def make_step(
    model: nn.Module, plan: Callable[[bool], OptimizerSchedule], images: TrainingImages, *, precision: str
) -> Step:
    """The step of a model: captured where the device and the model allow it. `plan(captured)` makes the optimiser."""
    if capturable(model, images.device):
        return CapturedStep(model, plan(True), images, precision=precision)
    return Step(model, plan(False), images, precision=precision)


@cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream of a device for warming up and capturing. torch's own for captures is one a process, whatever the device."""
    return torch.cuda.Stream(device)


def end_failed_capture(device: torch.device) -> None:
    """After a failed capture torch's generator may count as capturing still, and refuse to draw: give it a state that does not."""
    if device.type == "cuda":
        generator = torch.cuda.default_generators[device.index]
        generator.graphsafe_set_state(generator.clone_state())


@dataclass(frozen=True)
class Snapshot:
    """Copies of all tensors that a step changes, by kind, and the state of the random generators."""

    tensors: dict[str, list[Tensor]]
    random: dict[str, Tensor]

    def difference(self, other: "Snapshot", before: "Snapshot") -> str | None:
        """How this state differs from `other`, both reached from `before` by one step; None where they are equal up to rounding."""
        for kind, values in self.tensors.items():
            if kind == CORRECT:
                continue  # rounding may decide between two answers
            apart = moved = 0.0
            for value, wanted, old in zip(values, other.tensors[kind], before.tensors[kind], strict=True):
                apart += float((value.double() - wanted.double()).square().sum())
                moved += float((wanted.double() - old.double()).square().sum())
            if apart > TOLERANCE**2 * moved:  # false where a loss is not finite, which the loop reports
                share = f"{100 * (apart / moved) ** 0.5:.0f}% of what a plain step changes" if moved else "all"
                return f"a replayed step leaves other {kind} than a plain one (apart by {share})"
        if any(not torch.equal(state, other.random[name]) for name, state in self.random.items()):
            return "a replayed step draws other random numbers than a plain one"
        return None


class CapturedStep(Step):
    """`Step` for CUDA and fixed shapes."""

    def __init__(self, model: nn.Module, plan: OptimizerSchedule, images: TrainingImages, *, precision: str):
        super().__init__(model, plan, images, precision=precision)
        # Expected: the first steps are run without capture on purpose.
        plan.optimizer._warned_capturable_if_run_uncaptured = True
        device, shown = images.device, images.passes * images.count
        whole = [
            torch.zeros(shown, dtype=dtype, device=device)
            for dtype in (torch.int64, torch.int64, torch.int64, torch.bool)
        ]
        whole.append(torch.zeros(shown, images.augmentation.numbers if images.augmentation else 0, device=device))
        self._plan = Batch(*whole)
        self._table = torch.zeros(images.steps, len(plan.optimizer.param_groups), device=device)
        self._counter = torch.zeros(1, dtype=torch.int64, device=device)
        self._lanes = torch.arange(images.batch_size, device=device)
        self._next = 0  # what the device's counter holds
        self._warm = 0
        self._graph: Graph | None = None

    @property
    def captured(self) -> bool:
        return self._graph is not None

    def begin(self, epoch: int) -> None:
        """Upload an epoch's plan and rates into the memory that the graph reads."""
        if hasattr(self.model, "settle"):
            self.model.settle()  # its record of steps on the device is limited
        drawn, first = self.images.epoch(epoch), (epoch - 1) * self.images.steps
        for static, new in zip(vars(self._plan).values(), vars(drawn).values(), strict=True):
            static.copy_(new)
        self._table.copy_(torch.tensor([self.rates(first + step) for step in range(self.images.steps)]))
        self._set_counter(0)
        self.losses.zero_()
        self.correct.zero_()

    def _set_counter(self, step: int) -> None:
        self._counter.fill_(step)
        self._next = step

    def take(self, step: int) -> None:
        """Step 0, 1, ... of the epoch."""
        if step != self._next:
            self._set_counter(step)
        if (step + 1) * self.images.batch_size > self.images.shown:
            self._partial(step)
        elif self._graph is not None:
            self._graph.replay()
        elif self._warm < WARM_STEPS or self.uncaptured_reason:
            self._warm_up_step()
        else:
            self._capture_and_compare()
        self._next = step + 1

    def _body(self) -> None:
        """A whole step that takes everything from memory on the device."""
        rates = self._table.index_select(0, self._counter)[0]
        for position, group in enumerate(self.optimizer.param_groups):
            group["lr"].copy_(rates[position])
        chosen = self._counter * self.images.batch_size + self._lanes
        loss, correct = self.arithmetic(Batch(*(part.index_select(0, chosen) for part in vars(self._plan).values())))
        self._gather(loss, correct)

    def _partial(self, step: int) -> None:
        """The last batch of an epoch, which is smaller."""
        for position, group in enumerate(self.optimizer.param_groups):
            group["lr"].copy_(self._table[step, position])
        self._gather(*self.arithmetic(self.images.step(self._plan, step)))

    def _gather(self, loss: Tensor, correct: Tensor) -> None:
        self.losses.index_copy_(0, self._counter, loss.float().reshape(1))
        self.correct.add_(correct)
        self._counter.add_(1)

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """On the side stream, in order with what comes before and after. The stream of before is put back, whatever happens."""
        device = self.images.device
        if device.type != "cuda":
            yield
            return
        side, main = side_stream(device), torch.cuda.current_stream(device)
        side.wait_stream(main)
        with torch.cuda.stream(side):
            yield
        main.wait_stream(side)

    def _warm_up_step(self) -> None:
        """A plain step; in the first ones libraries make their choices and allocations before capture."""
        with self._aside():
            self._body()
        self._warm += 1

    def _capture(self) -> Graph:
        """The step as a graph. Nothing runs meanwhile."""
        graph = torch.cuda.CUDAGraph()
        with self._aside(), torch.cuda.graph(graph, stream=side_stream(self.images.device)):
            self._body()
        return graph

    def _capture_and_compare(self) -> None:
        """Capture the step and take it, from one state, replayed and plainly; only a graph that does the same is kept."""
        before = self.snapshot()
        self.optimizer.zero_grad(set_to_none=True)
        graph = replayed = None
        try:
            graph = self._capture()
            self._restore(before)
            graph.replay()
            replayed = self.snapshot()
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            end_failed_capture(self.images.device)
            cause: BaseException = error
            while cause.__context__ is not None:  # ending a capture that an operation has broken fails once more
                cause = cause.__context__
            self.uncaptured_reason = "the step could not be captured: " + " ".join(str(cause).split())[:200]
        self._restore(before)
        self._warm_up_step()
        if replayed is not None:
            self.uncaptured_reason = replayed.difference(self.snapshot(), before)
        if self.uncaptured_reason is None:
            self._graph = graph
        else:
            warnings.warn(f"training runs uncaptured, several times slower: {self.uncaptured_reason}", stacklevel=3)

    def _changing(self) -> dict[str, list[Tensor]]:
        """All tensors that a step changes."""
        kinds = {
            "losses": [self.losses], CORRECT: [self.correct], "counts of steps": [self._counter],
            "learning rates": [group["lr"] for group in self.optimizer.param_groups],
            "parameters": list(self.model.parameters()), "buffers": list(self.model.buffers()),
        }  # fmt: skip
        for state in self.optimizer.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor):
                    kinds.setdefault(f"values of the optimiser ({name})", []).append(value)
        return kinds

    def snapshot(self) -> Snapshot:
        """Copies of all that a step changes."""
        tensors = {kind: [tensor.detach().clone() for tensor in found] for kind, found in self._changing().items()}
        return Snapshot(tensors, global_state(self.images.device))

    @torch.no_grad()
    def _restore(self, snapshot: Snapshot) -> None:
        for kind, found in self._changing().items():
            for tensor, value in zip(found, snapshot.tensors[kind], strict=True):
                tensor.copy_(value)
        restore_global_state(snapshot.random, self.images.device)
