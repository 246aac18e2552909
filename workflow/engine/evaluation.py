"""The test set: evaluation mode, no augmentation, every image once; counted on the device and read once.

Cross-entropy is that of the softmax of the network's outputs, whatever loss it was trained with.
"""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from workflow.engine.pixels import TestImages
from workflow.engine.precision import autocast
from workflow.support.files import write_bytes

LEAST = -65504.0  # the least number that float16 holds; NaN counts as that
TOP5_CLASSES = 100  # data sets with at least so many classes report top-5, too


@dataclass(frozen=True)
class Scores:
    """What a network says of a set of images: `classes` int64 [N] and `log_probability` float32 [N] of the true class."""

    correct: int
    top5_correct: int | None  # None below 100 classes
    cross_entropy: float
    classes: Tensor
    log_probability: Tensor

    @property
    def accuracy(self) -> float:
        """Percent."""
        return 100 * self.correct / len(self.classes)

    @property
    def top5(self) -> float | None:
        """Percent."""
        return None if self.top5_correct is None else 100 * self.top5_correct / len(self.classes)

    def save(self, path: Path) -> None:
        """Write the predictions: `classes` uint16 [N] and `log_probability` float16 [N], in the order of the set."""
        packed = io.BytesIO()
        np.savez_compressed(
            packed,
            classes=self.classes.cpu().numpy().astype(np.uint16),
            log_probability=self.log_probability.half().cpu().numpy(),
        )
        write_bytes(path, packed.getvalue())


@torch.no_grad()
def evaluate(model: nn.Module, images: TestImages, *, classes: int, precision: str) -> Scores:
    """The network's scores; its mode is put back."""
    was_training = model.training
    model.eval()
    among = torch.zeros((), dtype=torch.int64, device=images.device)
    predicted, likely, truth = [], [], []
    for batch, labels in images.batches():
        with autocast(precision, images.device):
            logits = model(batch)
        logits = logits.float()
        predicted.append(logits.argmax(1))
        true = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
        likely.append(true.nan_to_num(nan=LEAST).clamp(min=LEAST))
        truth.append(labels)
        if classes >= TOP5_CLASSES:
            among += (logits.topk(5, dim=1).indices == labels[:, None]).sum()
    model.train(was_training)
    found, log_probability = torch.cat(predicted), torch.cat(likely)
    return Scores(
        correct=int((found == torch.cat(truth)).sum()),
        top5_correct=int(among) if classes >= TOP5_CLASSES else None,
        cross_entropy=float(-log_probability.double().mean()),
        classes=found,
        log_probability=log_probability,
    )
