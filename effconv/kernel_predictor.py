"""The kernel predictor (Eq. 5): one GRU a layer on a constant input z', s^2 steps give the s x s positions row by row.

* literal: the hidden state is the output, c_{l-1} * c_l units wide. Exact reading of the paper, and large: 3 (c_{l-1} c_l)^2
  weights a layer, 50 million for 64 x 64 channels, four times that in memory while AdamW trains it.
* projected: a hidden state of `hidden` units and a linear map to c_{l-1} * c_l, started so that kernels of the starting size have
  the spread of He's initialisation.
Deviation: none in `literal`. Nothing but arithmetic order differs from one GRU cell a position.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from effconv.gru import ConstantInputGRU
from effconv.initial import fill_uniform
from effconv.same_conv import centre

VARIANTS = ("literal", "projected")
ORDERS = ("rows", "nested")


def nested_order(size: int, even_padding: str = "end") -> list[int]:
    """For each position of a size x size kernel, row by row, its step: first the positions of size 1, then those that size 2 adds, ...

    A position keeps its step whatever the kernel's size, where "same" padding puts it on the same pixel.
    """
    # Even sizes add a row and a column at the end, odd ones at the start, or the other way round.
    offsets = [index - centre(size, even_padding) for index in range(size)]

    def late(d: int) -> int:
        if even_padding == "end":
            return 2 * d if d > 0 else 1 - 2 * d
        return 1 + 2 * d if d >= 0 else -2 * d

    places = [(row, column) for row in range(size) for column in range(size)]
    ranked = sorted(places, key=lambda p: (max(late(offsets[p[0]]), late(offsets[p[1]])), offsets[p[0]], offsets[p[1]]))
    step = {place: number for number, place in enumerate(ranked)}
    return [step[place] for place in places]


class _Group(nn.Module):
    """The GRUs of all layers whose hidden states have one width, parameters stacked along the first dimension."""

    z: Tensor

    def __init__(self, count: int, width: int, input_size: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.register_buffer("z", torch.empty(count, input_size).normal_(generator=generator))
        self.input_weights = nn.Parameter(torch.empty(count, 3 * width, input_size))
        self.hidden_weights = nn.Parameter(torch.empty(count, 3 * width, width))
        self.input_biases = nn.Parameter(torch.empty(count, 3 * width))
        self.hidden_biases = nn.Parameter(torch.empty(count, 3 * width))
        fill_uniform(self.parameters(), width**-0.5, generator)

    def forward(self, steps: Sequence[int]) -> Tensor:
        """Steps a member -> (T, count, width) hidden states."""
        gates = torch.baddbmm(self.input_biases.unsqueeze(2), self.input_weights, self.z.unsqueeze(2)).squeeze(2)
        states: Tensor = ConstantInputGRU.apply(gates, self.hidden_weights, self.hidden_biases, tuple(steps))
        return states


class KernelPredictors(nn.Module):
    """The kernels of a whole network. `shapes`: (in channels a group, out channels) a layer.

    Call it with one size a layer: a list of kernels (out, in, s, s), without the modulation mask. `start_sizes` are the sizes at
    which the projected variant's kernels have He's spread.
    """

    def __init__(
        self,
        shapes: Sequence[tuple[int, int]],
        *,
        variant: str = "literal",
        hidden: int = 64,
        input_size: int = 64,
        order: str = "rows",
        even_padding: str = "end",
        start_sizes: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f"kernel_order is {order!r}: choose one of {', '.join(ORDERS)}.")
        self.order, self.even_padding = order, even_padding
        self._steps: dict[int, Tensor] = {}  # size -> which step fills each position
        if variant not in VARIANTS:
            raise ValueError(f"kernel_predictor is {variant!r}: choose one of {', '.join(VARIANTS)}.")
        self.shapes = tuple(shapes)
        widths = [inner * outer if variant == "literal" else hidden for inner, outer in self.shapes]
        self.members: dict[int, list[int]] = {}  # width -> its layers, in order
        for layer, width in enumerate(widths):
            self.members.setdefault(width, []).append(layer)
        self.groups = nn.ModuleDict(
            {str(width): _Group(len(layers), width, input_size, generator) for width, layers in self.members.items()}
        )
        self.projections: nn.ParameterList | None = None
        self.offsets: nn.ParameterList | None = None
        if variant == "projected":
            self.projections = nn.ParameterList(torch.empty(hidden, i * o) for i, o in self.shapes)
            self.offsets = nn.ParameterList(torch.zeros(i * o) for i, o in self.shapes)
            self._start_projections(start_sizes or [3] * len(self.shapes), generator)

    @torch.no_grad()
    def _start_projections(self, sizes: Sequence[int], generator: torch.Generator | None) -> None:
        assert self.projections is not None
        states = self.states([size * size for size in sizes])
        for (inner, _), size, weight, state in zip(self.shapes, sizes, self.projections, states, strict=True):
            wanted = (2 / (inner * size * size)) ** 0.5
            weight.normal_(generator=generator).mul_(wanted / state.square().sum(1).mean().sqrt())

    def states(self, steps: Sequence[int]) -> list[Tensor]:
        """Hidden states of each layer, (steps, width)."""
        states: dict[int, Tensor] = {}
        for width, layers in self.members.items():
            unrolled = self.groups[str(width)]([steps[layer] for layer in layers])
            for layer, own in zip(layers, unrolled.unbind(1), strict=True):
                states[layer] = own[: steps[layer]]
        return [states[layer] for layer in range(len(self.shapes))]

    def _nested(self, size: int, device: torch.device) -> Tensor:
        if size not in self._steps or self._steps[size].device != device:
            self._steps[size] = torch.tensor(nested_order(size, self.even_padding), device=device)
        return self._steps[size]

    def forward(self, sizes: Sequence[int]) -> list[Tensor]:
        device = next(self.parameters()).device.type
        kernels = []
        with torch.autocast(device, enabled=False):
            for layer, states in enumerate(self.states([size * size for size in sizes])):
                (inner, outer), size = self.shapes[layer], sizes[layer]
                if self.projections is not None and self.offsets is not None:
                    states = torch.addmm(self.offsets[layer], states, self.projections[layer])
                if self.order == "nested":
                    states = states.index_select(0, self._nested(size, states.device))
                kernels.append(states.reshape(size, size, outer, inner).permute(2, 3, 0, 1))
        return kernels


class KernelPredictor(KernelPredictors):
    """The kernel of one convolution: call it with a size s -> (out_channels, in_channels, s, s)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        variant: str = "literal",
        hidden: int = 64,
        *,
        input_size: int = 64,
        start_size: int = 3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(
            [(in_channels, out_channels)],
            variant=variant,
            hidden=hidden,
            input_size=input_size,
            start_sizes=[start_size],
            generator=generator,
        )

    def forward(self, size: int) -> Tensor:  # type: ignore[override]  # of one layer: a size and its kernel, no lists
        return super().forward([size])[0]


def predictor_parameters(
    shapes: Sequence[tuple[int, int]], variant: str, hidden: int = 64, input_size: int = 64
) -> int:
    """How many parameters the kernel predictors of these layers have, without building them."""
    total = 0
    for inner, outer in shapes:
        width = inner * outer if variant == "literal" else hidden
        total += 3 * width * (width + input_size + 2)
        total += (hidden + 1) * inner * outer if variant == "projected" else 0
    return total
