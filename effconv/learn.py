"""Algorithm 1's stage 1 in one call, for any model and any batches: AdamW, cross-entropy plus the budget loss."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from effconv.convert import Selection
from effconv.counting import evaluating, example_input
from effconv.learned import LearnedSizes
from effconv.options import SearchOptions
from effconv.search import KernelSizeSearch

ARGUMENTS = ("parameters", "macs", "epochs", "seed", "layers", "options", "loss", "progress")
OPTIONS = tuple(field.name for field in fields(SearchOptions))


def learn_kernel_sizes(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    parameters: int | None = None,
    macs: int | None = None,
    epochs: int = 10,
    seed: int = 0,
    layers: Selection = None,
    options: SearchOptions | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
    progress: Callable[[int, int, KernelSizeSearch], None] | None = None,
    **choices: Any,
) -> LearnedSizes:
    """Learn the kernel sizes of `model`'s convolutions under a budget of the whole network's parameters or MACs, or both.

    `batches`: (float32 images (N, C, H, W), labels) pairs, gone through once in each of `epochs`: a DataLoader or a list. Only the
    first is checked. `parameters`: a count; `macs`: multiply-accumulates for one image of the first batch's shape. `model` stays as it
    is; the search trains a copy of it, frozen batch norms included, on its device. `layers`: names or a predicate of (name, module)
    instead of the default rule. `loss(logits, labels)` gives a scalar; it is not called with `data_free`. `seed` draws the predictors;
    the order of images and dropout follow torch's own seed. `choices` are fields of `SearchOptions`, as is `options`.
    `progress(epoch, step, search)` is called after every step.

    Raises ValueError for a budget out of reach, for layers that cannot be learned, for predictors that do not fit into memory, for
    batches that end after one epoch, for a model that is not float32, and for a first batch that is no such pair or that the model
    cannot take.
    """
    options = SearchOptions.from_dict({**(options or SearchOptions()).to_dict(), **_known(choices)})
    if epochs > 1 and isinstance(batches, Iterator):
        raise ValueError(
            f"The batches can be gone through once and {epochs} epochs are wanted: give a DataLoader or a list."
        )
    if options.data_free and parameters is None and macs is None:
        raise ValueError("Without images only a budget can choose sizes: give parameters or macs.")
    for name, budget in (("parameters", parameters), ("macs", macs)):
        if isinstance(budget, str):
            raise ValueError(f"{name} is {budget!r}: give a number, such as 660_000.")
    search: KernelSizeSearch | None = None
    optimizer: torch.optim.Optimizer | None = None
    weights = next(model.parameters(), torch.empty(0))
    for epoch in range(1, epochs + 1):
        for step, batch in enumerate(batches, 1):
            if search is None or optimizer is None:
                shape = _image_shape(batch)
                _try_out(model, shape, weights.dtype)
                search = KernelSizeSearch(
                    model,
                    input_shape=shape,
                    parameters=parameters,
                    macs=macs,
                    options=options,
                    layers=layers,
                    seed=seed,
                ).train()
                optimizer = torch.optim.AdamW(search.parameter_groups(), fused=True)
            images, labels = batch
            _step(search, optimizer, images.to(weights.device), labels.to(weights.device), loss)
            if progress:
                progress(epoch, step, search)
    if search is None:
        raise ValueError("There are no batches to learn from: give at least one, and at least one epoch.")
    return search.learned()


def _known(choices: dict[str, Any]) -> dict[str, Any]:
    """The choices, each of which has to be a search option; a misspelt one may also have been meant for an argument."""
    for name in choices:
        if name not in OPTIONS:
            near = get_close_matches(name, (*ARGUMENTS, *OPTIONS), 1)
            known = f"did you mean {near[0]}?" if near else f"use {', '.join((*ARGUMENTS, *OPTIONS))}."
            raise ValueError(f"There is no argument and no search option {name!r}: {known}")
    return choices


def _image_shape(batch: Any) -> tuple[int, int, int]:
    """(C, H, W) of the first batch, which has to be what `batches` promises."""
    pair = isinstance(batch, (tuple, list)) and len(batch) == 2
    if not pair or not all(isinstance(part, Tensor) for part in batch):
        raise ValueError("The batches are no pairs of tensors (images, labels): give such pairs.")
    images: Tensor = batch[0]
    labels: Tensor = batch[1]
    if images.ndim != 4 or images.dtype != torch.float32:
        raise ValueError(
            f"The batches' images have shape {tuple(images.shape)} and type {images.dtype}: give float32 images (N, C, H, W)."
        )
    if len(labels) != len(images):
        raise ValueError(f"A batch has {len(images)} images and {len(labels)} labels: give as many.")
    channels, height, width = images.shape[1:]
    return channels, height, width


def _try_out(model: nn.Module, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    """One image through the model, so that what does not suit is said before anything is learned."""
    if dtype != torch.float32:
        raise ValueError(
            f"The model's parameters are {dtype}, and kernels are predicted in float32: give model.float()."
        )
    try:
        with evaluating(model):
            model(example_input(model, shape))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"The model cannot take images of shape {shape}: give others. It says: {error}") from error


def _step(
    search: KernelSizeSearch,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    labels: Tensor,
    loss: Callable[[Tensor, Tensor], Tensor],
) -> None:
    if search.options.data_free:
        search.step_sizes()  # the images say only how many steps there are
        total = search.penalty()
    else:
        total = _loss(loss, search(images), labels) + search.penalty()
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    search.after_backward()
    optimizer.step()


def _loss(loss: Callable[[Tensor, Tensor], Tensor], logits: Any, labels: Tensor) -> Tensor:
    """The loss of a batch. What cross-entropy cannot compare is said in terms of the batch; a loss of one's own speaks for itself."""
    if loss is not F.cross_entropy:
        return loss(logits, labels)
    try:
        return loss(logits, labels)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, IndexError) as error:
        found = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise ValueError(
            f"The loss cannot compare what the model returns, {found}, with labels of shape {tuple(labels.shape)} and type "
            f"{labels.dtype}: give logits (N, classes) and class numbers (N,), or a loss of your own. It says: {error}"
        ) from error
