"""Algorithm 1's stage 1 in one call, for any model and any batches: AdamW, cross-entropy plus the budget loss."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from effconv.convert import Selection
from effconv.learned import LearnedSizes
from effconv.options import SearchOptions
from effconv.search import KernelSizeSearch


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

    `batches`: (images (N, C, H, W), labels) pairs, gone through once an epoch: a DataLoader or a list. `model` stays as it is; the
    search runs on its device. `layers`: names or a predicate of (name, module) instead of the default rule. `choices` are fields of
    `SearchOptions`, as is `options`. `progress(epoch, step, search)` is called after every step. Raises ValueError for a budget out of
    reach, for layers that cannot be learned, for predictors that do not fit into memory, for batches that end after one epoch, and for
    a first batch that is no such pair or that the model cannot take.
    """
    options = SearchOptions.from_dict({**(options or SearchOptions()).to_dict(), **choices})
    if epochs > 1 and iter(batches) is batches:
        raise ValueError(
            f"The batches can be gone through once and {epochs} epochs are wanted: give a DataLoader or a list."
        )
    if options.data_free and parameters is None and macs is None:
        raise ValueError("Without images only a budget can choose sizes: give parameters or macs.")
    for name, budget in (("parameters", parameters), ("macs", macs)):
        if isinstance(budget, str):
            raise ValueError(f"{name} is {budget!r}: give a number, such as 660_000.")
    device = next(model.parameters(), torch.empty(0)).device
    search: KernelSizeSearch | None = None
    optimizer: torch.optim.Optimizer | None = None
    for epoch in range(1, epochs + 1):
        for step, batch in enumerate(batches, 1):
            if search is None or optimizer is None:
                channels, height, width = _image_shape(batch)
                try:
                    search = KernelSizeSearch(
                        model,
                        input_shape=(channels, height, width),
                        parameters=parameters,
                        macs=macs,
                        options=options,
                        layers=layers,
                        seed=seed,
                    ).train()
                except torch.OutOfMemoryError:
                    raise
                except (RuntimeError, AssertionError) as error:
                    raise ValueError(
                        f"The model cannot take images of shape {(channels, height, width)}: give others. It says: {error}"
                    ) from error
                optimizer = torch.optim.AdamW(search.parameter_groups(), fused=True)
            images, labels = batch
            _step(search, optimizer, images.to(device), labels.to(device), loss)
            if progress:
                progress(epoch, step, search)
    if search is None:
        raise ValueError("There are no batches to learn from: give at least one, and at least one epoch.")
    return search.learned()


def _image_shape(batch: Any) -> torch.Size:
    """(C, H, W) of the first batch, which has to be what `batches` promises."""
    pair = isinstance(batch, (tuple, list)) and len(batch) == 2
    if not pair or not all(isinstance(part, Tensor) for part in batch):
        raise ValueError("The batches are no pairs of tensors (images, labels): give such pairs.")
    images: Tensor = batch[0]
    labels: Tensor = batch[1]
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"The batches' images have shape {tuple(images.shape)} and type {images.dtype}: give floating-point images (N, C, H, W)."
        )
    if len(labels) != len(images):
        raise ValueError(f"A batch has {len(images)} images and {len(labels)} labels: give as many.")
    return images.shape[1:]


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
        logits = search(images)
        try:
            total = loss(logits, labels) + search.penalty()
        except (RuntimeError, TypeError, IndexError) as error:
            found = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
            raise ValueError(
                f"The loss cannot compare what the model returns, {found}, with labels of shape {tuple(labels.shape)} and type "
                f"{labels.dtype}: give logits (N, classes) and class numbers (N,), or a loss of your own. It says: {error}"
            ) from error
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    search.after_backward()
    optimizer.step()
