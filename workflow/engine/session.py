"""What every stage starts with: the device and its lease, precision, the network, the images."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import nn

import baselines
from workflow.engine.errors import memory_errors
from workflow.engine.normalisation import normalisation
from workflow.engine.pixels import TestImages, TrainingImages
from workflow.engine.precision import advice, backend, check
from workflow.engine.process_settings import keep_freed_memory, leave_the_compiler_out
from workflow.engine.randomness import global_seed, seed_global
from workflow.engine.validation import split
from workflow.machine import lease
from workflow.protocol.recipes import Recipe
from workflow.protocol.runs import Run

TEST_PIXELS = 1000 * 32 * 32  # pixels of an evaluation batch, unless the training batch is larger


@contextlib.contextmanager
def session(run: Run, stage: str, *, log: Callable[[str], None], exclusive: bool = False) -> Iterator[torch.device]:
    """The device of a run, leased, with the run's precision; random state is put back at the end.

    `exclusive`: no other job of the suite uses the GPU meanwhile. `log` is told of a precision that the device computes slowly.
    Running out of memory becomes one sentence.
    """
    check(run.precision)
    if not run.compile:
        leave_the_compiler_out()
    keep_freed_memory()
    recipe = run.search.recipe if stage == "search" and run.search else run.train.recipe
    with lease.lease(run.device, exclusive=exclusive) as name, contextlib.ExitStack() as stack:
        device = torch.device(name)
        if device.type == "cuda":
            torch.cuda.set_device(device)
            torch.cuda.reset_peak_memory_stats(device)
        if warning := advice(run.precision, device):
            log(warning)
        stack.enter_context(memory_errors(device, recipe.batch_size, f"{run.id}, stage {stage},"))
        stack.enter_context(backend(run.precision, device, deterministic=run.deterministic))
        stack.enter_context(torch.random.fork_rng(devices=[device.index] if device.type == "cuda" else []))
        seed_global(run.seed, stage, "dropout")
        yield device


def classes(run: Run) -> int:
    """How many classes the run's data set has."""
    return run.constants.classes


def input_shape(data) -> tuple[int, int, int]:
    """(channels, height, width) of one prepared image."""
    _, height, width, channels = data.train.images.shape
    return channels, height, width


def network(
    run: Run, data, *, stage: str, kernel_sizes: list[int] | None = None, dilations: list[int] | None = None
) -> nn.Module:
    """The run's network, initialised from the run's seed and the stage, on the CPU."""
    channels, _, size = input_shape(data)
    arguments = dict(run.arguments)
    if kernel_sizes is not None:
        arguments["kernel_sizes"] = list(kernel_sizes)
    if dilations is not None:
        arguments["dilations"] = list(dilations)
    with global_seed(run.seed, stage, "initialisation"):
        return baselines.build(run.system, in_channels=channels, num_classes=classes(run), image_size=size, **arguments)


def channels_last(model: nn.Module) -> bool:
    """Whether channels-last memory suits the model: what its attribute `channels_last` says, else not where kernels are generated.

    Convolutions up to some 13 x 13 are 1.3 to 1.6 times faster in it on a CPU. For the large kernels that generated ones grow to, the
    backward pass leaves the CPU library's fast path and takes 20 to 40 times longer.
    """
    return getattr(model, "channels_last", not callable(getattr(model, "kernel_sizes", None)))


Placed = TypeVar("Placed", bound=nn.Module)


def place(model: Placed, device: torch.device) -> Placed:
    """The model on the device, parameters and incoming images in the memory format that suits it."""
    model = model.to(device)
    if not channels_last(model):
        model.register_forward_pre_hook(lambda module, arguments: (arguments[0].contiguous(), *arguments[1:]))
        return model
    for parameter in model.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model


def place_for_training(run: Run, model: nn.Module, device: torch.device) -> nn.Module:
    """The model on the device as the training stage runs it: compiled where the run says so and its shapes are fixed."""
    model = place(model, device)
    if run.compile and not hasattr(model, "pretend_sizes"):
        model.compile()
    return model


@dataclass(frozen=True)
class Images:
    """The sets of a stage; `validation` are training images that the recipe holds out."""

    train: TrainingImages
    test: TestImages
    validation: TestImages | None


def images(run: Run, data, recipe: Recipe, *, stage: str, batch_size: int, device: torch.device) -> Images:
    """The training set (its first images, where the run says how many) with the recipe's augmentation, the test set without, both
    normalised alike."""
    train_images, train_labels, held_out = split(data, recipe.held_out, run.constants.train_images)
    kept = run.search.images if stage == "search" and run.search else run.train.images
    train_images, train_labels = train_images[:kept], train_labels[:kept]
    mean_image = data.mean_image if recipe.normalisation == "per-pixel-mean" else None
    norm = normalisation(recipe.normalisation, run.constants, mean_image)
    train = TrainingImages(
        train_images, train_labels, normalisation=norm, device=device, batch_size=batch_size, seed=run.seed, stage=stage,
        pad=recipe.pad, pad_mode=recipe.pad_mode, flip=recipe.flip, drop_last=recipe.drop_last, augment=recipe.augmentation,
    )  # fmt: skip
    size = max(batch_size, TEST_PIXELS // (train_images.shape[1] * train_images.shape[2]))
    if device.type == "cpu":
        size = min(size, 2 * batch_size)  # larger batches leave the cache
    options = {"normalisation": norm, "device": device, "batch_size": size}
    test = TestImages(np.asarray(data.test.images), np.asarray(data.test.labels), **options)
    return Images(train, test, TestImages(*held_out, **options) if held_out else None)


def listed_sizes(model: nn.Module) -> list | None:
    """The model's kernel sizes now, ints or [height, width] pairs in forward order; None where it does not say."""
    sizes = getattr(model, "kernel_sizes", None)
    sizes = sizes() if callable(sizes) else sizes
    if sizes is None:
        return None
    return [int(size) if isinstance(size, int) else [int(side) for side in size] for size in sizes]
