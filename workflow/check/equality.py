"""Is a replayed step the step? `python -m workflow.check.equality DEVICE KIND` tries a kind of training in a process of its own.

Two epochs from one seed, each of four whole steps and a partial one, deterministic: once replayed, once run by Python in every step.
Compared are the losses of every step, counts, rates, parameters, buffers, the optimiser's values and the random generators. On CUDA a
captured graph is replayed, on a CPU what torch.fx has recorded of the step: whatever Python decides or counts anew in each step would
stay as it was when recorded, there as here. Two kinds are to fail, so that the comparison itself is tried.
"""

import contextlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

import baselines
from effconv import FixedShapeSearch, SearchOptions, cifar_resnet
from workflow.engine.errors import peak_memory_mb
from workflow.engine.graphs import CapturedStep, Graph, Snapshot
from workflow.engine.normalisation import normalisation
from workflow.engine.optimisation import OptimizerSchedule, for_recipe, for_search
from workflow.engine.pixels import TrainingImages
from workflow.engine.precision import backend
from workflow.engine.session import place
from workflow.protocol.datasets import DATASETS
from workflow.protocol.recipes import recipe
from workflow.support.processes import die_with_parent

STEPS = 4  # whole ones of an epoch
APART = {"fp32": 1e-4, "tf32": 1e-2, "bf16": 2e-2}  # of what the two epochs change, where kernels sum in another order
WIDTHS = (4, 8, 16)


class Plain(CapturedStep):
    """`CapturedStep`, run by Python in every step."""

    uncaptured_reason = "this is the plain one"


class Recorded(CapturedStep):
    """`CapturedStep` with torch.fx in place of a CUDA graph. `replays`: how often the recorded step was run.

    Recording runs the step as well, which a capture does not; the comparison with a plain step takes that back.
    """

    replays = 0

    def _capture(self) -> Graph:
        def step(unused: torch.Tensor) -> torch.Tensor:
            self._body()
            return unused

        self._recorded = make_fx(step)(torch.zeros(()))
        return self

    @torch.no_grad()
    def replay(self) -> None:
        """The recorded step."""
        self._recorded(torch.zeros(()))
        self.replays += 1


class Counts(nn.Linear):
    """Python counts the steps: what a replayed step must not rest on."""

    steps = 0

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.steps += 1
        return super().forward(images.flatten(1)) / self.steps


class Reads(nn.Linear):
    """The host looks at a value: what cannot be captured."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pictures = images.flatten(1)
        return super().forward(pictures) * (1.0 if float(pictures.sum()) > -1e9 else 0.0)


@dataclass(frozen=True)
class Kind:
    """One kind of training. `make`: in place of a system by name, a function of no arguments; `caught`: is not to be replayed."""

    system: str = ""
    recipe: str = "resnet_sgd"
    dataset: str = "cifar10"
    precision: str = "fp32"
    arguments: dict[str, Any] = field(default_factory=dict)
    make: Callable[[], nn.Module] | None = None
    caught: bool = False


def _search(predictor: str) -> nn.Module:
    options = SearchOptions(kernel_predictor=predictor, record_every=1, k=1.0)
    return FixedShapeSearch(
        cifar_resnet(8, widths=WIDTHS), input_shape=(3, 32, 32), parameters=3_000, options=options, seed=0
    )


EVEN = {"widths": WIDTHS, "kernel_sizes": [2, 5, 4, 3, 6, 1] * 3}
KINDS = {
    "SGD, even kernels": Kind("cifar_resnet20", arguments=EVEN),
    "SGD, even kernels, bf16": Kind("cifar_resnet20", precision="bf16", arguments=EVEN),
    "SGD, even kernels, tf32": Kind("cifar_resnet20", precision="tf32", arguments=EVEN),
    "wide": Kind("wrn28_1", "wrn_sgd"),
    "dropout, perspective": Kind("vgg5", "vgg5_adam", "mnist"),
    "capsules": Kind("efficient_capsnet", "capsnet_adam", "mnist"),
    "groups of parameters": Kind("network_in_network", "nin_sgd", "mnist"),
    "DCLS": Kind("dcls_resnet20"),
    "CKConv": Kind("resnet44_ckconv", "flexconv_adam"),
    "SMPConv, FFT": Kind("smpconv490k", "smpconv_adam"),
    "search, literal": Kind(make=lambda: _search("literal")),
    "search, projected": Kind(make=lambda: _search("projected")),
    "guard: other numbers": Kind(make=lambda: Counts(3 * 32 * 32, 10), caught=True),
    "guard: no capture": Kind(make=lambda: Reads(3 * 32 * 32, 10), caught=True),
}
QUICK = ("SGD, even kernels", "dropout, perspective", "search, projected", "guard: other numbers", "guard: no capture")


def made_up_images(name: str, dataset: str, *, device: torch.device, batch_size: int, count: int) -> TrainingImages:
    """Random images of a data set's shape, augmented and normalised as the recipe `name` has it."""
    own, (side, channels) = recipe(name, dataset), {"cifar10": (32, 3), "mnist": (28, 1)}[dataset]
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, side, side, channels), dtype=np.uint8)
    return TrainingImages(
        images, draw.integers(0, 10, count), device=device, batch_size=batch_size, seed=0, stage="train", pad=own.pad,
        pad_mode=own.pad_mode, flip=own.flip, augment=own.augmentation,
        normalisation=normalisation(own.normalisation, DATASETS[dataset], images.mean(0) / 255),
    )  # fmt: skip


def build(step: type[CapturedStep], kind: Kind, device: torch.device) -> CapturedStep:
    """The step of a kind of training, from one seed."""
    batch = 32 if device.type == "cuda" else 4
    count = STEPS * batch + batch // 2
    train = made_up_images(kind.recipe, kind.dataset, device=device, batch_size=batch, count=count)
    torch.manual_seed(0)
    model = kind.make() if kind.make else baselines.build(
        kind.system, in_channels=train.channels, num_classes=10, image_size=train.height, **kind.arguments
    )  # fmt: skip
    model = place(model, device).train()
    schedule: OptimizerSchedule
    if isinstance(model, FixedShapeSearch):
        schedule = for_search(model.parameter_groups(), device, captured=True)
    else:
        own = recipe(kind.recipe, kind.dataset)
        schedule = for_recipe(model, own, steps_per_epoch=train.steps, device=device, captured=True)
    return step(model, schedule, train, precision=kind.precision)


def two_epochs(step: CapturedStep) -> tuple[list[Snapshot], list[float]]:
    """The states after each of two epochs, and the losses of their steps."""
    torch.manual_seed(3)  # dropout
    states, losses = [], []
    for epoch in (1, 2):
        step.begin(epoch)
        for number in range(step.images.steps):
            step.take(number)
        states.append(step.snapshot())
        losses += step.losses.tolist()
    return states, losses


def apart(states: list[Snapshot], others: list[Snapshot], start: Snapshot) -> float:
    """The greatest distance between two trainings, by kind of value, in shares of what training changed; infinite for other draws."""
    found = 0.0
    for state, other in zip(states, others, strict=True):
        if any(not torch.equal(value, other.random[name]) for name, value in state.random.items()):
            return float("inf")
        for name, values in state.tensors.items():
            pairs = list(zip(values, other.tensors[name], strict=True))
            before = start.tensors.get(name) or [torch.zeros_like(value) for value in values]
            change = sum(
                float((o.double() - b.double()).square().sum()) for (_, o), b in zip(pairs, before, strict=True)
            )
            distance = sum(float((v.double() - o.double()).square().sum()) for v, o in pairs)
            if distance:
                found = max(found, (distance / change) ** 0.5 if change else float("inf"))
    return found


def compare(kind: Kind, device: torch.device) -> dict:
    """Try one kind: {"equal": bool, "text": what was found, "memory_mb", "seconds"}."""
    began = time.perf_counter()
    replaying = CapturedStep if device.type == "cuda" else Recorded
    with backend(kind.precision, device, deterministic=True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Some kernels have no deterministic form: the tolerance is for them.
        torch.use_deterministic_algorithms(device.type == "cuda", warn_only=True)
        plain, replayed = build(Plain, kind, device), build(replaying, kind, device)
        start = plain.snapshot()
        (expected, _), (found, losses) = two_epochs(plain), two_epochs(replayed)
    share, reason = apart(found, expected, start), replayed.uncaptured_reason
    if kind.caught:
        equal = reason is not None and not replayed.captured
        text = f"caught: {reason}" if equal else "was replayed, and should not have been"
    elif not replayed.captured:
        equal, text = False, str(reason)
    elif len(set(losses)) < len(losses):
        equal, text = False, "steps have equal losses: a replay does nothing"
    else:
        equal = share <= APART[kind.precision]
        text = "equal to the last bit" if share == 0 else f"apart by {share:.1e} of what training changes"
    return {"equal": equal, "text": text, "memory_mb": peak_memory_mb(device), "seconds": time.perf_counter() - began}


def main(where: str, *names: str) -> None:
    """Try some kinds and print what was found of each as JSON."""
    die_with_parent()
    device = torch.device(where)
    torch.set_num_threads(1)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with contextlib.redirect_stdout(sys.stderr):
        found = {name: compare(KINDS[name], device) for name in names}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
