"""Kernel sizes at which a learned row is timed: those of a search that is there, else what the budget alone leads to.

A search counts if it followed the paper's protocol for this system and budget, whatever its seed and its preset. Where
there is none, the row's size predictor is trained on the budget's term without images, for as many steps as a search
has, but no more than MOST_STEPS.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workflow.protocol.runs import Run
from workflow.protocol.search_methods import DEFAULT
from workflow.records.kernels import Kernels, kernels_of
from workflow.records.records import read_cached, read_search
from workflow.report.claims.protocols import paper_search
from workflow.support.errors import UserError
from workflow.support.files import ROOT
from workflow.times.images import MadeUpImages

MOST_STEPS = 5000  # a search has 3,910 on CIFAR-10, 50,045 on ImageNet-32; sizes settle long before


@dataclass(frozen=True)
class KnownSizes:
    """The kernels of a row (nothing: the network's own), and where they are from in words (None: nothing was to be learned)."""

    kernels: Kernels
    source: str | None


def _same_search(record: dict, run: Run) -> bool:
    """Whether a search was by the paper's protocol, for this run's system, budget and method."""
    other = record["run"]
    fields = ("parameters", "macs", "method")
    alike = all(other["search"][name] == getattr(run.search, name) for name in fields)
    return alike and other["system"] == run.system and other["dataset"] == run.dataset and paper_search(other)


def from_records(run: Run, folders: Iterable[Path]) -> KnownSizes | None:
    """The sizes of a search in folders laid out like results/<preset>: the first seed, in the first folder that has one."""
    found = []
    for number, folder in enumerate(folders):
        for path in folder.glob(f"runs/{run.place}/seed*/search.json"):
            record = read_cached(read_search, path)
            if isinstance(record, dict) and _same_search(record, run):
                found.append((record["run"]["seed"], number, path, record))
    if not found:
        return None
    _, _, path, record = min(found, key=lambda one: one[:3])
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path  # records name no folder of a machine
    return KnownSizes(kernels_of(record), f"learned: {shown}")


def budget_steps(run: Run) -> int:
    """Steps of a search by the budget alone."""
    search = run.search_stage
    return min(MOST_STEPS, search.epochs * search.recipe.steps_per_epoch(run.constants.train_images))


def follows_from_budget(run: Run) -> bool:
    """Whether a searched row's sizes can be told from its budget: those of EffConv's own search."""
    return run.search_stage.method == DEFAULT


def by_budget_alone(run: Run, data: MadeUpImages) -> KnownSizes:
    """The sizes that a search of this run would find if no image reached it."""
    import torch

    from effconv import SearchOptions
    from effconv.convert import find_layers
    from effconv.counting import count_macs, count_parameters
    from effconv.image_free import compare_with_budget_only
    from workflow.engine.randomness import derive
    from workflow.engine.session import input_shape, network

    search = run.search_stage
    if not follows_from_budget(run):
        raise UserError(
            f"{run.place} has not been searched, and only EffConv's sizes follow from a budget: search it first."
        )
    options, shape = SearchOptions.from_dict(dict(search.options)), input_shape(data)
    model = network(run, data, stage="search")
    layers = find_layers(model, shape, k=options.k, b=options.b)
    steps = budget_steps(run)
    names = [layer.name for layer in layers]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a step is a thousand small operations, which more threads only delay
    try:
        found = compare_with_budget_only(
            layers, options=options,
            budget={"parameters": search.parameters, "macs": search.macs, "scope": options.budget_scope},
            before={"parameters": count_parameters(model), "macs": count_macs(model, shape)},
            seed=derive(run.seed, "search", "predictors"),
            last={"step": steps, "soft_sizes": dict.fromkeys(names, 0.0)},  # there is no search to compare with
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    sizes = [found.sizes[name] for name in names]
    return KnownSizes({"kernel_sizes": sizes}, f"the budget alone: {steps:,} steps without images")
