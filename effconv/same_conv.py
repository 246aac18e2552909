"""Convolution with "same" output, ceil(n / stride), for kernels of any size from 1 up, even ones included.

An even kernel needs one more row and column of padding on one side than on the other; `even_padding` says on which ("end": right
and bottom, as torch's and TensorFlow's "same"). Convolutions pad symmetrically without a copy of the input, so the cheapest exact
way is: symmetric native padding, plus an explicit pad by one only along an axis where some window reads that extra row.
"""

import torch.nn.functional as F
from torch import Tensor, nn

EVEN_PADDING = ("end", "start")


def centre(size: int, even_padding: str = "end") -> int:
    """The row (and column) of a kernel, from 0, that "same" padding puts on the output's own pixel."""
    return (size - 1) // 2 if even_padding == "end" else size // 2


def _axis_padding(length: int, size: int, stride: int, even_padding: str) -> tuple[int, int, int]:
    """(explicit pad before, explicit pad after, native padding on both sides) along one axis."""
    if size % 2:
        return 0, 0, size // 2
    if even_padding == "end":
        # Native padding leaves out the last row of the frame, which only a window that starts at the last input row reads.
        return (0, 1, size // 2 - 1) if (length - 1) % stride == 0 else (0, 0, size // 2 - 1)
    # One row too many at the end is harmless unless it makes room for one more window.
    return (1, 0, size // 2 - 1) if length % stride == 0 else (0, 0, size // 2)


def same_conv2d(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | tuple[int, int] = 1,
    groups: int = 1,
    even_padding: str = "end",
) -> Tensor:
    """Convolve (N, C, H, W) with (O, C / groups, s, s) to (N, O, ceil(H / stride), ceil(W / stride))."""
    rows, columns = (stride, stride) if isinstance(stride, int) else stride
    if weight.shape[2:] == (1, 1) and (rows, columns) != (1, 1):
        # A strided 1x1 kernel reads the kept pixels alone. Taking them first is exact, and stays clear of oneDNN's weight gradient
        # for few channels (below 8 with AVX2), which writes outside its memory (torch 2.15).
        images, rows, columns = images[:, :, ::rows, ::columns], 1, 1
    top, bottom, native_h = _axis_padding(images.shape[2], weight.shape[2], rows, even_padding)
    left, right, native_w = _axis_padding(images.shape[3], weight.shape[3], columns, even_padding)
    if top or bottom or left or right:
        images = F.pad(images, (left, right, top, bottom))
    return F.conv2d(images, weight, bias, (rows, columns), (native_h, native_w), 1, groups)


class SameConv2d(nn.Conv2d):
    """A convolution whose output is ceil(n / stride) for any kernel size.

    Shapes: (N, in_channels, H, W) -> (N, out_channels, ceil(H / stride), ceil(W / stride)); weight (out, in / groups, s, s).
    Raises ValueError for a kernel size below 1 and for an unknown `even_padding`.
    """

    stride: tuple[int, int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int | tuple[int, int] = 1,
        bias: bool = False,
        *,
        groups: int = 1,
        even_padding: str = "end",
    ) -> None:
        if int(kernel_size) != kernel_size or kernel_size < 1:
            raise ValueError(f"kernel_size is {kernel_size!r}: give a whole number from 1 up.")
        if even_padding not in EVEN_PADDING:
            raise ValueError(f"even_padding is {even_padding!r}: choose one of {', '.join(EVEN_PADDING)}.")
        size = int(kernel_size)
        super().__init__(in_channels, out_channels, size, stride, (size - 1) // 2, bias=bias, groups=groups)
        self.even_padding = even_padding

    def forward(self, images: Tensor) -> Tensor:
        return same_conv2d(images, self.weight, self.bias, self.stride, self.groups, self.even_padding)


class PredictedConv2d(nn.Module):
    """A "same" convolution without weights of its own: `weight` (out, in / groups, s, s) is set from outside before each forward."""

    def __init__(self, *, stride: tuple[int, int], groups: int, bias: Tensor | None, even_padding: str) -> None:
        super().__init__()
        self.stride, self.groups, self.even_padding = stride, groups, even_padding
        self.bias = bias
        self.weight: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        assert self.weight is not None, (
            "no kernel is set outside the search's forward: turn gradient checkpointing off for the search"
        )
        return same_conv2d(images, self.weight, self.bias, self.stride, self.groups, self.even_padding)
