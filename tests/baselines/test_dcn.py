"""DCN's block against a fixed-step integration in float64, its kernels against SciPy, its solver's limits."""

import pytest
import torch
from torch.nn import functional as F

import baselines
from baselines.dcn import ODEBlock, PairwiseGaussian
from baselines.njet import orders


def block(tolerance: float = 1e-3, *, channels: int = 4, max_steps: int = 100, gradient: str = "direct") -> ODEBlock:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ODEBlock(channels, tolerance=tolerance, max_steps=max_steps, gradient=gradient).double()


def state(channels: int = 4) -> torch.Tensor:
    return torch.randn(2, channels, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def written_out(one: ODEBlock, t: float, h: torch.Tensor) -> torch.Tensor:
    """dh/dt as the equation stands: the channel of t is put in front of h."""
    for norm, layer in zip(one.norms, (one.first, one.second), strict=False):
        h = F.celu(norm(h))
        h = F.conv2d(torch.cat([torch.full_like(h[:, :1], t), h], 1), layer(), padding=3)
    return one.norms[2](h)


def runge_kutta(one: ODEBlock, h: torch.Tensor, steps: int = 100) -> torch.Tensor:
    """The classical method of order 4 from 0 to 2."""
    d = 2 / steps
    for number in range(steps):
        t = number * d
        a = written_out(one, t, h)
        b = written_out(one, t + d / 2, h + d / 2 * a)
        c = written_out(one, t + d / 2, h + d / 2 * b)
        h = h + d / 6 * (a + 2 * b + 2 * c + written_out(one, t + d, h + d * c))
    return h


@torch.no_grad()
def test_the_block_is_a_fixed_step_integration():
    expected = runge_kutta(block(), state())
    precise = block(1e-8, max_steps=2000)(state())
    assert (precise - expected).abs().max() < 1e-5
    assert 1e-5 < (block()(state()) - expected).abs().mean() < 0.05  # a tolerance of 1e-3 a step
    assert (expected - state()).abs().mean() > 0.5  # it goes somewhere


def test_gradients_of_both_ways_agree():
    found = []
    for gradient in ("direct", "adjoint"):
        one, h = block(1e-6, max_steps=2000, gradient=gradient, channels=2), state(2).requires_grad_()
        one(h).square().sum().backward()
        found.append([h.grad, *(p.grad for p in one.parameters())])
    for direct, adjoint in zip(*found, strict=True):
        assert torch.allclose(direct, adjoint, rtol=1e-2, atol=1e-2 * direct.abs().max().item())


def test_kernels_are_built_once_a_pass():
    one, built = block(), []
    for layer in (one.first, one.second):
        layer.register_forward_hook(lambda *arguments: built.append(1))
    one(state())
    assert len(built) == 2 and one.evaluations > 7  # the solver needs two to begin and six a step


def test_every_pair_has_a_kernel_of_its_own_sigma():
    from scipy.ndimage import gaussian_filter

    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = PairwiseGaussian(3, 2).double()
    impulse = torch.zeros(13, 13).numpy()
    impulse[6, 6] = 1
    kernels, sigmas = made().detach(), torch.exp2(made.scale)
    assert kernels.shape == (2, 3, 7, 7) and len(set(sigmas.flatten().tolist())) == 6
    for inner, outer in ((0, 1), (2, 0)):
        sigma, expected = sigmas[inner, outer].item(), 0
        for alpha, (i, j) in zip(made.alpha[:, inner, outer].tolist(), orders(2), strict=True):
            response = gaussian_filter(impulse.astype(float), sigma, order=(j, i), radius=3)
            expected = expected + alpha * sigma ** (i + j) * response
        assert kernels[outer, inner].numpy() == pytest.approx(expected[3:10, 3:10], abs=1e-12)


def test_where_parameters_start():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = PairwiseGaussian(65, 64)
    assert made.alpha.std().item() == pytest.approx(0.1, rel=0.02)
    assert made.scale.std().item() == pytest.approx(2 / 3, rel=0.02) and abs(made.scale.mean()) < 0.05


def test_too_many_steps_end_with_a_sentence():
    with pytest.raises(ArithmeticError, match="gave up .*at most 2 steps.*lower the learning rate") as caught:
        block(1e-6, max_steps=2)(state())
    assert "\n" not in str(caught.value)


def test_numbers_that_are_none_end_with_a_sentence():
    with pytest.raises(ArithmeticError, match="the ODE solver gave up .*lower the learning rate"):
        block()(state() * torch.nan)


def test_the_state_stays_float32_in_bfloat16():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = baselines.build("dcn_sigma_ji", in_channels=1, num_classes=10, image_size=10).eval()
    seen = []
    model.features[1].register_forward_hook(lambda module, arguments, output: seen.append(output.dtype))
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        model(torch.rand(1, 1, 10, 10, generator=torch.Generator().manual_seed(0)))
    assert seen == [torch.float32]
    evaluations = model.history_columns()["solver_evaluations"]
    assert len(evaluations) == 3 and min(evaluations) > 7
