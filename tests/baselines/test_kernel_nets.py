"""Coordinate networks: initial distributions against those measured on the authors' modules, and the formula cell by cell."""

import math

import pytest
import torch

from baselines.flexconv import CKConv, FlexConv
from baselines.kernel_nets import KERNEL_NETS, FourierNet, GaborNet, MAGNet


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def test_magnet_at_one_point_by_hand():
    net = MAGNet(4, mu_scale=0.5).double()
    x = (0.3, -0.7)

    def filtered(i, h):
        exponent = sum((net.gamma[i, h, d] * (x[d] - net.mu[i, h, d])) ** 2 for d in range(2))
        phase = sum(net.frequency[i, h, d] * x[d] for d in range(2)) + net.phase[i, h]
        return torch.exp(-exponent / 2) * torch.sin(phase)

    g = [torch.stack([filtered(i, h) for h in range(32)]) for i in range(4)]
    z = g[0]
    for i in range(3):
        z = g[i + 1] * (net.weight[i] @ z + net.bias[i])
    expected = net.output_weight @ z + net.output_bias
    rows, columns = torch.tensor([0.1, 0.3], dtype=torch.float64), torch.tensor([-0.7], dtype=torch.float64)
    assert torch.allclose(net(rows, columns)[:, 1, 0], expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kernel", KERNEL_NETS)
def test_a_mask_multiplies_the_kernel(kernel):
    net = KERNEL_NETS[kernel](6).double()
    rows, columns = torch.linspace(-1, 1, 5).double(), torch.linspace(-0.5, 0.5, 3).double()
    mask = torch.rand(5, 3).double()
    assert torch.allclose(net(rows, columns, mask), net(rows, columns) * mask, rtol=0, atol=1e-14)


def test_gamma_and_frequencies():
    nets = [MAGNet(1) for _ in range(200)]
    gamma = torch.stack([net.gamma for net in nets])
    for i, (shape, spread, frequency) in enumerate(
        zip((6, 3, 2, 1.5), (2.42, 1.76, 1.39, 1.22), (33.1, 17.6, 13.2, 9.9), strict=True)
    ):
        assert gamma[:, i].mean().item() == pytest.approx(shape, rel=0.03)
        assert gamma[:, i].std().item() == pytest.approx(spread, rel=0.05)
        assert gamma[:, i].std().item() == pytest.approx(math.sqrt(shape), rel=0.05)  # a Gamma variate's, rate 1
        assert torch.stack([net.frequency[i] for net in nets]).std().item() == pytest.approx(frequency, rel=0.05)


def test_a_frequency_is_tied_to_the_inverse_width_of_its_own_axis():
    net = MAGNet(1)
    ratio = (net.frequency / net.gamma).abs()
    assert 0.9 * 12.8 / math.sqrt(2) < ratio.max() <= 12.8 / math.sqrt(2) * (1 + 1e-6)


def test_bounds():
    net = MAGNet(2000, mu_scale=0.125)
    assert 0.115 < net.mu.abs().max() <= 0.125
    assert 3.0 < net.phase.abs().max() <= math.pi
    for values in (net.weight, net.bias, net.output_weight, net.output_bias):
        assert 0.9 / math.sqrt(32) < values.abs().max() <= 1 / math.sqrt(32)
    assert FlexConv(1, 1, horizon=5).kernel_net.mu.abs().max() <= 0.125025
    assert CKConv(1, 1, horizon=5).kernel_net.mu.abs().max() > 0.9


def test_gabor_is_isotropic_with_equal_filters():
    nets = [GaborNet(1) for _ in range(100)]
    gamma = torch.stack([net.gamma for net in nets])
    assert gamma.shape[2:] == (32, 1)
    for i in range(4):
        assert gamma[:, i].mean().item() == pytest.approx(1.5, rel=0.05)


def test_fourier_has_no_gaussian():
    net = FourierNet(1)
    assert not hasattr(net, "gamma")
    assert net.frequency.abs().max() <= 12.8 / math.sqrt(2)


def test_siren_bounds():
    net = KERNEL_NETS["siren"](500)
    assert 0.45 < net.weight1.abs().max() <= 0.5
    for weight in (net.weight2, net.output_weight):
        assert 0.95 * 0.01443 < weight.abs().max() <= 0.014434
    assert 0.9 / math.sqrt(32) < net.output_bias.abs().max() <= 1 / math.sqrt(32)


def test_initial_kernels_spread_as_the_published_ones():
    masked = torch.stack([FlexConv(24, 24, horizon=33).generate().std() for _ in range(10)])
    assert masked.mean().item() == pytest.approx(0.048, rel=0.1)
    plain = [CKConv(24, 24, horizon=33).generate() for _ in range(10)]
    assert torch.stack([kernel.std() for kernel in plain]).mean().item() == pytest.approx(0.106, rel=0.05)
    # Nearly all of it is the output bias, variance 1/96: kernels start almost constant in space.
    within = torch.stack([kernel.var((2, 3)).mean() / kernel.var() for kernel in plain]).mean().item()
    assert 1 - within == pytest.approx(0.94, abs=0.03)


def test_initial_output_of_the_stem():
    spread = [FlexConv(3, 24, horizon=33)(torch.randn(8, 3, 32, 32)).std() for _ in range(20)]
    assert torch.stack(spread).mean().item() == pytest.approx(0.41, rel=0.15)
