"""Rows whose kernel sizes come from a rule (workflow/protocol/size_rules.py): checked, and turned into a run's arguments or into its
source search.

A rule that needs no search becomes the run's argument `kernel_sizes`. One that starts from another row's search becomes the run's
`sizes`: the rule with `run`, the run whose search it waits for: the same seed's unless `seed: next` asks for the next one's.
"""

from collections.abc import Iterable, Sequence

from workflow.protocol.datasets import DATASETS
from workflow.protocol.runs import Run, SizesFrom
from workflow.protocol.size_rules import NEEDS, PLANNED, SEARCHED, layers_of
from workflow.support.errors import UserError


def check(row: dict, where: str) -> None:
    """A UserError for a rule that lacks what it needs, or for sizes that are given twice."""
    spec = row["sizes"]
    rules = SEARCHED if "of" in spec else PLANNED
    if spec["rule"] not in rules:
        raise UserError(f"{where}: rule '{spec['rule']}' needs 'of', the row whose search it starts from: add it.")
    need = NEEDS.get(spec["rule"], "budget")
    if need is None and (more := [key for key in spec if key != "rule"]):
        raise UserError(f"{where}: rule '{spec['rule']}' takes no '{more[0]}': take it out, and set the row's widths.")
    if need is not None and need not in spec:
        raise UserError(f"{where}: rule '{spec['rule']}' needs '{need}': add it.")
    if "learn" in row or "kernel_sizes" in row.get("arguments", {}):
        raise UserError(f"{where}: sizes come from a rule, a search or a list, one of them: take the others out.")
    layers_of(row["system"], row.get("arguments", {}), DATASETS["cifar10"])


def source(row: dict, dataset: str) -> tuple[str, str] | None:
    """(data set, row) of the search that a row's sizes start from."""
    spec = row.get("sizes", {})
    return (spec.get("dataset", dataset), spec["of"]) if "of" in spec else None


def seeds_of(
    row: dict, seeds: Sequence[int], *, more: bool = False, searched: Sequence[int] | None = None
) -> list[int]:
    """The seeds that a row is run with: all, or as many as it says (`seeds`), beyond the configuration's with `more`.

    searched: those of the row whose search its sizes start from; where that has no more, neither has this one. An empty list where
    another seed's search is wanted and there is no other.
    """
    beyond = range(row.get("seeds", 0))
    if more and len(beyond) > len(seeds) and (searched is None or set(beyond) <= set(searched)):
        return list(beyond)
    if row.get("sizes", {}).get("seed") == "next" and len(seeds) < 2:
        return []
    return list(seeds)[: row.get("seeds", len(seeds))]


def resolve(row: dict, dataset: str, seed: int, seeds: Sequence[int]) -> dict:
    """What a row's rule adds to its run: {"arguments": ...}, {"sizes": SizesFrom}, or nothing."""
    spec = row.get("sizes")
    if spec is None:
        return {}
    arguments = row.get("arguments", {})
    if "of" not in spec:
        drawn = {**spec, "draw": seed} if spec.get("draw") == "seed" else spec
        sizes = PLANNED[spec["rule"]](layers_of(row["system"], arguments, DATASETS[dataset]), drawn)
        return {"arguments": {**arguments, "kernel_sizes": sizes}}
    origin = seeds[(list(seeds).index(seed) + 1) % len(seeds)] if spec.get("seed") == "next" else seed
    options = {key: spec[key] for key in ("budget", "macs", "draw", "within") if key in spec}
    if spec.get("draw") == "seed":
        options["draw"] = seed
    run = f"{spec.get('dataset', dataset)}/{spec['of']}/seed{origin}"
    return {"sizes": SizesFrom(rule=spec["rule"], run=run, options=options)}


def from_search(run: Run, origin: SizesFrom, searched: Sequence[int]) -> list[int]:
    """The sizes of a run whose rule (`run.sizes`) starts from the sizes that a search has found."""
    layers = layers_of(run.system, run.arguments, run.constants)
    if len(searched) != len(layers.weights):
        raise UserError(
            f"{origin.run} has {len(searched)} sizes and {run.id} {len(layers.weights)} layers: name a row of its depth."
        )
    return SEARCHED[origin.rule](layers, origin.options, searched)


def sources_of(runs: Iterable[Run]) -> set[str]:
    """Ids of the runs whose searches the given runs need."""
    return {run.id for run in runs if run.search} | {run.sizes.run for run in runs if run.sizes}
