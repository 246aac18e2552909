"""What both engine benchmarks compare: the usual training loop as most code has it, and the suite's own step, on the same images.

The usual loop: PIL images through torchvision's transforms in a DataLoader with worker processes, NCHW, eager, fp32, an optimiser
with default arguments, the loss read back in every step.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from effconv import cifar_resnet
from workflow.engine.clock import steps
from workflow.engine.process_settings import keep_freed_memory

BATCH = 128
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


def cifar10() -> tuple[np.ndarray, np.ndarray, str]:
    """(images uint8 [50000, 32, 32, 3], labels, what they are): $EFFCONV_REAL_DATA's, the prepared ones, or random bytes."""
    given = Path(os.environ.get("EFFCONV_REAL_DATA", "")) / "cifar10" / "train.npz"
    prepared = Path("data/prepared/cifar10/train")
    if given.is_file():
        with np.load(given) as file:
            return file["images"], file["labels"].astype(np.int64), "real CIFAR-10"
    if (prepared / "images.npy").is_file():
        return np.load(prepared / "images.npy"), np.load(prepared / "labels.npy"), "real CIFAR-10"
    draw = np.random.default_rng(0)
    return (
        draw.integers(0, 256, (50_000, 32, 32, 3), dtype=np.uint8),
        draw.integers(0, 10, 50_000),
        "random bytes of CIFAR-10's shape",
    )


def network(depth: int) -> nn.Module:
    """A CIFAR ResNet from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return cifar_resnet(depth)


class _Pictures(torch.utils.data.Dataset):
    def __init__(self, images: np.ndarray, labels: np.ndarray):
        from torchvision import transforms

        self.images, self.labels = images, labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def usual_batches(images: np.ndarray, labels: np.ndarray, *, workers: int, pin: bool = False) -> Iterator:
    """Endless batches of the DataLoader."""
    loader = torch.utils.data.DataLoader(
        _Pictures(images, labels),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=True,
        pin_memory=pin,
    )
    while True:
        yield from loader


class Usual:
    """The usual loop; `steps(n)` runs n steps. `clock` is called after each part of a step with its name."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, *, depth: int, device: str = "cpu", workers: int = 2):
        self.device, self.model = device, network(depth).to(device).train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
        self.batches = usual_batches(images, labels, workers=workers, pin=device != "cpu")
        self.loss = 0.0

    def steps(self, count: int, clock=lambda part: None) -> None:
        """`count` steps."""
        for _ in range(count):
            images, labels = next(self.batches)
            images, labels = images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
            clock("data")
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(images), labels)
            clock("forward")
            loss.backward()
            clock("backward")
            self.optimizer.step()
            self.loss += loss.item()
            clock("optimiser")


class Ours:
    """The suite's step; `steps(n)` runs n steps, epoch after epoch."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, *, depth: int, device: str = "cpu", precision: str = "fp32"
    ):
        keep_freed_memory()  # as every stage of the engine does
        endless = steps(network(depth), images, labels, device=torch.device(device), precision=precision)
        self.step, self.steps = endless.step, endless.take

    def timed_steps(self, count: int, clock) -> None:
        """`count` plain steps, `clock` called after each part with its name."""
        step = self.step
        plan = step.images.epoch(1)
        for number in range(count):
            images, labels = step.images.load(step.images.step(plan, number))
            clock("data")
            step.optimizer.zero_grad(set_to_none=True)
            with step.autocast():
                loss, _ = step.loss(images, labels)
            clock("forward")
            loss.backward()
            clock("backward")
            step.optimizer.step()
            clock("optimiser")
