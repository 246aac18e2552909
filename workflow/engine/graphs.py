"""On CUDA: a whole training step as one captured graph, replayed without the host telling it anything.

The epoch's plan and learning rates lie on the device; a counter there, advanced by the step itself, says which batch is next. The
first steps of a process run uncaptured on a side stream, as capturing requires, and are ordinary steps of the training. The last,
partial batch of an epoch has another shape and runs uncaptured. Networks whose shapes change while they train (they have
`pretend_sizes`, or `static_shapes = False`) are never captured.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from workflow.engine.optimisation import OptimizerSchedule
from workflow.engine.pixels import Batch, TrainingImages
from workflow.engine.step import Step

WARM_STEPS = 3


def capturable(model: nn.Module, device: torch.device) -> bool:
    """Whether the model's step is worth capturing: on CUDA, unless its shapes change."""
    return device.type == "cuda" and getattr(model, "static_shapes", not hasattr(model, "pretend_sizes"))


def stepper(
    model: nn.Module, plan: Callable[[bool], OptimizerSchedule], images: TrainingImages, *, precision: str
) -> Step:
    """The step of a model: captured where the device and the model allow it. `plan(captured)` makes the optimiser."""
    if capturable(model, images.device):
        return CapturedStep(model, plan(True), images, precision=precision)
    return Step(model, plan(False), images, precision=precision)


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
        self._graph: torch.cuda.CUDAGraph | None = None
        self._capture = True

    def begin(self, epoch: int) -> None:
        """Upload an epoch's plan and rates into the memory that the graph reads."""
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
        elif self._warm < WARM_STEPS or not self._capture:
            self._aside()
        else:
            self._record()
            self.take(step)
            return
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

    def _aside(self) -> None:
        """A step on a side stream, where libraries make their choices and allocations before capture."""
        side, main = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(main)
        with torch.cuda.stream(side):
            self._body()
        main.wait_stream(side)
        self._warm += 1

    def _record(self) -> None:
        """Capture the step. Nothing runs meanwhile; a network that cannot be captured goes on uncaptured."""
        graph = torch.cuda.CUDAGraph()
        self.optimizer.zero_grad(set_to_none=True)
        try:
            with torch.cuda.graph(graph):
                self._body()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self._capture = False
            self.optimizer.zero_grad(set_to_none=True)
            reason = " ".join(str(error).split())[:200]
            warnings.warn(
                f"the training step could not be captured and runs uncaptured, several times slower: {reason}",
                stacklevel=2,
            )
        else:
            self._graph = graph
