"""What a search remembers of its steps: which sizes to return (the option `final_sizes`), and the trajectory.

`closest` (default): the sizes of the last step whose count is within 1% of the budget, since soft sizes collect at x.5, where
rounding flips and the count swings from step to step; where no step was within 1%, those of the step nearest to the budget. This is
a deviation from Algorithm 1, whose reading is `last`: the sizes after the last step. The result holds these in any case.
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from effconv.budget import Budget, Costs
from effconv.budget_projection import round_to_budget
from effconv.options import SearchOptions
from effconv.trajectory import empty_trajectory

TOLERANCE = 0.01

Entry = dict[str, Any]  # a step: its number, sizes, soft sizes, deviation from the budget


class Progress:
    """Notes each training step's sizes; records every `record_every`-th with the gradients that reached the soft sizes.

    The signed gradients of *every* step are summed up on their device, so that means over the search rest on all its steps; the host
    reads the sums where it records.
    """

    step: int
    within: Entry | None
    nearest: Entry | None
    _trajectory: dict[str, list[Any]]
    _pending: tuple[tuple[int, ...], list[float], dict[str, Tensor]] | None
    _sums: dict[str, Tensor]  # by source: the pulls (minus the gradients) of the steps since the last entry

    def __init__(self, costs: Costs, budget: Budget, options: SearchOptions) -> None:
        self.costs, self.budget, self.options = costs, budget, options
        self.restore({"step": 0, "within": None, "nearest": None, "trajectory": empty_trajectory(), "sums": {}})

    def rounded(self, soft: Sequence[float]) -> tuple[int, ...]:
        """The whole sizes that soft ones stand for: rounded one by one, or, where the budget is met by construction, together."""
        step = 2 if self.options.odd_only else 1
        if self.options.budget_method == "rescale" and (targets := self.budget.targets(self.costs)):
            ((unit, target),) = targets.items()
            return round_to_budget(soft, self.costs.factors(unit), max(target, 1), self._tolerance(unit, target), step)
        return tuple(1 + 2 * round((value - 1) / 2) if step == 2 else round(value) for value in soft)

    def _tolerance(self, unit: str, target: int) -> float:
        """The tolerance of the whole count as a share of the learned kernels' part."""
        return TOLERANCE * self.budget.wanted()[unit] / max(target, 1)

    def note(
        self,
        sizes: tuple[int, ...],
        soft: list[float],
        for_mask: Tensor | None = None,
        for_budget: Tensor | None = None,
    ) -> None:
        """A training forward at these sizes; what reaches its soft sizes, as the mask and the budget read them, is watched."""
        self.step += 1
        self.within, self.nearest = self._updated(sizes, soft, self.step)
        gradients: dict[str, Tensor] = {}
        for source, reader in (("loss", for_mask), ("budget", for_budget)):
            if reader is not None and reader.requires_grad:
                reader.register_hook(lambda g, source=source: gradients.__setitem__(source, g.detach()))
        self._pending = (sizes, soft, gradients)

    def _updated(self, sizes: Sequence[int], soft: Sequence[float], step: int) -> tuple[Entry | None, Entry]:
        """(last within the tolerance, nearest so far) with this step taken into account."""
        entry: Entry = {
            "step": step,
            "sizes": list(sizes),
            "soft_sizes": list(soft),
            "deviation": self.budget.deviation(self.costs, sizes),
        }
        within = entry if entry["deviation"] <= TOLERANCE else self.within
        # A later step wins a tie: its network has been trained for longer.
        nearest = self.nearest
        if nearest is None or entry["deviation"] <= nearest["deviation"]:
            nearest = entry
        return within, nearest

    def replay(self, soft: list[float], gradients: dict[str, Tensor]) -> None:
        """A whole step that was done without the host: its soft sizes and what reached them ("loss", "budget")."""
        self.note(self.rounded(soft), soft)
        if self._pending is not None:
            self._pending[2].update(gradients)
        self.record()

    def record(self) -> None:
        """Sum up the step's pulls, and add it to the trajectory if it is one to be recorded; call after backward()."""
        if self._pending is None:
            return
        sizes, soft, gradients = self._pending
        self._pending = None
        for source, gradient in gradients.items():
            before = self._sums.get(source)
            self._sums[source] = -gradient if before is None else before.to(gradient) - gradient
        if (self.step - 1) % self.options.record_every:
            return
        nothing = [0.0] * len(sizes)
        row: dict[str, Any] = {
            "step": self.step,
            "soft_sizes": [round(value, 4) for value in soft],
            "sizes": list(sizes),
            "parameters": self.costs.total("parameters", sizes),
            "macs": self.costs.total("macs", sizes),
        }
        for source in ("loss", "budget"):
            values = gradients[source].tolist() if source in gradients else nothing
            row[f"gradient_{source}"] = [float(f"{abs(value):.4g}") for value in values]
            sums = self._sums[source].tolist() if source in self._sums else nothing
            row[f"pull_sum_{source}"] = [float(f"{value:.6g}") for value in sums]
        self._sums = {}
        for field, value in row.items():
            self._trajectory[field].append(value)

    def final(self, soft: Sequence[float], sizes: Sequence[int]) -> tuple[list[int], list[float], dict[str, Any]]:
        """(sizes, soft sizes, how they were chosen), given those after the last step."""
        sizes = list(sizes)
        deviation = self.budget.deviation(self.costs, sizes)
        last: Entry = {"step": self.step, "sizes": sizes, "soft_sizes": list(soft), "deviation": deviation}
        entry = last
        if self.options.final_sizes == "closest":
            within, nearest = self._updated(sizes, soft, self.step)
            entry = within or nearest
        chosen = {
            "rule": self.options.final_sizes,
            "step": entry["step"],
            "within": entry["deviation"] <= TOLERANCE,
            "deviation": entry["deviation"],
        }
        return list(entry["sizes"]), list(entry["soft_sizes"]), chosen

    def trajectory(self) -> dict[str, list[Any]]:
        """A copy of the record so far."""
        return copy.deepcopy(self._trajectory)

    def state(self) -> dict[str, Any]:
        """Plain values from which `restore` continues exactly."""
        return copy.deepcopy(
            {
                "step": self.step,
                "within": self.within,
                "nearest": self.nearest,
                "trajectory": self._trajectory,
                "sums": {source: total.tolist() for source, total in self._sums.items()},
            }
        )

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a `state()`."""
        state = copy.deepcopy(state)
        self.step = state["step"]
        self.within = state["within"]
        self.nearest = state["nearest"]
        self._trajectory = state["trajectory"]
        self._sums = {source: torch.tensor(total, dtype=torch.float64) for source, total in state["sums"].items()}
        self._pending = None
