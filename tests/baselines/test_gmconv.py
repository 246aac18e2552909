"""GMConv's mask by hand, its counts, a training step, and what it refuses."""

import math

import pytest
import torch
import torch.nn.functional as F

import baselines
from baselines.gmconv import GaussianMaskConv2d, gaussian_mask
from effconv import count_macs, count_parameters


def build(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return baselines.build("gmconv_resnet20", in_channels=3, num_classes=10, image_size=32, **options)


def test_the_mask_by_hand():
    mask = gaussian_mask(5, torch.tensor(2.0, dtype=torch.float64))
    assert mask[2, 2] == 1
    assert float(mask[2, 3]) == pytest.approx(math.exp(-1 / 8))
    assert float(mask[0, 4]) == pytest.approx(math.exp(-8 / 8))
    even = gaussian_mask(4, torch.tensor(1.0))
    assert float(even[1, 2]) == float(even[1, 1]) == pytest.approx(math.exp(-0.25))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [4, 7])
def test_a_layer_convolves_with_the_masked_kernel(size, stride):
    torch.manual_seed(0)
    layer = GaussianMaskConv2d(3, 5, size, stride)
    with torch.no_grad():
        layer.sigma.fill_(1.5)
    images = torch.randn(2, 3, 9, 9)
    kernel = layer.weight * gaussian_mask(size, torch.tensor(1.5))
    before = (size - 1) // 2
    expected = F.conv2d(F.pad(images, (before, size // 2, before, size // 2)), kernel, stride=stride)
    torch.testing.assert_close(layer(images), expected)


@pytest.mark.parametrize(
    ("options", "without"),
    [({"size": 3}, 269_722), ({"size": 7}, 1_457_562), ({"size": 7, "widths": (11, 23, 42)}, 658_751)],
)
def test_counts_are_the_plain_networks_and_a_sigma_a_layer(options, without):
    model = build(**options)
    assert count_parameters(model) == without + 18
    assert model.kernel_sizes == (options["size"],) * 18


def test_a_mask_costs_nothing_an_image():
    """Residual layers of 7x7: each 16 x 16 channels at 1024 pixels, as often in every stage but where it starts."""
    per_position = 1024 * (6 * 16 * 16) + 256 * (16 * 32 + 5 * 32 * 32) + 64 * (32 * 64 + 5 * 64 * 64)
    assert count_macs(build(), (3, 32, 32)) == 49 * per_position + 1024 * 27 * 16 + 640


def test_a_step_reaches_every_weight_and_sigma_and_lowers_the_loss():
    model = build(size=5, widths=(4, 4, 8))
    weights, masks = model.parameter_groups(None)
    assert len(masks["params"]) == 18 and masks["weight_decay"] == 0.0
    assert len(weights["params"]) + 18 == len(list(model.parameters()))
    optimizer = torch.optim.SGD([{"params": g["params"]} for g in (weights, masks)], lr=0.05)
    images = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(3):
        logits = model(images)
        assert logits.shape == (8, 10)
        loss = F.cross_entropy(logits, torch.arange(8))
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]
    assert all(float(sigma.detach()) != 5.0 for sigma in masks["params"])


def test_sigma_at_zero_still_has_a_gradient_and_a_kernel():
    sigma = torch.zeros((), requires_grad=True)
    mask = gaussian_mask(3, sigma)
    assert mask.detach().round(decimals=6).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    mask.sum().backward()
    assert sigma.grad.isfinite()


@pytest.mark.parametrize("size", [1, 0])
def test_a_kernel_without_a_mask_is_refused(size):
    with pytest.raises(ValueError, match=f"size is {size}: give kernels of 2x2 or larger"):
        build(size=size)
