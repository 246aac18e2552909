"""Eqs. 6 and 7 against values worked out by hand."""

from math import exp

import pytest
import torch

from effconv import modulation_mask
from effconv.mask import fractional_mask, mask_profiles


def v(value):
    return torch.tensor(value, dtype=torch.float64)


def test_size_1_by_hand():
    # printed: c = 0.5, both offsets 0.5, v = 1: exp(-(0.25 + 0.25) / 1)
    assert modulation_mask(1, v(1.0)).item() == pytest.approx(exp(-0.5), rel=1e-14)
    assert modulation_mask(1, v(1.3), "centred").item() == 1.0
    # soft-centred: c = 1.2, offset -0.2, v = 1.4: exp(-0.08 / 1.96)
    assert modulation_mask(1, v(1.4), "soft-centred").item() == pytest.approx(exp(-0.08 / 1.96), rel=1e-14)


def test_size_2_by_hand():
    # printed, v = 2: c = 1, offsets 0 and 1
    expected = [[1.0, exp(-1 / 4)], [exp(-1 / 4), exp(-2 / 4)]]
    torch.testing.assert_close(modulation_mask(2, v(2.0)), torch.tensor(expected, dtype=torch.float64))
    # centred: c = 1.5, offsets -0.5 and 0.5 everywhere: exp(-0.5 / v^2), v = 2
    torch.testing.assert_close(
        modulation_mask(2, v(2.0), "centred"), torch.full((2, 2), exp(-0.125), dtype=torch.float64)
    )
    # soft-centred, v = 1.6: c = 1.3, offsets -0.3 and 0.7
    a, b = 0.09 / 2.56, 0.49 / 2.56
    expected = [[exp(-2 * a), exp(-a - b)], [exp(-a - b), exp(-2 * b)]]
    torch.testing.assert_close(modulation_mask(2, v(1.6), "soft-centred"), torch.tensor(expected, dtype=torch.float64))


def test_size_3_by_hand():
    # printed, v = 3: c = 1.5, offsets -0.5, 0.5, 1.5: the peak lies between the first and the second row
    g = [exp(-0.25 / 9), exp(-0.25 / 9), exp(-2.25 / 9)]
    expected = torch.tensor([[a * b for b in g] for a in g], dtype=torch.float64)
    torch.testing.assert_close(modulation_mask(3, v(3.0)), expected)
    g = [exp(-1 / 9), 1.0, exp(-1 / 9)]
    expected = torch.tensor([[a * b for b in g] for a in g], dtype=torch.float64)
    torch.testing.assert_close(modulation_mask(3, v(3.0), "centred"), expected)
    torch.testing.assert_close(modulation_mask(3, v(3.0), "soft-centred"), expected)


def test_size_7_by_hand():
    mask = modulation_mask(7, v(6.6))
    assert mask[0, 0].item() == pytest.approx(exp(-2 * (1 - 3.3) ** 2 / 6.6**2), rel=1e-13)
    assert mask[6, 2].item() == pytest.approx(exp(-((7 - 3.3) ** 2 + (3 - 3.3) ** 2) / 6.6**2), rel=1e-13)
    assert modulation_mask(7, v(6.6), "centred")[3, 3].item() == 1.0
    assert modulation_mask(7, v(6.6), "soft-centred")[6, 0].item() == pytest.approx(
        exp(-((7 - 3.8) ** 2 + (1 - 3.8) ** 2) / 6.6**2), rel=1e-13
    )


@pytest.mark.parametrize("centre", ["printed", "centred", "soft-centred"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_gradient(size, centre):
    soft = torch.tensor(size + 0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda value: modulation_mask(size, value, centre), soft)


def test_takes_plain_numbers():
    assert modulation_mask(3, 3).shape == (3, 3)


@pytest.mark.parametrize(
    "name", ["before", "middle", "zero"]
)  # by the alphabet, before, between and after those there are
def test_unknown_centre(name):
    with pytest.raises(ValueError, match="choose one of printed, centred, soft-centred"):
        modulation_mask(3, 3.0, name)


def test_profiles_of_two_layers_by_hand():
    soft, sizes = v([2.0, 3.0]), v([2.0, 3.0])
    # printed: c = 1 and 1.5; the first layer's third place lies beyond its kernel, and follows the same formula
    expected = [[1.0, exp(-1 / 4), exp(-4 / 4)], [exp(-0.25 / 9), exp(-0.25 / 9), exp(-2.25 / 9)]]
    torch.testing.assert_close(mask_profiles(soft, sizes, 3), v(expected))
    # centred: c = 1.5 and 2
    expected = [[exp(-0.25 / 4), exp(-0.25 / 4), exp(-2.25 / 4)], [exp(-1 / 9), 1.0, exp(-1 / 9)]]
    torch.testing.assert_close(mask_profiles(soft, sizes, 3, "centred"), v(expected))


def test_fractional_masks_by_hand():
    f = torch.tensor(0.25)
    assert fractional_mask(2, 1, f).tolist() == [[1.0, 0.25], [0.25, 0.25]]
    assert fractional_mask(3, 2, f).tolist() == [[0.25, 0.25, 0.25], [0.25, 1.0, 1.0], [0.25, 1.0, 1.0]]
    assert fractional_mask(2, 1, f, "start").tolist() == [[0.25, 0.25], [0.25, 1.0]]
    assert fractional_mask(3, 1, f).tolist() == [[0.25, 0.25, 0.25], [0.25, 1.0, 0.25], [0.25, 0.25, 0.25]]
