"""What a search returns: the learned sizes with everything needed to judge and to reuse them."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from effconv.convert import LearnableLayer, with_sizes
from effconv.image_free import Comparison, compare_with_budget_only
from effconv.options import SearchOptions
from effconv.trajectory import draw_trajectory

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class LearnedSizes:
    """Learned kernel sizes by layer name, and how they came about.

    `parameters` and `macs` are the whole network's at these sizes, `before` the given network's. `chosen` says which step the sizes
    are of: {"rule", "step", "within": whether the count is within 1% of the budget, "deviation": |count / budget - 1|}. `last` holds
    those after the last step, which Algorithm 1 returns: {"step", "sizes", "soft_sizes", "parameters", "macs", "deviation"}. `options`
    are the search's, its kernel predictor's width included; `convolutions` the shapes of what was learned. `print` says all in words.
    """

    sizes: dict[str, int]
    soft_sizes: dict[str, float]
    parameters: int
    macs: int
    before: dict[str, int] = field(default_factory=dict)
    budget: dict[str, int | str | None] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    last: dict[str, Any] = field(default_factory=dict)
    convolutions: tuple[LearnableLayer, ...] = ()
    input_shape: tuple[int, int, int] | None = None
    seed: int | None = None
    options: SearchOptions = field(default_factory=SearchOptions)
    trajectory: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def layers(self) -> list[str]:
        """Names of the learned layers, in forward order."""
        return list(self.sizes)

    def __str__(self) -> str:
        width = max(map(len, self.sizes))
        lines = [
            f"{name:{width}s}  {size}x{size}  (soft size {self.soft_sizes[name]:.2f})"
            for name, size in self.sizes.items()
        ]
        for unit, count in (("parameters", self.parameters), ("multiply-accumulates", self.macs)):
            before = self.before.get("macs" if unit != "parameters" else unit)
            lines.append(f"{unit}: {count:,}" + (f" ({before:,} before)" if before is not None else ""))
        options = self.options
        hidden = f", {options.hidden} hidden units" if options.kernel_predictor == "projected" else ""
        centre = f", centre {options.mask_centre}" if options.mask == "gaussian" else ""
        lines.append(f"kernel predictor: {options.kernel_predictor}{hidden}; mask: {options.mask}{centre}")
        if self.chosen and self.last and (self.budget.get("parameters") or self.budget.get("macs")):
            differ = sum(self.last["sizes"][name] != size for name, size in self.sizes.items())
            lines.append(
                f"sizes of step {self.chosen['step']} of {self.last['step']}, {self.chosen['deviation']:.1%} off the budget; "
                f"after the last step {differ} of {len(self.sizes)} differ, and they are {self.last['deviation']:.1%} off"
            )
            if not self.chosen["within"] and self.chosen["rule"] == "closest":
                lines.append("No step came within 1% of the budget: search for more epochs.")
            elif not self.chosen["within"]:
                lines.append(
                    "They are more than 1% off the budget: leave final_sizes out to get those of the nearest step."
                )
        return "\n".join(lines)

    def against_budget_only(self) -> Comparison:
        """How far the sizes are from those that the budget alone leads to: the same search without images, some seconds of work.

        `print` the result for one sentence. For searches with AdamW at the options' rates, as `learn_kernel_sizes` does them.
        ValueError for sizes of another search method, and for files of versions before 1.0.
        """
        return compare_with_budget_only(
            self.convolutions,
            options=self.options,
            budget=self.budget,
            before=self.before,
            seed=self.seed,
            last=self.last,
        )

    def apply(self, model: nn.Module, *, generator: torch.Generator | None = None) -> nn.Module:
        """A fresh plain copy of `model` (of the kind the search was given) with these sizes.

        Convolutions that change their size get new random weights; every other value is the given model's, so that an untrained model
        gives Algorithm 1's stage 2. ValueError where the model lacks one of the layers.
        """
        return with_sizes(model, self.sizes, even_padding=self.options.even_padding, generator=generator)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        shape = None if self.input_shape is None else list(self.input_shape)
        return {
            "schema": SCHEMA,
            **values,
            "layers": self.layers,
            "convolutions": [asdict(layer) for layer in self.convolutions],
            "input_shape": shape,
            "options": self.options.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "LearnedSizes":
        """The reverse of `to_dict`. ValueError for another schema or a missing entry."""
        if values.get("schema") != SCHEMA:
            raise ValueError(
                f"The sizes have schema {values.get('schema')!r}, not {SCHEMA}: write them again with this version."
            )
        known = {item.name for item in fields(cls)}
        given = {name: value for name, value in values.items() if name in known}
        if missing := {"sizes", "soft_sizes", "parameters", "macs"} - given.keys():
            raise ValueError(f"The sizes lack {', '.join(sorted(missing))}: write them again.")
        given["options"] = SearchOptions.from_dict(given.get("options", {}))
        given["convolutions"] = tuple(LearnableLayer(**layer) for layer in given.get("convolutions", ()))
        given["input_shape"] = tuple(given["input_shape"]) if given.get("input_shape") else None
        return cls(**given)

    def save(self, path: str | Path) -> None:
        """Write JSON, whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_text(json.dumps(self.to_dict()) + "\n")
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise

    @classmethod
    def load(cls, path: str | Path) -> "LearnedSizes":
        """Read what `save` wrote. ValueError, naming the file, where it is not that."""
        try:
            return cls.from_dict(json.loads(Path(path).read_text()))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} does not hold learned sizes ({error}): make it again.") from error

    def draw(self, path: str | Path) -> None:
        """Draw the trajectory to a file; see `draw_trajectory`."""
        draw_trajectory(self.to_dict(), path)
