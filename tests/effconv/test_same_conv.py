"""SameConv2d against explicit padding of the input, for any size, stride and shape."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from effconv import SameConv2d


def padded_by_hand(x, conv, even_padding):
    size = conv.weight.shape[-1]
    little, much = (size - 1) // 2, size // 2
    before, after = (little, much) if even_padding == "end" else (much, little)
    return F.conv2d(F.pad(x, (before, after, before, after)), conv.weight, conv.bias, conv.stride, groups=conv.groups)


@settings(max_examples=80, deadline=None)
@given(
    size=st.integers(1, 9),
    stride=st.integers(1, 4),
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    bias=st.booleans(),
    groups=st.sampled_from([1, 2]),
    even_padding=st.sampled_from(["end", "start"]),
)
def test_equals_explicit_padding(size, stride, height, width, bias, groups, even_padding):
    generator = torch.Generator().manual_seed(size * 100 + stride)
    x = torch.randn(2, 2, height, width, generator=generator, dtype=torch.float64)
    conv = SameConv2d(2, 4, size, stride, bias, groups=groups, even_padding=even_padding).double()
    out = conv(x)
    assert out.shape == (2, 4, -(-height // stride), -(-width // stride))
    torch.testing.assert_close(out, padded_by_hand(x, conv, even_padding), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", range(1, 8))
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [7, 8, 28, 32])
def test_shape(size, stride, side):
    assert (
        SameConv2d(1, 1, size, stride)(torch.zeros(1, 1, side, side)).shape[2:] == ((side + stride - 1) // stride,) * 2
    )


@pytest.mark.parametrize("size", [2, 3, 4, 7])
def test_agrees_with_torch_same_padding(size):
    x = torch.randn(1, 2, 6, 9, generator=torch.Generator().manual_seed(0))
    conv = SameConv2d(2, 3, size)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns that "same" copies the input for even kernels
        expected = F.conv2d(x, conv.weight, padding="same")
    torch.testing.assert_close(conv(x), expected)


def test_even_kernel_reaches_to_the_end_by_hand():
    conv = SameConv2d(1, 1, 2)
    torch.nn.init.ones_(conv.weight)
    x = torch.arange(4.0).reshape(1, 1, 2, 2)  # 0 1 / 2 3
    assert conv(x).tolist() == [[[[6.0, 4.0], [5.0, 3.0]]]]
    conv.even_padding = "start"
    assert conv(x).tolist() == [[[[0.0, 1.0], [2.0, 6.0]]]]


def test_no_copy_of_the_input_where_no_window_reads_the_extra_row(monkeypatch):
    monkeypatch.setattr(F, "pad", lambda *_: pytest.fail("padded explicitly"))
    for size, stride, side in [(3, 1, 8), (5, 2, 9), (4, 2, 8), (6, 2, 32)]:
        SameConv2d(1, 1, size, stride)(torch.zeros(1, 1, side, side))


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_impossible_size(size):
    with pytest.raises(ValueError, match="whole number from 1 up"):
        SameConv2d(1, 1, size)


def test_a_strided_1x1_kernel_never_reaches_the_library_as_such():
    """Its weight gradient for few channels writes outside its memory in oneDNN (torch 2.15, processors with AVX2 only)."""
    strides = []

    class Record(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func is torch.ops.aten.convolution.default:
                strides.append(args[3])
            return func(*args, **(kwargs or {}))

    conv = SameConv2d(4, 8, 1, 2)
    images = torch.randn(2, 4, 5, 8)
    with Record():
        out = conv(images)
    assert [list(stride) for stride in strides] == [[1, 1]]
    torch.testing.assert_close(out, F.conv2d(images, conv.weight, stride=2))
