"""One training step, the same for every network: batch, forward, loss, backward, update. Nothing in it waits for the device.

What the loop later reads (the loss of every step, the number of correct answers) is gathered in tensors on the device.
A model may offer `training_loss(images, labels) -> (loss, logits)` in place of cross-entropy, `penalty()`, which is added to the
loss of the forward pass that just ran, and `after_backward()`, called between backward pass and update.
"""

from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workflow.engine.optimisation import OptimizerSchedule
from workflow.engine.pixels import Batch, TrainingImages
from workflow.engine.precision import autocast
from workflow.engine.process_settings import update_of


class Step:
    """The steps of one stage. `begin` an epoch, then `take` its steps 0, 1, ... in order.

    `captured`: whether a graph is replayed; `uncaptured_reason`: why not, where one was to be.
    """

    uncaptured_reason: str | None = None

    def __init__(self, model: nn.Module, schedule: OptimizerSchedule, images: TrainingImages, *, precision: str):
        self.model: Any = model  # a module, perhaps with the parts named above
        self.optimizer, self.images, self.precision = schedule.optimizer, images, precision
        self.scale = 1.0  # of all rates: what results of earlier epochs make of the schedule
        self._rates = schedule.rates
        self._update = update_of(schedule.optimizer)
        self.losses = torch.zeros(images.steps, device=images.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=images.device)
        self._plan: Batch  # of this epoch
        self._first = 0  # steps of the stage before this epoch

    @property
    def captured(self) -> bool:
        return False

    def rates(self, step: int) -> list[float]:
        """The learning rate of each parameter group at step 0, 1, ... of the stage."""
        return [self.scale * rate for rate in self._rates(step)]

    def begin(self, epoch: int) -> None:
        """Draw the plan of an epoch (from 1) and clear what is gathered."""
        self._plan, self._first = self.images.epoch(epoch), (epoch - 1) * self.images.steps
        self.losses.zero_()
        self.correct.zero_()

    def take(self, step: int) -> None:
        """Step 0, 1, ... of the epoch."""
        for group, rate in zip(self.optimizer.param_groups, self.rates(self._first + step), strict=True):
            group["lr"] = rate
        loss, correct = self.arithmetic(self.images.step(self._plan, step))
        self.losses[step].copy_(loss)
        self.correct.add_(correct)

    def arithmetic(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Loss and number of correct answers of one batch, the parameters updated."""
        images, labels = self.images.load(batch)
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            loss, logits = self.loss(images, labels)
        loss.backward()
        if hasattr(self.model, "after_backward"):
            self.model.after_backward()
        with torch.no_grad():
            self._update()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def autocast(self) -> AbstractContextManager:
        """What the forward pass and the loss run under."""
        return autocast(self.precision, self.images.device)

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of a batch, with the model's penalty, and its logits."""
        if hasattr(self.model, "training_loss"):
            loss, logits = self.model.training_loss(images, labels)
        else:
            logits = self.model(images)
            loss = F.cross_entropy(logits.float(), labels)
        if hasattr(self.model, "penalty"):
            loss = loss + self.model.penalty()
        return loss, logits

    def load_optimizer(self, state: dict) -> None:
        """An optimiser's state, perhaps from another kind of step: how this one holds its rates is left as it is."""
        kept = [
            {key: group[key] for key in group if key in ("lr", "capturable")} for group in self.optimizer.param_groups
        ]
        self.optimizer.load_state_dict(state)
        for group, own in zip(self.optimizer.param_groups, kept, strict=True):
            group.update(own)

    def first_non_finite(self, done: int) -> int | None:
        """The first of the epoch's `done` steps (from 1) whose loss was not finite; None if all were. Waits for the device."""
        wrong = (~torch.isfinite(self.losses[:done])).nonzero()
        return int(wrong[0]) + 1 if len(wrong) else None

    def mean_loss(self) -> float:
        """Mean loss of the epoch's images."""
        sizes = torch.full((self.images.steps,), float(self.images.batch_size))
        sizes[-1] = self.images.shown - (self.images.steps - 1) * self.images.batch_size
        return float((self.losses.cpu().double() * sizes).sum() / self.images.shown)
