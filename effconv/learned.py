"""What a search returns: the learned sizes with everything needed to judge and to reuse them."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from effconv.convert import with_sizes
from effconv.options import SearchOptions
from effconv.trajectory import draw_trajectory

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class LearnedSizes:
    """Learned kernel sizes by layer name, and how they came about.

    `parameters` and `macs` are the whole network's at these sizes, `before` the given network's. `chosen` says which step the sizes
    are of: {"rule", "step", "within": whether the count is within 1% of the budget, "deviation": |count / budget - 1|}.
    """

    sizes: dict[str, int]
    soft_sizes: dict[str, float]
    parameters: int
    macs: int
    before: dict[str, int] = field(default_factory=dict)
    budget: dict[str, int | str | None] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    input_shape: tuple[int, int, int] | None = None
    seed: int | None = None
    options: SearchOptions = field(default_factory=SearchOptions)
    trajectory: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def layers(self) -> list[str]:
        """Names of the learned layers, in forward order."""
        return list(self.sizes)

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
        given["input_shape"] = tuple(given["input_shape"]) if given.get("input_shape") else None
        return cls(**given)

    def save(self, path: str | Path) -> None:
        """Write JSON, whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(json.dumps(self.to_dict()) + "\n")
        partial.replace(path)

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
