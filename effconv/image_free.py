"""The control that every learned size needs: the same search without images, and how far the sizes are from its.

The size predictor is trained on the budget's term alone, from the same seed, for as many steps. What it finds nobody can take for
the images' choice. Same sizes as `data_free=True`, without a network or kernels, so that it takes seconds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from effconv.budget import Budget, Costs
from effconv.convert import LearnableLayer
from effconv.options import SearchOptions
from effconv.predicted_sizes import PredictedSizes
from effconv.progress import Progress

AGREEMENT = 0.1  # soft sizes that collect at an edge of rounding swing by less


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Sizes that the budget alone leads to, by layer name, beside those learned with images; `str` is one sentence.

    `sizes` are by the search's rule for final sizes. Soft sizes are compared after the last step: `mean_difference` is their mean
    absolute difference in pixels, `agreeing` names the layers less than 0.1 pixels apart.
    """

    sizes: dict[str, int]
    soft_sizes: dict[str, float]
    mean_difference: float
    agreeing: list[str]
    steps: int

    def __str__(self) -> str:
        verdict = ": their sizes do not come from the images." if self.agreeing else "."
        return (
            f"Without images the same search ({self.steps:,} steps) ends {self.mean_difference:.2f} pixels away on average; "
            f"{len(self.agreeing)} of {len(self.sizes)} layers end within {AGREEMENT} pixels of where they end with images{verdict}"
        )


def compare_with_budget_only(
    layers: Sequence[LearnableLayer],
    *,
    options: SearchOptions,
    budget: Mapping[str, Any],
    before: Mapping[str, int],
    seed: int | None,
    last: Mapping[str, Any],
) -> Comparison:
    """See `LearnedSizes.against_budget_only`, whose fields these are."""
    if type(options) is not SearchOptions or not layers or not last or seed is None:
        raise ValueError(
            "Only sizes that EffConv's search learned with this version can be compared with the budget's: learn them again."
        )
    limits = Budget(parameters=budget["parameters"], macs=budget["macs"], scope=budget["scope"])
    if not limits.wanted():
        raise ValueError(
            "These sizes were learned without a budget: there are none of the budget alone to compare them with."
        )
    progress = Progress(Costs.of(layers, before), limits, replace(options, data_free=True))
    predicted = PredictedSizes(layers, progress, torch.Generator().manual_seed(seed))
    optimizer = torch.optim.AdamW(
        predicted.parameters(), lr=options.lr_size_predictor, weight_decay=options.weight_decay, fused=True
    )
    for _ in range(last["step"]):
        *_, term = predicted.step(training=True)
        optimizer.zero_grad(set_to_none=True)
        term.backward()
        progress.record()
        predicted.after_backward()
        optimizer.step()
    with torch.no_grad():
        soft = predicted.soft().tolist()
    sizes, _, _ = progress.final(soft, progress.rounded(soft))
    names = [layer.name for layer in layers]
    apart = {name: abs(value - last["soft_sizes"][name]) for name, value in zip(names, soft, strict=True)}
    return Comparison(
        sizes=dict(zip(names, sizes, strict=True)),
        soft_sizes=dict(zip(names, soft, strict=True)),
        mean_difference=sum(apart.values()) / len(apart),
        agreeing=[name for name, distance in apart.items() if distance < AGREEMENT],
        steps=last["step"],
    )
