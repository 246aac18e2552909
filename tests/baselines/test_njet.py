"""The N-Jet layer against SciPy's Gaussian derivatives, and its two ways of computing against each other."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import baselines
from baselines.njet import NJetConv2d, NJetNetwork, orders, profiles

SIDES = {0.5: 5, 1.0: 7, 1.5: 9, 2.0: 11, 4.0: 19}  # of a kernel, by sigma


def layer(sigma: float = 1.0, order: int = 2, inner: int = 2, outer: int = 3, **options) -> NJetConv2d:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = NJetConv2d(inner, outer, order=order, **options).double()
    made.sigma_now = sigma
    with torch.no_grad():
        made.scale.fill_(sigma).log2_()
    return made


def scipys(sigma: float, radius: int, order: int) -> np.ndarray:
    """Row m: sigma^m times SciPy's derivative of order m of a Gaussian, as its response to a unit impulse."""
    from scipy.ndimage import gaussian_filter1d

    impulse = np.zeros(4 * radius + 1)
    impulse[2 * radius] = 1
    found = [sigma**m * gaussian_filter1d(impulse, sigma, order=m, radius=radius) for m in range(order + 1)]
    return np.stack(found)[:, radius : 3 * radius + 1]


@pytest.mark.parametrize("sigma", SIDES)
@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_profiles_are_scipys_gaussian_derivatives(sigma, order):
    radius = SIDES[sigma] // 2
    found = profiles(torch.tensor(sigma, dtype=torch.float64), radius, order)
    assert found.shape == (order + 1, 2 * radius + 1)
    assert found.numpy() == pytest.approx(scipys(sigma, radius, order), abs=1e-15)


def test_third_derivative_by_hand():
    # sigma 1 and unit sum over all integers: g''' = (3x - x^3) g, g = e^(-x^2/2) / 2.5066283.
    found = profiles(torch.tensor(1.0, dtype=torch.float64), 12, 3)[3, 12:15]
    assert found.tolist() == pytest.approx([0, 2 * 0.24197072, -2 * 0.05399097], abs=1e-6)


@pytest.mark.parametrize(("sigma", "side"), SIDES.items())
def test_the_kernels_side_follows_sigma(sigma, side):
    assert layer(sigma).kernel().shape == (3, 2, side, side)


@pytest.mark.parametrize(("sigma", "energy"), [(0.5, 1.59), (1.0, 0.30), (2.0, 0.076), (4.0, 0.020)])
def test_energy_of_the_basis(sigma, energy):
    found = layer(sigma, inner=6, outer=1)
    with torch.no_grad():
        found.alpha.copy_(torch.eye(6)[:, :, None])
    assert found.kernel().square().sum().item() == pytest.approx(energy, rel=0.02)


def test_a_kernel_is_the_combination_of_two_dimensional_derivatives():
    from scipy.ndimage import gaussian_filter

    found = layer(1.5, order=3)
    impulse = np.zeros((17, 17))
    impulse[8, 8] = 1
    expected = 0
    for alpha, (i, j) in zip(found.alpha[:, 1, 2].tolist(), orders(3), strict=True):
        expected = expected + alpha * 1.5 ** (i + j) * gaussian_filter(impulse, 1.5, order=(j, i), radius=4)
    assert found.kernel()[2, 1].detach().numpy() == pytest.approx(expected[4:13, 4:13], abs=1e-14)
    assert len(orders(3)) == 10


@pytest.mark.parametrize("sigma", [0.4, 1.0, 1.7, 5.0])
@pytest.mark.parametrize(("order", "stride", "size"), [(2, 1, (9, 7)), (3, 2, (8, 9))])
def test_without_its_kernel_a_layer_computes_the_same(sigma, order, stride, size):
    images = torch.randn(2, 2, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    outputs = []
    for backend in ("direct", "basis"):
        one = layer(sigma, order, stride=stride, backend=backend)
        output = one(images)
        output.square().sum().backward()
        outputs.append((output.detach(), one.alpha.grad, one.scale.grad))
    assert outputs[0][0].shape == (2, 3, -(-size[0] // stride), -(-size[1] // stride))
    for one, other in zip(*outputs, strict=True):
        assert torch.allclose(one, other, rtol=1e-10, atol=1e-10)
        assert one.abs().sum() > 0


def test_safe_subsampling_starts_beyond_sigma_2():
    images = torch.randn(1, 2, 12, 12, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert layer(2.0, subsample=True)(images).shape[-2:] == (12, 12)
    wide = layer(3.0, subsample=True)
    assert wide(images).shape[-2:] == (6, 6)  # 2^3 / 4 = 2
    expected = F.conv2d(images[:, :, ::2, ::2], wide.kernel(), padding=wide.radius)
    assert torch.allclose(wide(images), expected)


def network(**arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return baselines.build("njetnet_resnet32", in_channels=3, num_classes=10, image_size=8, **arguments)


def test_resnet32_keeps_its_strides_and_has_31_layers():
    model = network()
    layers = model.layers()
    assert len(layers) == 31 and {one.order for one in layers} == {3}
    assert [i for i, one in enumerate(layers) if one.stride == 2] == [11, 21]
    assert model.kernel_sizes() == [7] * 31
    assert model.channels_last and not network(backend="basis").channels_last


def test_scales_are_learned_and_decide_the_sizes_of_the_next_pass():
    model, images = network(), torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    model(images).square().sum().backward()
    assert all(one.scale.grad.abs() > 0 for one in model.layers())
    with torch.no_grad():
        model.layers()[4].scale.fill_(1.0)
    assert model.kernel_sizes() == [7] * 31
    model(images)
    assert model.kernel_sizes() == [7] * 4 + [11] + [7] * 26
    other = network()
    other.load_state_dict(model.state_dict())
    assert other.kernel_sizes() == model.kernel_sizes()


def test_one_transfer_for_many_steps_off_the_cpu(monkeypatch):
    decided = []
    monkeypatch.setattr(NJetNetwork, "decide", lambda self: decided.append(self._passes))
    with torch.device("meta"):
        model, images = NJetNetwork(NJetConv2d(1, 1, order=1)), torch.empty(1, 1, 4, 4)
        for _ in range(21):
            model(images)
        model.eval()
        for _ in range(3):
            model(images)
    assert decided == [0, 10, 20, 0]


def test_allcnn_dropout_stands_where_the_strided_layers_were():
    with torch.device("meta"):
        model = baselines.build("njetnet_allcnn", in_channels=3, num_classes=10, image_size=32)
    drops = [(i, m.p) for i, m in enumerate(model.network) if isinstance(m, torch.nn.Dropout)]
    assert [p for _, p in drops] == [0.2, 0.5, 0.5]
    assert all(one.subsample for one in model.layers()) and len(model.layers()) == 5


def test_auto_takes_the_basis_where_it_saves_a_factor_of_five(monkeypatch):
    taken = []
    monkeypatch.setattr(NJetConv2d, "by_basis", lambda self, images: taken.append(self) or images[:, :1])
    wide, narrow = (NJetConv2d(1, outer, order=2, backend="auto") for outer in (192, 16))
    # For an input channel and a place: 49 x 192 against 6 x 192 + (6 + 3) x 32, 6.5 times fewer; for 16 outputs 2.0 times.
    assert (wide.saving(32), narrow.saving(32)) == pytest.approx((9408 / 1440, 784 / 384))
    for one in (wide, narrow):
        one(torch.zeros(1, 1, 32, 32))
    assert taken == [wide]


def test_the_backend_of_a_network_is_that_of_its_layers():
    model = network()
    assert model.backend == "direct"
    images = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    model.eval()
    before = model(images)
    model.backend = "basis"
    assert {one.backend for one in model.layers()} == {"basis"}
    assert torch.allclose(model(images), before, rtol=1e-3, atol=1e-3)
