"""Depthwise stride-1 "same" convolution through the Fourier transform: `fft_conv` for one kernel a channel.

There is no matrix product over channels, spectra are multiplied one by one; lengths, shifts and adjoints are those of `fft_conv`.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.flop_counter import register_flop_formula

from baselines.fft_conv import transform_lengths

CHUNK = 64  # images at once: bounds the memory of their spectra


def _kernel_spectrum(kernel: Tensor, lengths: tuple[int, int]) -> Tensor:
    """(C, 1, kh, kw) -> (C, frequencies by axis), complex."""
    return torch.fft.rfft2(kernel[:, 0], s=lengths)


def _image_spectrum(images: Tensor, kernel: Tensor, lengths: tuple[int, int]) -> Tensor:
    """Of images moved down and right by half a kernel."""
    top, left = kernel.shape[-2] // 2, kernel.shape[-1] // 2
    return torch.fft.rfft2(F.pad(images, (left, 0, top, 0)), s=lengths)


@torch.library.custom_op("baselines::fft_depthwise_conv2d", mutates_args=())
def _convolve(images: Tensor, kernel: Tensor) -> Tensor:
    """An operator of its own, so that counting tools can know it."""
    lengths, (height, width) = transform_lengths(images, kernel), images.shape[-2:]
    spectrum = _kernel_spectrum(kernel, lengths).conj()
    out = torch.empty_like(images, memory_format=torch.contiguous_format)
    for part, result in zip(images.split(CHUNK), out.split(CHUNK), strict=True):
        product = _image_spectrum(part, kernel, lengths) * spectrum
        result.copy_(torch.fft.irfft2(product, s=lengths)[..., :height, :width])
    return out


@_convolve.register_fake
def _shape(images: Tensor, kernel: Tensor) -> Tensor:
    return torch.empty_like(images, memory_format=torch.contiguous_format)


@register_flop_formula(torch.ops.baselines.fft_depthwise_conv2d)
def _flops(images: Sequence[int], kernel: Sequence[int], *_: object, out_shape: Sequence[int], **__: object) -> int:
    """Those of the convolution that it computes, as for the direct one."""
    return 2 * math.prod(out_shape) * math.prod(kernel[2:])


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


@once_differentiable
def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
    images, kernel = ctx.saved_tensors
    lengths, (height, width), (kh, kw) = transform_lengths(images, kernel), images.shape[-2:], kernel.shape[-2:]
    spectrum = _kernel_spectrum(kernel, lengths)
    grad_images, grad_kernel = torch.empty_like(images), torch.zeros_like(spectrum)
    parts = zip(images.split(CHUNK), grad.split(CHUNK), grad_images.split(CHUNK), strict=True)
    for part, upstream, result in parts:
        arriving = torch.fft.rfft2(upstream, s=lengths)
        moved = torch.fft.irfft2(arriving * spectrum, s=lengths)
        result.copy_(moved[..., kh // 2 : kh // 2 + height, kw // 2 : kw // 2 + width])
        grad_kernel += (arriving.conj() * _image_spectrum(part, kernel, lengths)).sum(0)
    return grad_images, torch.fft.irfft2(grad_kernel, s=lengths)[:, None, :kh, :kw].contiguous()


_convolve.register_autograd(_backward, setup_context=_keep)


def fft_depthwise_conv2d(images: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """conv2d(images, kernel, bias, padding=(kh // 2, kw // 2), groups=C) for odd sides.

    Args:
        images: (B, C, H, W)
        kernel: (C, 1, kh, kw), sides odd.
        bias: (C,)

    Returns:
        (B, C, H, W) in the dtype of `images`; half precisions are computed in float32.
    """
    working = torch.promote_types(images.dtype, torch.float32)
    return (_convolve(images.to(working), kernel.to(working)) + bias[:, None, None]).to(images.dtype)
