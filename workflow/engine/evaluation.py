"""Accuracy on the test set: evaluation mode, no augmentation, every image once, counted on the device and read once."""

import torch
from torch import nn

from workflow.engine.pixels import TestImages
from workflow.engine.precision import autocast

TOP5_CLASSES = 100  # data sets with at least so many classes report top-5, too


@torch.no_grad()
def evaluate(model: nn.Module, images: TestImages, *, classes: int, precision: str) -> dict:
    """{"correct", "top5_correct" (None below 100 classes), "images", "accuracy" %, "top5" % or None}; the mode is put back."""
    was_training = model.training
    model.eval()
    first = torch.zeros((), dtype=torch.int64, device=images.device)
    among = torch.zeros((), dtype=torch.int64, device=images.device)
    for batch, labels in images.batches():
        with autocast(precision, images.device):
            logits = model(batch)
        first += (logits.argmax(1) == labels).sum()
        if classes >= TOP5_CLASSES:
            among += (logits.float().topk(5, dim=1).indices == labels[:, None]).sum()
    model.train(was_training)
    correct = int(first)
    top5 = int(among) if classes >= TOP5_CLASSES else None
    return {
        "correct": correct, "top5_correct": top5, "images": images.count, "accuracy": 100 * correct / images.count,
        "top5": None if top5 is None else 100 * top5 / images.count,
    }  # fmt: skip
