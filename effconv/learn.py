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
    reach, for layers that cannot be learned, for predictors that do not fit into memory, and for batches that end after one epoch.
    """
    options = SearchOptions.from_dict({**(options or SearchOptions()).to_dict(), **choices})
    if epochs > 1 and iter(batches) is batches:
        raise ValueError(
            f"The batches can be gone through once and {epochs} epochs are wanted: give a DataLoader or a list."
        )
    if options.data_free and parameters is None and macs is None:
        raise ValueError("Without images only a budget can choose sizes: give parameters or macs.")
    device = next(model.parameters()).device
    search: KernelSizeSearch | None = None
    optimizer: torch.optim.Optimizer | None = None
    for epoch in range(1, epochs + 1):
        for step, (images, labels) in enumerate(batches, 1):
            if search is None or optimizer is None:
                channels, height, width = images.shape[1:]
                search = KernelSizeSearch(
                    model,
                    input_shape=(channels, height, width),
                    parameters=parameters,
                    macs=macs,
                    options=options,
                    layers=layers,
                    seed=seed,
                ).train()
                optimizer = torch.optim.AdamW(search.parameter_groups(), fused=True)
            _step(search, optimizer, images.to(device), labels.to(device), loss)
            if progress:
                progress(epoch, step, search)
    if search is None:
        raise ValueError("There are no batches to learn from: give at least one, and at least one epoch.")
    return search.learned()


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
        total = loss(logits, labels) + search.penalty()
    optimizer.zero_grad(set_to_none=True)
    total.backward()
    search.after_backward()
    optimizer.step()
