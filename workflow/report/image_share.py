"""How much of learned kernel sizes the images explain: searches against their image-free twins, seed by seed.

Twins share seed, start and budget; in one of them the classification loss does not reach the sizes. Their soft sizes at the end, each
less its mean over the layers, differ by d[seed, layer]. What d has in common over the seeds is a component of variance of a two-way
analysis with one value a cell (layers random; Searle et al. 1992, chapter 4); its share of the variance of the soft sizes over layers
is what images explain. The interval is of that component alone: the variance that it is a share of counts as known.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from workflow.protocol.runs import Search
from workflow.report.components import variance_difference
from workflow.report.rows import Row
from workflow.report.stats import CONFIDENCE, Interval

# Options of the kernels that images pass through: without images no size depends on them.
OF_KERNELS = frozenset({
    "mask", "mask_centre", "kernel_predictor", "hidden", "kernel_order", "even_padding", "lr_network", "lr_kernel_predictor"
})  # fmt: skip


@dataclass(frozen=True)
class ImageShare:
    """Shares of the variance of soft sizes over layers. `repeating`: what images change in the same way whatever the seed;
    `moved`: all that differs from the image-free twins, chance included."""

    repeating: Interval
    moved: float
    seeds: int
    layers: int


def image_share(
    learned: Sequence[Sequence[float]], image_free: Sequence[Sequence[float]], confidence: float = CONFIDENCE
) -> ImageShare | None:
    """From soft sizes [seed][layer] with images and without; None with fewer than two seeds or layers, or equal sizes."""
    with_images, without = np.asarray(learned, float), np.asarray(image_free, float)
    if with_images.ndim != 2 or min(with_images.shape) < 2:
        return None
    seeds, layers = with_images.shape
    centred = lambda values: values - values.mean(1, keepdims=True)
    total = (centred(with_images) ** 2).sum() / (seeds * (layers - 1))
    if not total:
        return None
    apart = centred(with_images - without)
    common = apart.mean(0)
    between, rest = layers - 1, (layers - 1) * (seeds - 1)
    of_layers, of_rest = (common**2).sum() / between, ((apart - common) ** 2).sum() / rest / seeds
    low, high = (
        variance_difference(of_layers, between, of_rest, rest, (1 - confidence) / 2) if of_rest else (of_layers,) * 2
    )
    share = lambda variance: min(1.0, max(0.0, float(variance / total)))
    moved = float((apart**2).sum() / (seeds * between) / total)
    return ImageShare(Interval(share(of_layers - of_rest), share(low), share(high)), moved, seeds, layers)


def _settings(search: Search) -> tuple:
    """What twins have in common: all that a search without images depends on."""
    options = {name: value for name, value in search.options.items() if name not in OF_KERNELS | {"data_free"}}
    return search.method, search.parameters, search.macs, search.epochs, tuple(sorted(options.items()))


def _trajectories(row: Row) -> Mapping[int, Mapping]:
    """By seed: what the searches that count for a row have recorded of their steps."""
    return {state.run.seed: state.search["trajectory"] for state in row.searched if state.search}


def twins_of(rows: Iterable[Row]) -> list[tuple[Row, Row]]:
    """Each searched row with its image-free twin among `rows`."""
    searching = [(row, row.run.system, row.run.search) for row in rows if row.run and row.run.search]
    twins = {(row.dataset, system, _settings(search)): row for row, system, search in searching if search.image_free}
    pairs = [(row, twins.get((row.dataset, system, _settings(search)))) for row, system, search in searching]
    return [(row, twin) for row, twin in pairs if twin is not None and twin is not row]


def shares_by_step(
    row: Row, twin: Row, chosen: Callable[[list[int]], list[int]] = lambda steps: steps
) -> list[tuple[int, ImageShare]]:
    """(step, share) along two searches, by the seeds that both have, at those `chosen` of the recorded steps that all have."""
    own, other = _trajectories(row), _trajectories(twin)
    both = sorted(own.keys() & other.keys())
    at = [[dict(zip(one["step"], one["soft_sizes"], strict=True)) for one in (own[s], other[s])] for s in both]
    steps = sorted(set.intersection(*(set(sizes) for pair in at for sizes in pair))) if at else []
    found = [(step, image_share([a[step] for a, _ in at], [b[step] for _, b in at])) for step in chosen(steps)]
    return [(step, share) for step, share in found if share]


def shares_of(rows: Iterable[Row]) -> list[tuple[Row, ImageShare]]:
    """Each searched row that has an image-free twin among `rows`: the share at the end of the searches."""
    last = lambda steps: steps[-1:]
    return [(row, share) for row, twin in twins_of(rows) for _, share in shares_by_step(row, twin, last)]
