"""Does a search under a budget find an allocation that is known? Two layers side by side, one right answer, made-up images.

    python -m benchmarks.budget_recovery [--seeds 3] [--steps 300]

In the images that one layer sees every pixel carries a little of the label under ten times as much noise, so that the largest kernel
is best; in the other's the pixel in the middle of each window carries it, so that one weight does. The budget is that of 5x5 and 5x5,
and of 7x7 and 1x1, to the last parameter. The layers change places between two rounds, so that what a seed prefers of itself is no
answer. Printed: mean soft sizes of the layer that should grow to 7 and of the other, their least difference, and how far the network
of the chosen sizes is from the budget.
"""

import argparse
import itertools
from collections.abc import Iterator
from statistics import fmean
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.sampled_sizes import SampledOptions, SampledSearch
from effconv import KernelSizeSearch, SearchOptions, count_parameters
from effconv.size_search import SizeSearch

STRIDE, SIDE, CHANNELS, BATCH = 8, 24, 8, 96
POSITIONS = 7 * 7 + 1 * 1  # of both kernels; 5 * 5 + 5 * 5, too
MASKS = {
    "printed": {"mask_centre": "printed"}, "centred": {"mask_centre": "centred"},
    "fractional": {"mask": "fractional", "kernel_order": "nested"},
}  # fmt: skip


class TwoLayers(nn.Module):
    """Images (N, 2, 24, 24) -> logits (N, 2): a layer for each channel; windows every eighth pixel do not see each other's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(1, CHANNELS, 3, STRIDE, 1, bias=False) for _ in range(2))
        self.norm, self.classifier = nn.BatchNorm2d(2 * CHANNELS), nn.Linear(2 * CHANNELS, 2)

    def forward(self, images: Tensor) -> Tensor:
        features = torch.cat([self.first(images[:, :1]), self.second(images[:, 1:])], 1)
        logits: Tensor = self.classifier(self.norm(features).mean((2, 3)))
        return logits


def batches(count: int, wide: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images of which channel `wide` carries the label in every pixel, the other in the middle of each window."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        labels = torch.randint(0, 2, (BATCH,), generator=generator)
        sign = (2.0 * labels - 1).view(-1, 1, 1)
        images = torch.randn(BATCH, 2, SIDE, SIDE, generator=generator)
        images[:, wide] += 0.1 * sign
        images[:, 1 - wide, ::STRIDE, ::STRIDE] = 0.3 * sign
        yield images, labels


class Found(NamedTuple):
    """Soft sizes of the layer that should have the largest kernel and of the other; the chosen sizes' share off the budget."""

    wide: float
    narrow: float
    deviation: float


def search_of(model: nn.Module, seed: int, method: str, options: dict) -> SizeSearch:
    """A search of this task; rates such that some hundred steps are enough."""
    others = count_parameters(model) - 2 * CHANNELS * 9
    given = {
        "input_shape": (2, SIDE, SIDE), "parameters": others + CHANNELS * POSITIONS, "layers": ["first", "second"], "seed": seed,
    }  # fmt: skip
    if method == "sampled":
        return SampledSearch(
            model, options=SampledOptions(lr_network=1e-2, lr_kernel_predictor=1e-2, **options), **given
        )
    return KernelSizeSearch(model, options=SearchOptions(lr_network=1e-2, lr_size_predictor=4e-3, **options), **given)


def found(method: str, *, wide: int, seed: int, steps: int = 300, **options) -> Found:
    """What a search finds. `method`: sampled or effconv; `wide`: the layer that should grow, 0 or 1; `options`: the search's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        search = search_of(TwoLayers(), seed, method, options).train()
    optimizer = torch.optim.AdamW(search.parameter_groups())
    for images, labels in batches(steps, wide, seed):
        if isinstance(search, SampledSearch):
            loss, _ = search.training_loss(images, labels)
        else:
            loss = F.cross_entropy(search(images), labels) + search.penalty()
        optimizer.zero_grad()
        loss.backward()
        search.after_backward()
        optimizer.step()
    learned = search.learned()
    sizes = search.soft_sizes
    return Found(sizes[wide], sizes[1 - wide], learned.chosen["deviation"])


def ways() -> Iterator[tuple[str, str, dict]]:
    """Name, method and options of every search that is compared."""
    for (mask, own), budget in itertools.product(MASKS.items(), ("penalty", "multiplier", "rescale")):
        yield f"EffConv, mask {mask}, budget by {budget}", "effconv", {**own, "budget_method": budget}
    for lam in (0.2, 0.02):
        yield f"EffConv, mask printed, budget by penalty of lambda {lam} instead of 2", "effconv", {"lam": lam}
    yield "the same without images", "effconv", {"data_free": True}
    yield "sizes by regression of losses (`sampled`)", "sampled", {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{arguments.seeds} seeds, each layer in each place, {arguments.steps} steps; right: 7 and 1")
    for name, method, options in ways():
        runs = [
            found(method, wide=wide, seed=seed, steps=arguments.steps, **options)
            for wide, seed in itertools.product((0, 1), range(arguments.seeds))
        ]
        least = min(run.wide - run.narrow for run in runs)
        print(
            f"{name}: {fmean(run.wide for run in runs):.1f} and {fmean(run.narrow for run in runs):.1f}, least difference "
            f"{least:.1f}, off the budget by {max(run.deviation for run in runs):.1%} at most",
            flush=True,
        )


if __name__ == "__main__":
    main()
