"""The paper's backbones with one kernel size a learnable layer: CIFAR ResNets and wide ResNets.

CIFAR ResNet: He et al. 2016, section 4.2, depth 6n + 2, parameter-free shortcuts (every other pixel, zero channels half before and
half after). Wide ResNet: Zagoruyko and Komodakis 2016, depth 6n + 4, pre-activation blocks, 1x1 projections where channels change.
The learnable layers are the 3x3 convolutions inside residual blocks. Values are drawn from torch's global random state.
"""

from collections.abc import Callable, Iterator, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from effconv.same_conv import SameConv2d


class ResidualBlock(nn.Module):
    """He et al.'s block: two convolutions, the first of stride `stride`, each with batch norm; parameter-free shortcut (option A)."""

    def __init__(self, conv1: nn.Module, conv2: nn.Module, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv1, nn.BatchNorm2d(outer)
        self.conv2, self.bn2 = conv2, nn.BatchNorm2d(outer)
        self.stride, self.missing = stride, outer - inner

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.missing:
            before = self.missing // 2
            x = F.pad(x, (0, 0, 0, 0, before, self.missing - before))
        return F.relu(out + x, inplace=True)


def _cifar_block(inner: int, outer: int, stride: int, sizes: Iterator[int]) -> ResidualBlock:
    first, second = SameConv2d(inner, outer, next(sizes), stride), SameConv2d(outer, outer, next(sizes))
    return ResidualBlock(first, second, inner, outer, stride)


class _WideBlock(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int, sizes: Iterator[int]) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv1 = SameConv2d(inner, outer, next(sizes), stride)
        self.bn2 = nn.BatchNorm2d(outer)
        self.conv2 = SameConv2d(outer, outer, next(sizes))
        self.project = None if inner == outer and stride == 1 else nn.Conv2d(inner, outer, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(x), inplace=True)
        shortcut = x if self.project is None else self.project(out)
        out = F.relu(self.bn2(self.conv1(out)), inplace=True)
        total: Tensor = self.conv2(out) + shortcut
        return total


class SizedNetwork(nn.Module):
    """A residual network whose blocks' kernels may have any size. `kernel_sizes`: the sizes in forward order."""

    def __init__(
        self, stem: nn.Module, blocks: nn.Sequential, head: nn.Module, features: int, num_classes: int
    ) -> None:
        super().__init__()
        self.stem, self.blocks, self.head = stem, blocks, head
        self.classifier = nn.Linear(features, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    @property
    def sized_convolutions(self) -> tuple[nn.Module, ...]:
        """The convolutions inside the blocks, in forward order."""
        return tuple(block.get_submodule(name) for block in self.blocks for name in ("conv1", "conv2"))

    @property
    def kernel_sizes(self) -> tuple[int, ...]:
        weights = (conv.weight for conv in self.sized_convolutions)  # none where a search has not set one
        return tuple(weight.shape[-1] for weight in weights if isinstance(weight, Tensor))

    def forward(self, images: Tensor) -> Tensor:
        features = self.head(self.blocks(self.stem(images)))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits


def _sizes(kernel_sizes: Sequence[int] | None, count: int, name: str) -> Iterator[int]:
    sizes = [3] * count if kernel_sizes is None else list(kernel_sizes)
    if len(sizes) != count:
        raise ValueError(
            f"kernel_sizes has {len(sizes)} entries: {name} has {count} learnable layers, give one size for each."
        )
    return iter(sizes)


def _depth(depth: int, extra: int, name: str) -> int:
    """Blocks a stage, n, of a network of 6n + extra layers."""
    n, rest = divmod(depth - extra, 6)
    if n < 1 or rest:
        raise ValueError(f"depth is {depth}: {name} has depth 6n + {extra}, give {extra + 6}, {extra + 12} and so on.")
    return n


def _stages(
    block: Callable[..., nn.Module], widths: Sequence[int], first: int, n: int, sizes: Iterator[int]
) -> nn.Sequential:
    blocks, inner = [], first
    for stage, width in enumerate(widths):
        for index in range(n):
            blocks.append(block(inner, width, 2 if stage and not index else 1, sizes))
            inner = width
    return nn.Sequential(*blocks)


def cifar_resnet(
    depth: int,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = (16, 32, 64),
) -> SizedNetwork:
    """CIFAR ResNet of depth 6n + 2. Images (N, in_channels, H, W) -> logits (N, num_classes).

    `kernel_sizes`: depth - 2 sizes in forward order, 3 each where None. ValueError for another depth or number of sizes.
    """
    n = _depth(depth, 2, "a CIFAR ResNet")
    sizes = _sizes(kernel_sizes, depth - 2, f"a CIFAR ResNet of depth {depth}")
    stem = nn.Sequential(SameConv2d(in_channels, widths[0], 3), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True))
    model = SizedNetwork(
        stem, _stages(_cifar_block, widths, widths[0], n, sizes), nn.Identity(), widths[-1], num_classes
    )
    nn.init.kaiming_normal_(model.classifier.weight)
    return model


def wide_resnet(
    depth: int,
    widen: int = 1,
    *,
    num_classes: int = 10,
    in_channels: int = 3,
    kernel_sizes: Sequence[int] | None = None,
    widths: Sequence[int] = (16, 32, 64),
) -> SizedNetwork:
    """Wide ResNet of depth 6n + 4, its stages `widen` times `widths` wide. Images (N, in_channels, H, W) -> logits (N, num_classes).

    `kernel_sizes`: depth - 4 sizes in forward order, 3 each where None. ValueError for another depth or number of sizes.
    """
    n = _depth(depth, 4, "a wide ResNet")
    sizes = _sizes(kernel_sizes, depth - 4, f"a wide ResNet of depth {depth}")
    stages = _stages(_WideBlock, [width * widen for width in widths], widths[0], n, sizes)
    last = widths[-1] * widen
    head = nn.Sequential(nn.BatchNorm2d(last), nn.ReLU(inplace=True))
    model = SizedNetwork(SameConv2d(in_channels, widths[0], 3), stages, head, last, num_classes)
    nn.init.zeros_(model.classifier.bias)
    return model
