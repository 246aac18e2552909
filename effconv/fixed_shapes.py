"""The same search with shapes that never change and nothing that the host has to read: a step that can be captured as one CUDA graph.

Every kernel lies in a frame of its layer's greatest size, where "same" padding puts it, with zeros around it; the size enters as
an index into the recurrent steps and as a 0/1 support beside Eq. 6's mask. Sizes and gradients of each step are kept on the device
until `settle()` asks for them, at least every 65,536 steps. The same function and gradients as `KernelSizeSearch`, up to rounding, for
about twice the arithmetic of the convolutions: worth it only where launching operations costs more than doing them.
"""

from typing import Any

import torch
from torch import Tensor, nn

from effconv.budget import budget_loss
from effconv.learned import LearnedSizes
from effconv.mask import mask_profiles
from effconv.options import SearchOptions
from effconv.same_conv import centre
from effconv.search import KernelSizeSearch
from effconv.size_predictor import round_straight_through

LOG_STEPS = 1 << 16  # steps that are kept on the device between two looks at the record


class _Frame(nn.Module):
    """For kernels in a frame F x F: by size, where each cell's recurrent step and each line's mask value come from."""

    cells: Tensor
    lines: Tensor
    support: Tensor

    def __init__(self, side: int, even_padding: str) -> None:
        super().__init__()
        cells = torch.zeros(side + 1, side * side, dtype=torch.int64)
        lines = torch.zeros(side + 1, side, dtype=torch.int64)
        support = torch.zeros(side + 1, side)
        for size in range(1, side + 1):
            before = centre(side, even_padding) - centre(size, even_padding)
            own = torch.arange(size)
            lines[size, before : before + size] = own
            support[size, before : before + size] = 1
            square = cells[size].view(side, side)
            square[before : before + size, before : before + size] = size * own[:, None] + own
        for name, table in (("cells", cells), ("lines", lines), ("support", support)):
            self.register_buffer(name, table, persistent=False)

    def forward(self, kernel: Tensor, profile: Tensor, size: Tensor) -> Tensor:
        """Kernel (out, in, F, F) of F^2 steps, profile (F,) of the mask, size (1,) -> the masked kernel of that size in its frame."""
        line = profile.index_select(0, self.lines.index_select(0, size)[0]) * self.support.index_select(0, size)[0]
        placed = kernel.flatten(2).index_select(2, self.cells.index_select(0, size)[0]).view_as(kernel)
        return placed * torch.outer(line, line)


class FixedShapeSearch(KernelSizeSearch):
    """`KernelSizeSearch` for options that `supports` names. Evaluation goes by the true shapes, and may make the host wait."""

    static_shapes = True
    _factors: Tensor
    _wanted: Tensor
    _done: Tensor

    def __init__(self, model: nn.Module, **arguments: Any) -> None:
        super().__init__(model, **arguments)
        if not self.supports(self.options):
            raise ValueError(
                "a search of fixed shapes has the paper's budget term and mask only: use KernelSizeSearch."
            )
        sides = [layer.greatest for layer in self.layers]
        if even := [side for side in sides if side % 2 == 0]:
            raise ValueError(f"a frame of side {even[0]} has no middle: choose k so that 2k + 1 is odd.")
        device, count = self.size_predictor.k.device, len(sides)
        self._sides = sides
        self._frames = nn.ModuleDict({str(s): _Frame(s, self.options.even_padding) for s in set(sides)}).to(device)
        targets = self.budget.targets(self.costs)
        factors = torch.tensor([self.costs.factors(unit) for unit in targets]).reshape(-1, count)
        wanted = torch.tensor([max(target, 1) for target in targets.values()])
        for name, table in (
            ("_factors", factors), ("_wanted", wanted), ("_done", torch.zeros(1, dtype=torch.int64)),
            *((f"_log_{name}", torch.zeros(LOG_STEPS, count)) for name in ("soft", "loss", "budget")),
        ):  # fmt: skip
            table = table if name == "_done" else table.to(self.size_predictor.k.dtype)
            self.register_buffer(name, table.to(device), persistent=False)

    @staticmethod
    def supports(options: SearchOptions) -> bool:
        """Whether a search of fixed shapes does what these options say."""
        return (options.mask, options.budget_method, options.kernel_order) == ("gaussian", "penalty", "rows") and not (
            options.odd_only
        )

    def step_kernels(self) -> list[Tensor]:
        if not self._in_training:
            return super().step_kernels()
        soft = self.predicted.soft()
        for_mask, for_budget = self.predicted.readers(soft)
        counts = (self._factors * round_straight_through(for_budget).square()).sum(1)
        self._penalty = self.options.lam * budget_loss(counts, self._wanted).sum()
        self._keep("soft", soft)
        for name, reader in (("loss", for_mask), ("budget", for_budget)):
            self._keep(name, torch.zeros_like(soft))
            if reader.requires_grad:
                reader.register_hook(lambda gradient, name=name: self._keep(name, gradient))
        return self._kernels_in_frames(for_mask)

    def _keep(self, name: str, values: Tensor) -> None:
        self.get_buffer(f"_log_{name}").index_copy_(0, self._done, values.detach()[None])

    def _kernels_in_frames(self, soft: Tensor) -> list[Tensor]:
        """Masked kernels (out, in, F, F)."""
        whole = soft.detach().round()
        profiles = mask_profiles(soft, whole, max(self._sides), self.options.mask_centre)
        sizes = whole.long()
        return [
            self._frames[str(side)](kernel, profiles[layer, :side], sizes[layer : layer + 1])
            for layer, (kernel, side) in enumerate(zip(self.kernel_predictors(self._sides), self._sides, strict=True))
        ]

    def after_backward(self) -> None:
        super().after_backward()
        if self.training:
            self._done.add_(1)

    def settle(self) -> None:
        """Bring the record up to date with what the device has kept. Makes the host wait."""
        done = int(self._done)
        if done > LOG_STEPS:
            raise RuntimeError(f"{done} steps since the record was last brought up to date: settle every {LOG_STEPS}.")
        soft, loss, budget = (self.get_buffer(f"_log_{name}")[:done].cpu() for name in ("soft", "loss", "budget"))
        for step, values in enumerate(soft.tolist()):
            self.progress.replay(values, {"loss": loss[step], "budget": budget[step]})
        self._done.zero_()

    def learned(self) -> LearnedSizes:
        self.settle()
        return super().learned()

    def get_extra_state(self) -> dict[str, Any]:
        self.settle()
        return super().get_extra_state()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self._done.zero_()
        super().set_extra_state(state)

    def step_sizes(self) -> None:
        raise ValueError("a search of fixed shapes has no step without images: use KernelSizeSearch.")
