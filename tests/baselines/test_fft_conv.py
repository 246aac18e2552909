"""The Fourier convolution against torch's direct one: values, gradients, chunks, precisions, refusals."""

import pytest
import torch
import torch.nn.functional as F

import baselines
from baselines import fft_conv
from baselines.fft_conv import fast_length, fft_conv2d, fft_pays
from baselines.flexconv import centre, convolve


def data(kernel, image, *, batch=3, dtype=torch.float64):
    random = torch.Generator().manual_seed(0)
    shapes = ((batch, 2, *image), (4, 2, *kernel), (4,))
    return [torch.randn(shape, generator=random, dtype=dtype, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("chunk_bytes", [2**30, 1])
@pytest.mark.parametrize(
    ("kernel", "image"),
    [
        ((7, 3), (12, 10)),
        ((3, 7), (12, 10)),
        ((1, 1), (4, 5)),
        ((9, 17), (5, 9)),
        ((13, 19), (32, 32)),
        ((33, 21), (32, 32)),
        ((1, 5), (8, 8)),
    ],
)
def test_equals_direct_convolution(kernel, image, chunk_bytes):
    images, weights, bias = inputs = data(kernel, image)
    direct = F.conv2d(images, weights, bias, padding=(kernel[0] // 2, kernel[1] // 2))
    fourier = fft_conv2d(images, weights, bias, chunk_bytes=chunk_bytes)
    assert torch.allclose(fourier, direct, rtol=0, atol=1e-11)
    upstream = torch.randn(direct.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = torch.autograd.grad(direct, inputs, upstream)
    for found, wanted in zip(torch.autograd.grad(fourier, inputs, upstream), expected, strict=True):
        assert torch.allclose(found, wanted, rtol=0, atol=1e-10)


def test_gradients_against_finite_differences():
    images, weights, bias = data((3, 5), (5, 4), batch=2)
    assert torch.autograd.gradcheck(fft_conv2d, (images, weights, bias))


@pytest.mark.parametrize("wanted", [(True, False), (False, True)])
def test_only_one_gradient(wanted):
    images, weights, _ = data((5, 3), (6, 6))
    images.requires_grad_(wanted[0])
    weights.requires_grad_(wanted[1])
    chosen = images if wanted[0] else weights
    (found,) = torch.autograd.grad(fft_conv2d(images, weights).square().sum(), chosen)
    (expected,) = torch.autograd.grad(F.conv2d(images, weights, padding=(2, 1)).square().sum(), chosen)
    assert torch.allclose(found, expected, rtol=0, atol=1e-10)


def test_single_precision_and_channels_last():
    images, weights, bias = data((13, 19), (32, 32), dtype=torch.float32)
    direct = F.conv2d(images.double(), weights.double(), bias.double(), padding=(6, 9))
    fourier = fft_conv2d(images.contiguous(memory_format=torch.channels_last), weights, bias)
    assert (fourier.double() - direct).abs().max() < 2e-6 * direct.abs().max()


def test_single_precision_inside_autocast():
    images, weights, bias = data((9, 9), (16, 16), dtype=torch.float32)
    expected = fft_conv2d(images, weights, bias)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fft_conv2d(images, weights, bias), expected)
        half = fft_conv2d(images.bfloat16(), weights, bias)
    assert half.dtype == torch.bfloat16
    assert torch.allclose(half.float(), expected, rtol=0.02, atol=0.3)


def test_chunks_respect_the_bound():
    images = torch.empty(10, 48, 96, 96, device="meta")
    one = 2 * 4 * 144 * 73 * (48 + 36)  # complex float32, of both image and output
    lengths = (144, 144)
    parts = list(fft_conv._chunks(images, 36, lengths, 3 * one + 1))
    assert [part.stop - part.start for part in parts] == [3, 3, 3, 3]
    assert len(list(fft_conv._chunks(images, 36, lengths, 1))) == 10


def test_fast_lengths():
    assert [fast_length(n) for n in (1, 2, 11, 47, 48, 97, 143, 145)] == [2, 2, 12, 48, 48, 98, 144, 150]


@pytest.mark.parametrize("kernel", [(4, 3), (3, 11)])
def test_refuses_even_and_needlessly_large_kernels(kernel):
    with pytest.raises(ValueError, match="even or above"):
        fft_conv2d(torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, *kernel))


@pytest.mark.parametrize("backend", ["direct", "fft", "auto"])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolve_with_a_kernel_longer_than_the_image_meets(backend, stride):
    images, weights, bias = data((33, 13), (8, 8))
    expected = F.conv2d(images, weights, bias, stride=stride, padding=(16, 6))
    assert torch.allclose(convolve(images, weights, bias, stride=stride, backend=backend), expected, rtol=0, atol=1e-11)


def test_auto_takes_the_transform_for_large_kernels_only():
    shape = (64, 36, 32, 32)
    assert not fft_pays(shape, (36, 36, 5, 5))
    assert fft_pays(shape, (36, 36, 15, 15))
    assert not fft_pays(shape, (36, 36, 5, 9))
    assert fft_pays((32, 48, 96, 96), (48, 48, 97, 97))


def test_centre():
    grid = torch.arange(35).view(5, 7)
    assert centre(grid, (1, 3)).tolist() == [[16, 17, 18]]


@pytest.mark.slow
def test_a_training_step_of_a_whole_network_is_the_same_by_both_convolutions():
    """At the published grid: 33 points on 32 pixels, where `auto` takes the transform. The other kernel: test_flexconv_vectors.py."""
    images = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    steps = []
    for backend in ("direct", "auto"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = baselines.build("ckcnn16", in_channels=3, num_classes=10, image_size=32, backend=backend)
            assert fft_pays((64, 24, 32, 32), (24, 24, 33, 33)) and model.timed_backends == ("direct", "auto")
            logits = model(images)
            logits.square().sum().backward()
        steps.append([logits.detach(), *(p.grad for p in model.parameters())])
    scale = max(float(values.abs().max()) for values in steps[0])
    for direct, fourier in zip(*steps, strict=True):
        torch.testing.assert_close(fourier, direct, rtol=1e-3, atol=1e-4 * scale)


def test_which_backends_are_timed():
    def backends(name, **arguments):
        with torch.device("meta"):
            return baselines.build(name, in_channels=3, num_classes=10, image_size=32, **arguments).timed_backends

    assert backends("flexnet3") == backends("njet_nin") == backends("ckcnn16", backend="auto") == ("direct", "auto")
    assert backends("flexnet3", backend="auto") == ("auto",)
