"""Stride-1 "same" convolution with a large odd kernel through the Fourier transform; sides of the kernel may differ.

Along an axis of n pixels with a kernel of k, h = k // 2, the circular correlation of length L >= n + h of the kernel with the image
shifted by h equals the wanted output in its first n entries: what wraps around falls on zeros. So L is n + h and not n + k - 1,
rounded up to a fast length. Frequencies are the batch axis of one complex matrix product over channels.

Both directions go through the batch in chunks and keep only image and kernel for the backward pass, so memory beyond those is
bounded by `chunk_bytes` and two spectra of the kernel. Everything is float32 at least, also under autocast. The gradient is the
exact adjoint; it cannot be differentiated again.
"""

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.flop_counter import register_flop_formula

CHUNK_BYTES = 512 * 2**20  # of complex spectra, inputs and outputs together
# Training-step time of the transform's two parts, in direct multiply-accumulates: fitted on one core of an x86 server (AVX-512) to
# 8x8 to 96x96 pixels and 16 to 64 channels, where it puts the crossover between 9x9 and 13x13. Other devices are not measured.
PRODUCT_COST, TRANSFORM_COST = 6.0, 40.0


@lru_cache
def fast_length(n: int) -> int:
    """The least even length >= n without prime factors above 7."""
    length = n + n % 2
    while True:
        rest = length
        for prime in (2, 3, 5, 7):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 2


def transform_lengths(image: Tensor, kernel: Tensor) -> tuple[int, int]:
    """Transform lengths for an image (..., H, W) and a kernel (..., kh, kw)."""
    rows, columns = (fast_length(n + k // 2) for n, k in zip(image.shape[-2:], kernel.shape[-2:], strict=True))
    return rows, columns


def _spectrum(signal: Tensor, lengths: tuple[int, int]) -> Tensor:
    """(A, B, h, w) real -> (frequencies, A, B) complex."""
    return torch.fft.rfft2(signal, s=lengths).flatten(2).permute(2, 0, 1)


def _signal(spectrum: Tensor, lengths: tuple[int, int]) -> Tensor:
    """(frequencies, A, B) complex -> (A, B, *lengths) real."""
    half = spectrum.permute(1, 2, 0).unflatten(2, (lengths[0], lengths[1] // 2 + 1))
    return torch.fft.irfft2(half, s=lengths)


def _shifted_spectrum(images: Tensor, kernel: Tensor, lengths: tuple[int, int]) -> Tensor:
    """Spectrum of images moved down and right by half a kernel: (B, C, H, W) -> (frequencies, B, C)."""
    top, left = kernel.shape[-2] // 2, kernel.shape[-1] // 2
    return _spectrum(torch.nn.functional.pad(images, (left, 0, top, 0)), lengths)


def _chunks(images: Tensor, out_channels: int, lengths: tuple[int, int], chunk_bytes: int) -> Iterator[slice]:
    """Slices of the batch whose spectra fit into `chunk_bytes`."""
    per_image = 2 * images.element_size() * lengths[0] * (lengths[1] // 2 + 1) * (images.shape[1] + out_channels)
    step = max(1, chunk_bytes // per_image)
    return (slice(start, start + step) for start in range(0, len(images), step))


@torch.library.custom_op("baselines::fft_conv2d", mutates_args=())
def _fft_conv2d(images: Tensor, kernel: Tensor, chunk_bytes: int) -> Tensor:
    """Without bias, in the arguments' precision. An operator of its own, so that counting tools can know it."""
    lengths = transform_lengths(images, kernel)
    height, width = images.shape[-2:]
    weights = _spectrum(kernel, lengths).transpose(1, 2).conj_physical()  # (frequencies, in, out)
    out = images.new_empty(len(images), len(kernel), height, width)
    for part in _chunks(images, len(kernel), lengths, chunk_bytes):
        product = torch.bmm(_shifted_spectrum(images[part], kernel, lengths), weights)  # (frequencies, b, out)
        out[part] = _signal(product, lengths)[..., :height, :width]
    return out


@_fft_conv2d.register_fake
def _shape(images: Tensor, kernel: Tensor, chunk_bytes: int) -> Tensor:
    return images.new_empty(len(images), len(kernel), *images.shape[-2:])


@register_flop_formula(torch.ops.baselines.fft_conv2d)
def _flops(images: Sequence[int], kernel: Sequence[int], *_: object, out_shape: Sequence[int], **__: object) -> int:
    """Those of the convolution that it computes, as for the direct one."""
    return 2 * math.prod(out_shape) * math.prod(kernel[1:])


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
    images, kernel, ctx.chunk_bytes = inputs
    ctx.save_for_backward(images, kernel)


@once_differentiable
def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    images, kernel = ctx.saved_tensors
    lengths = transform_lengths(images, kernel)
    (height, width), (kh, kw) = images.shape[-2:], kernel.shape[-2:]
    to_images, to_kernel = ctx.needs_input_grad[:2]
    grad_images = torch.empty_like(images) if to_images else None
    weights = _spectrum(kernel, lengths) if to_images else None  # (frequencies, out, in)
    grad_weights: Tensor | None = None  # (frequencies, out, in)
    for part in _chunks(images, len(kernel), lengths, ctx.chunk_bytes):
        spectrum = _spectrum(grad[part], lengths)  # (frequencies, b, out)
        if grad_images is not None and weights is not None:
            moved = _signal(torch.bmm(spectrum, weights), lengths)
            grad_images[part] = moved[..., kh // 2 : kh // 2 + height, kw // 2 : kw // 2 + width]
        if to_kernel:
            product = torch.bmm(spectrum.mH, _shifted_spectrum(images[part], kernel, lengths))
            grad_weights = product if grad_weights is None else grad_weights.add_(product)
    grad_kernel = None if grad_weights is None else _signal(grad_weights, lengths)[..., :kh, :kw].contiguous()
    return grad_images, grad_kernel, None


_fft_conv2d.register_autograd(_backward, setup_context=_keep)


def fft_conv2d(images: Tensor, kernel: Tensor, bias: Tensor | None = None, *, chunk_bytes: int = CHUNK_BYTES) -> Tensor:
    """Cross-correlation with zero padding of half a kernel, like conv2d(images, kernel, bias, padding=(kh // 2, kw // 2)).

    Args:
        images: (B, in, H, W)
        kernel: (out, in, kh, kw), sides odd, at most 2 H - 1 and 2 W - 1 (what lies beyond never meets the image).
        bias: (out,)
        chunk_bytes: bound on the complex spectra held at once.

    Returns:
        (B, out, H, W) in the dtype of `images`; half precisions are computed in float32.

    Raises:
        ValueError: for an even or too large kernel.
    """
    for k, n in zip(kernel.shape[-2:], images.shape[-2:], strict=True):
        if k % 2 == 0 or k > 2 * n - 1:
            raise ValueError(f"a kernel side of {k} on {n} pixels is even or above {2 * n - 1}: crop the kernel first.")
    working = torch.promote_types(images.dtype, torch.float32)
    out = _fft_conv2d(images.to(working), kernel.to(working), chunk_bytes)
    if bias is not None:
        out = out + bias[:, None, None]
    return out.to(images.dtype)


def fft_pays(images: Sequence[int], kernel: Sequence[int], *, stride: int = 1) -> bool:
    """Whether the transform is expected to beat direct convolution in a training step, from shapes (B, in, H, W), (out, in, kh, kw).

    Compares multiply-accumulates of direct convolution with those of the matrix product (4 real ones for each complex one) and with
    n log n for each transform, weighted by PRODUCT_COST and TRANSFORM_COST. From shapes alone, so a run is repeatable.
    """
    (batch, _, height, width), (outputs, inputs, kh, kw) = images, kernel
    rows, columns = fast_length(height + kh // 2), fast_length(width + kw // 2)
    direct = batch * inputs * outputs * height * width * kh * kw / stride**2
    product = 2 * rows * columns * batch * inputs * outputs
    signals = batch * (inputs + outputs) + inputs * outputs
    transforms = signals * rows * columns * math.log2(rows * columns)
    return direct > PRODUCT_COST * product + TRANSFORM_COST * transforms
