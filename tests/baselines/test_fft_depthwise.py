"""The depthwise Fourier convolution against torch's direct one: values, gradients, chunks, precisions."""

import pytest
import torch
import torch.nn.functional as F

from baselines import fft_depthwise
from baselines.fft_depthwise import fft_depthwise_conv2d


def data(kernel, image, *, batch=3, dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    shapes = ((batch, 4, *image), (4, 1, *kernel), (4,))
    return [torch.randn(shape, generator=random, dtype=dtype, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("chunk", [64, 2])
@pytest.mark.parametrize(
    ("kernel", "image"), [((7, 3), (12, 10)), ((1, 1), (4, 5)), ((9, 17), (5, 9)), ((33, 21), (32, 32))]
)
def test_equals_direct_convolution(kernel, image, chunk, monkeypatch):
    monkeypatch.setattr(fft_depthwise, "CHUNK", chunk)
    images, weights, bias = inputs = data(kernel, image)
    direct = F.conv2d(images, weights, bias, padding=(kernel[0] // 2, kernel[1] // 2), groups=4)
    fourier = fft_depthwise_conv2d(images, weights, bias)
    torch.testing.assert_close(fourier, direct, rtol=0, atol=1e-11)
    upstream = torch.randn(direct.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = torch.autograd.grad(direct, inputs, upstream)
    for found, wanted in zip(torch.autograd.grad(fourier, inputs, upstream), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)


def test_gradients_against_finite_differences():
    assert torch.autograd.gradcheck(fft_depthwise_conv2d, tuple(data((3, 5), (5, 4), batch=2)))


def test_half_precision_is_computed_in_float32():
    images, weights, bias = data((5, 5), (8, 8), dtype=torch.float32)
    found = fft_depthwise_conv2d(images.bfloat16(), weights, bias)
    expected = F.conv2d(images.bfloat16().float(), weights, bias, padding=2, groups=4)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected.bfloat16())
