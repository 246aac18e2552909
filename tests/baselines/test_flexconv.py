"""FlexConv's cropping, mask and options, away from the published numbers."""

import math

import pytest
import torch

from baselines.flexconv import CKConv, FlexConv, cropped_size


@pytest.fixture(autouse=True)
def _seeded():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.mark.parametrize(("horizon", "size"), [(29, 5), (33, 5), (97, 15)])
def test_initial_size(horizon, size):
    layer = FlexConv(1, 1, horizon=horizon)
    assert layer.size == (size, size)
    assert layer.generate().shape == (1, 1, size, size)


@pytest.mark.parametrize(
    ("mean", "sigma", "size"),
    [
        (0.0, 0.4659, 31),  # full size is reached at 0.46599
        (0.0, 0.4661, 33),
        (0.0, 5.0, 33),
        (0.0, -0.075, 5),  # only squares of sigma are used
        (0.1, 0.075, 9),  # 0.26095 is 4.2 steps of 1/16: a shifted mean widens both sides
        (-0.1, 0.075, 9),
        (0.0, 1e-6, 1),
        (0.0, 0.0, 1),
        (float("nan"), 0.075, 33),
    ],
)
def test_kept_size(mean, sigma, size):
    assert cropped_size(mean, sigma, 33) == size


def test_kept_size_is_strict():
    reach = math.sqrt(-2 * math.log(0.1))
    assert cropped_size(0.0, 0.125 / reach, 33) == 3  # two steps exactly: the second point is not strictly inside


def test_kept_size_counts_the_points_above_the_threshold():
    points = torch.linspace(-1, 1, 33, dtype=torch.float64)
    for sigma in torch.linspace(0.01, 0.45, 89, dtype=torch.float64).tolist():
        inside = int((torch.exp(-0.5 * (points / sigma) ** 2) > 0.1).sum())
        assert cropped_size(0.0, sigma, 33) == inside


def test_initial_mask_values():
    layer = FlexConv(1, 1, horizon=33)
    values = layer.gaussian(torch.zeros(1), layer.coordinates(7))[0]
    assert values[3:].tolist() == pytest.approx([1, 0.7066, 0.2494, 0.0439], abs=5e-5)


def test_rows_and_columns_have_their_own_gaussian():
    layer = FlexConv(2, 3, horizon=33)
    with torch.no_grad():
        layer.mask.copy_(torch.tensor([[0.0, 0.2], [0.0, 0.05]]))
    assert layer.generate().shape == (3, 2, 13, 3)
    assert layer(torch.randn(2, 2, 16, 20)).shape == (2, 3, 16, 20)


@pytest.mark.parametrize("crop", ["after", "never"])
def test_where_the_crop_happens(crop):
    before, other = FlexConv(2, 3, horizon=17), FlexConv(2, 3, horizon=17, crop=crop)
    other.load_state_dict(before.state_dict())
    with torch.no_grad():
        for layer in (before, other):
            layer.mask.copy_(torch.tensor([[0.1, 0.2], [0.0, 0.3]]))
    expected, found = before.generate(), other.generate()
    if crop == "never":
        assert found.shape == (3, 2, 17, 17)
        found = found[..., (17 - before.size[0]) // 2 :, (17 - before.size[1]) // 2 :][
            ..., : before.size[0], : before.size[1]
        ]
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)
    gradients = [
        torch.autograd.grad(k.square().sum(), layer.mask)[0] for k, layer in ((expected, before), (found, other))
    ]
    assert torch.allclose(*gradients, rtol=1e-4)


@pytest.mark.parametrize("kernel", ["magnet", "siren"])
def test_stride_is_subsampling(kernel):
    layer = FlexConv(2, 3, horizon=9, kernel=kernel)
    x = torch.randn(1, 2, 9, 8)
    whole = layer(x)
    layer.stride = 2
    assert torch.allclose(layer(x), whole[..., ::2, ::2], rtol=0, atol=1e-5)
    layer.backend = "fft"
    assert torch.allclose(layer(x), whole[..., ::2, ::2], rtol=0, atol=1e-5)


def test_kernels_grow_when_the_task_wants_them_to():
    layer = FlexConv(1, 1, horizon=17)
    assert layer.size == (3, 3)
    images = torch.randn(32, 1, 16, 16)
    target = torch.nn.functional.avg_pool2d(images, (9, 1), 1, (4, 0), count_include_pad=True) * 3  # tall and thin
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        (layer(images) - target).square().mean().backward()
        optimizer.step()
    assert layer.size[0] > layer.size[1]
    assert layer.size[0] >= 7


def output_and_gradients(mask, **options):
    """Of one layer with the Gaussians [[m_y, s_y], [m_x, s_x]]."""
    torch.manual_seed(0)
    layer = FlexConv(2, 3, horizon=17, **options)
    with torch.no_grad():
        layer.mask.copy_(torch.tensor(mask))
    out = layer(torch.randn(2, 2, 16, 16))
    out.square().sum().backward()
    return [out.detach(), *(p.grad for p in layer.parameters())], layer


@pytest.mark.parametrize("mask", [[[0.0, 0.0], [0.0, 0.075]], [[0.05, 1e-25], [0.0, 0.075]]])
def test_near_zero_sigma_the_gradient_is_finite_only_with_the_guard(mask):
    free, _ = output_and_gradients(mask, sigma_guard=None)
    guarded, _ = output_and_gradients(mask)
    assert not all(values.isfinite().all() for values in free)
    assert all(values.isfinite().all() for values in guarded)


@pytest.mark.parametrize("mask", [[[0.0, 0.075], [0.01, -0.3]], [[0.3, 0.0011], [-0.1, 0.9]]])
def test_at_ordinary_sigma_the_guard_changes_no_bit(mask):
    free, plain = output_and_gradients(mask, sigma_guard=None)
    guarded, layer = output_and_gradients(mask)
    assert layer.size == plain.size
    assert all(torch.equal(a, b) for a, b in zip(free, guarded, strict=True))


@pytest.mark.parametrize("sigma", [3e-4, -3e-4, 0.0])
def test_below_the_bound_sigma_has_the_bounds_value_and_gradient(sigma):
    """d/ds exp(-m^2 / 2 s^2) = m^2 / s^3 exp(-m^2 / 2 s^2), at s = 0.001 (of sigma's sign) and m = 0.001."""
    layer = FlexConv(1, 1, horizon=9)
    with torch.no_grad():
        layer.mask.copy_(torch.tensor([[1e-3, sigma], [0.0, 0.075]]))
    value = layer.gaussian(torch.zeros(1), torch.zeros(1)).sum()
    value.backward()
    assert value.item() == pytest.approx(math.exp(-0.5), rel=1e-5)
    sign = math.copysign(1, sigma)
    assert layer.mask.grad[0, 1].item() == pytest.approx(sign * 1000 * math.exp(-0.5), rel=1e-4)


def test_kernels_are_drawn_in_full_precision_under_autocast():
    layer = FlexConv(2, 3, horizon=9)
    layer.keep_kernel = True
    expected = layer.generate()
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(torch.randn(1, 2, 8, 8))
    assert out.dtype == torch.bfloat16
    assert torch.equal(layer.kept_kernel, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 32}, "horizon 32 is no odd number"),
        ({"horizon": 1}, "horizon 1 is no odd number"),
        ({"horizon": 9, "kernel": "sirens"}, "no kernel 'sirens': choose one of magnet, gabor, fourier, siren"),
        ({"horizon": 9, "backend": "winograd"}, "no backend 'winograd'"),
        ({"horizon": 9, "crop": "always"}, "no crop 'always'"),
        ({"horizon": 9, "sigma_guard": 0.0}, "sigma_guard is 0.0: give a number above 0, or none"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        FlexConv(1, 1, **options)


def test_ckconv_has_neither_mask_nor_crop():
    layer = CKConv(2, 3, horizon=9)
    assert layer.generate().shape == (3, 2, 9, 9)
    assert "mask" not in dict(layer.named_parameters())
    assert "horizon=9" in repr(layer)
