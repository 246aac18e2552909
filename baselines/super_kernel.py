"""A super-kernel a layer with nested sizes and a Gumbel choice: kernel sizes as architecture search would learn them.

One kernel of the greatest size a layer; size s is its s x s part. Each step draws a size a layer from softmax(logits) by the Gumbel
trick (Jang, Gu and Poole 2017; Maddison, Mnih and Teh 2017), hard in the forward pass, soft in the backward one; nested sharing as in
Single-Path NAS (Stamoulis et al. 2019). The budget term is EffConv's Eq. 4 of the drawn sizes, the optimiser and its other rates are
EffConv's. No recurrent predictor, no mask but the choice. A size's gradient needs what the sizes above it would add, so a training
step convolves with the whole kernel. The draws take torch's global random state, as dropout does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.free_kernels import FreeKernelSearch
from effconv import SearchOptions
from effconv.convert import LearnableLayer
from effconv.same_conv import centre

PRICE, HALVINGS = 1e4, 50  # the price of the whole budget is looked for in +-PRICE


@dataclass(frozen=True, kw_only=True)
class SuperKernelOptions(SearchOptions):
    """EffConv's options and, open in the sources, the choice's: its temperature and learning rate."""

    temperature: float = 1.0
    lr_choice: float = 3e-3


class SuperKernelSearch(FreeKernelSearch):
    """Learns kernel sizes by choosing among the nested parts of one kernel; see `SizeSearch` for arguments and errors."""

    options: SuperKernelOptions
    values: Tensor
    shut: Tensor

    def __init__(self, model: nn.Module, *, options: SuperKernelOptions | None = None, seed: int = 0, **arguments):
        super().__init__(model, options=options or SuperKernelOptions(), seed=seed, **arguments)
        device = self.start_device
        self.logits = nn.Parameter(
            torch.zeros(len(self.layers), max(layer.greatest for layer in self.layers), device=device)
        )
        sizes = torch.arange(1, self.logits.shape[1] + 1, device=device, dtype=torch.float32)
        self.register_buffer("values", sizes, persistent=False)
        allowed = [self._allowed(layer.greatest) for layer in self.layers]
        self.register_buffer("shut", torch.tensor(allowed, device=device).logical_not(), persistent=False)
        for greatest in {layer.greatest for layer in self.layers}:
            nested = nested_parts(greatest, self.options.even_padding).to(device)
            self.register_buffer(f"nested{greatest}", nested, persistent=False)

    def spread_size(self, layer: LearnableLayer) -> int:
        return layer.size  # what the network starts with

    def _allowed(self, greatest: int) -> list[bool]:
        odd = self.options.odd_only
        return [size <= greatest and (size % 2 == 1 or not odd) for size in range(1, self.logits.shape[1] + 1)]

    def _open(self) -> Tensor:
        """The logits, minus infinity where a layer does not have a size."""
        return self.logits.masked_fill(self.shut, -torch.inf)

    def step_kernels(self) -> list[Tensor]:
        with torch.autocast(self.logits.device.type, enabled=False):
            logits = self._open()
            if self.training:
                choice = F.gumbel_softmax(logits, tau=self.options.temperature, hard=True)
            else:
                choice = F.one_hot(logits.argmax(1), logits.shape[1]).to(logits)
            for_loss = choice.detach() if self.options.data_free else choice
            self._penalty = self.options.lam * self.budget.loss_of_areas(self.costs, choice @ self.values.square())
        if self._in_training:
            soft = torch.tensor(self.soft_sizes)  # the gradients reach logits and no sizes: none are recorded
            self.progress.note(self.sizes, soft.tolist(), soft, soft)
        masks = [self.get_buffer(f"nested{layer.greatest}") for layer in self.layers]
        parts = zip(self.kernels, masks, for_loss, strict=True)
        return [kernel * (own[: len(nested), None, None] * nested).sum(0) for kernel, nested, own in parts]

    def parameter_groups(self) -> list[dict]:
        """Groups for AdamW; the choice is not decayed, which would pull it to equal chances."""
        return self.groups([self.logits], self.options.lr_choice, "choice")

    @property
    def soft_sizes(self) -> tuple[float, ...]:
        """The expected size of each layer's draw."""
        with torch.no_grad():
            return tuple((self._open().softmax(1) @ self.values).tolist())

    @property
    def sizes(self) -> tuple[int, ...]:
        """The likeliest sizes at the budget: those that maximise log p(s) - mu count(s), mu such that the count is nearest to it."""
        with torch.no_grad():
            scores = self._open().log_softmax(1).cpu()
        targets = self.budget.targets(self.costs)
        if len(targets) != 1:
            return tuple((scores.argmax(1) + 1).tolist())
        ((unit, target),) = targets.items()
        factors = torch.tensor(self.costs.factors(unit), dtype=torch.float32)
        shares = factors[:, None] * self.values.cpu().square() / target
        low, high, best = -PRICE, PRICE, None
        for _ in range(HALVINGS):
            price = (low + high) / 2
            sizes = (scores - price * shares).argmax(1) + 1
            share = float((factors * sizes.square()).sum() / target)
            if best is None or abs(share - 1) < best[0]:
                best = abs(share - 1), tuple(sizes.tolist())
            low, high = (price, high) if share > 1 else (low, price)
        return best[1]

    @torch.no_grad()
    def set_sizes(self, sizes: Sequence[int]) -> None:
        self.logits.zero_()
        self.logits.scatter_(1, torch.tensor(sizes, device=self.logits.device)[:, None] - 1, 10.0)


def nested_parts(greatest: int, even_padding: str = "end") -> Tensor:
    """Which positions of a kernel each size 1..greatest covers, (greatest, greatest, greatest) of 0 and 1.

    As "same" padding puts them: even sizes reach one further at the end, or at the start.
    """
    parts = torch.zeros(greatest, greatest, greatest)
    for size in range(1, greatest + 1):
        before = centre(greatest, even_padding) - centre(size, even_padding)
        parts[size - 1, before : before + size, before : before + size] = 1
    return parts
