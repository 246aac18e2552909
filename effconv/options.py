"""Every choice of the search that the paper leaves open, and its printed constants, by name; what results carry with them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from typing import Any

from effconv import budget, kernel_predictor, mask, same_conv, size_predictor

FINAL_SIZES = ("closest", "last")
BUDGET_METHODS = ("penalty", "multiplier", "rescale")
CHOICES = {
    "kernel_predictor": kernel_predictor.VARIANTS,
    "size_predictor": size_predictor.VARIANTS,
    "kernel_order": kernel_predictor.ORDERS,
    "mask": mask.MASKS,
    "mask_centre": mask.CENTRES,
    "budget_method": BUDGET_METHODS,
    "final_sizes": FINAL_SIZES,
    "budget_scope": budget.SCOPES,
    "even_padding": same_conv.EVEN_PADDING,
}


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """Options of stage 1 of Algorithm 1. The defaults are the paper's printed values and its literal reading, but for two.

    `kernel_predictor` is "projected", as the literal one fits into no memory for usual networks; `final_sizes` is "closest", where
    Algorithm 1 reads "last". Raises ValueError for a value that is not one of a field's choices.
    """

    kernel_predictor: str = "projected"  # Eq. 5: "literal" (hidden state = kernel position) or "projected"
    hidden: int = 0  # width of the projected predictor's hidden state; 0: 64, or as much of it as fits into memory
    kernel_order: str = "rows"  # of the recurrent steps over a kernel, or "nested": by the size they first belong to
    size_predictor: str = "gru"  # Eq. 1: "gru", "gru-step", "free"
    mask: str = (
        "gaussian"  # Eq. 6, "none" (a control), or "fractional": the outermost row and column come in by degrees
    )
    mask_centre: str = "printed"  # Eq. 7: "printed", "centred", "soft-centred"
    final_sizes: str = (
        "closest"  # those of the last step within 1% of the budget, or "last": Algorithm 1's, after the last step
    )
    budget_scope: str = "total"  # the budget is the whole network's, or "kernels": Eq. 3 alone
    budget_method: str = "penalty"  # Eq. 4; "multiplier": its weight adapts; "rescale": soft sizes lie on the budget
    odd_only: bool = False  # a control: sizes 1, 3, 5, ... only
    even_padding: str = "end"  # the extra row and column of even kernels: "end" (right, bottom) or "start"
    lam: float = 2.0  # Eq. 8's lambda
    k: float = 3.0  # Eq. 2: sizes lie in 1..2k + 1; at least the original size - 1 where a kernel is larger than 3
    tau: float = 3.0
    b: float = -0.35  # for 3x3 kernels; larger ones start at their own size instead
    lr_size_predictor: float = 1e-4
    lr_network: float = 1e-4  # the network's remaining parameters
    lr_kernel_predictor: float = 1e-3
    weight_decay: float = 1e-3
    data_free: bool = False  # a control: the classification loss does not reach the sizes, only the budget does
    record_every: int = 10  # steps between two entries of the trajectory

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}: choose one of {', '.join(choices)}.")
        if self.hidden < 0:
            raise ValueError(f"hidden is {self.hidden!r}: give a width above 0, or 0 for one that fits.")
        for name in ("record_every", "k", "tau"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}: give a number above 0.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "SearchOptions":
        """The reverse of `to_dict`; fields left out take their defaults. ValueError for an unknown field."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                near = get_close_matches(name, known, 1)
                raise ValueError(
                    f"{name!r} is no search option: {f'did you mean {near[0]}' if near else f'use {known}'}."
                )
        return cls(**values)
