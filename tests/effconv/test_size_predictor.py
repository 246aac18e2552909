"""Eqs. 1 and 2: sigma, straight-through rounding, and both properties of the predictor that the method rests on."""

from math import tanh

import pytest
import torch

from effconv import SizePredictor, round_straight_through, soft_size


def test_sigma_by_hand():
    assert soft_size(torch.zeros((), dtype=torch.float64)).item() == pytest.approx(
        2.990873, abs=1e-6
    )  # 4 - 3 tanh(0.35)
    value = soft_size(torch.tensor(1.5, dtype=torch.float64), k=2, tau=0.5, b=-1.0).item()
    assert value == pytest.approx(2 * tanh(2.0) + 3, rel=1e-14)


def test_sigma_range():
    ends = soft_size(torch.tensor([-1e3, 1e3]))
    assert ends.tolist() == [1.0, 7.0]
    values = soft_size(torch.linspace(-9, 9, 100, dtype=torch.float64))
    assert values.min() > 1 and values.max() < 7 and (values.diff() > 0).all()


def test_sigma_gradient():
    x = torch.linspace(-3, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(soft_size, x)


def test_straight_through_value_and_gradient():
    v = torch.tensor([1.2, 2.5, 3.5, 6.7], dtype=torch.float64, requires_grad=True)
    rounded = round_straight_through(v)
    assert rounded.tolist() == [1.0, 2.0, 4.0, 7.0]
    (rounded * torch.tensor([1.0, -2.0, 3.0, 0.5])).sum().backward()
    assert v.grad.tolist() == [1.0, -2.0, 3.0, 0.5]


def test_straight_through_gradcheck():
    # The estimator's gradient is that of the function without rounding, taken at the rounded point, where gradcheck can judge it.
    v = torch.tensor([1.0, 3.0, 6.0], dtype=torch.float64, requires_grad=True)
    square = lambda sizes: sizes.square().sum().log()
    assert torch.autograd.gradcheck(square, v)
    (smooth,) = torch.autograd.grad(square(v), v)
    shifted = (v.detach() + 0.3).requires_grad_()
    (estimated,) = torch.autograd.grad(square(round_straight_through(shifted)), shifted)
    torch.testing.assert_close(estimated, smooth)


@pytest.mark.parametrize("variant", ["gru", "gru-step", "free"])
@pytest.mark.parametrize("layers", [1, 18, 70])
def test_starts_at_the_backbones_size(variant, layers):
    for seed in range(3):
        predictor = SizePredictor(layers, variant=variant, generator=torch.Generator().manual_seed(seed))
        soft, sizes = predictor()
        assert soft.shape == sizes.shape == (layers,)
        assert (sizes == 3).all() and (soft - 2.991).abs().max() < 0.45


def test_input_is_orthogonal_and_untrained():
    predictor = SizePredictor(18, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(predictor.z @ predictor.z.T, torch.eye(18))
    assert "z" not in dict(predictor.named_parameters())


def test_every_parameter_and_layer_gets_a_gradient():
    predictor = SizePredictor(5, generator=torch.Generator().manual_seed(0))
    predictor()[1].square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in predictor.parameters())


def test_own_range_a_layer():
    predictor = SizePredictor(2, variant="free", k=[3, 6], b=[-0.35, 0.0])
    assert predictor()[0].tolist() == pytest.approx([2.990873, 7.0], abs=1e-5)


def test_same_generator_same_predictor_and_global_state_untouched():
    before = torch.get_rng_state()
    one, two = (SizePredictor(4, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.soft(), two.soft())


def test_unknown_variant():
    with pytest.raises(ValueError, match="choose one of gru"):
        SizePredictor(3, variant="lstm")
