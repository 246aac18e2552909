"""DCLS and SMPConv: counts to the unit, kernels by hand, gradients, rules of training, bad input."""

import pytest
import torch
import torch.nn.functional as F

import baselines
from baselines.dcls import DclsConv2d, dense_kernel
from baselines.smpconv import PointConv2d, point_kernel
from effconv import count_macs, count_parameters
from workflow.protocol.recipes import recipe

CIFAR = {"in_channels": 3, "num_classes": 10, "image_size": 32}


@pytest.mark.parametrize(
    ("system", "arguments", "parameters"),
    [
        ("dcls_resnet20", {}, 626_074),  # 3 x 7 numbers a channel pair
        (
            "dcls_resnet20",
            {"count": 9, "shared": True, "widths": [25, 50, 100]},
            656_659,
        ),  # the 3x3 network's 656,335 + 18 x 18
        ("smpconv490k", {}, 490_174),
    ],
)
def test_parameters(system, arguments, parameters):
    with torch.random.fork_rng(devices=[]):
        assert count_parameters(baselines.build(system, **CIFAR, **arguments)) == parameters


def test_dcls_macs_are_those_of_its_dense_kernels():
    with torch.random.fork_rng(devices=[]):
        model = baselines.build("dcls_resnet20", **CIFAR)
        uniform = baselines.build("cifar_resnet20", **CIFAR, kernel_sizes=[7] * 18)
    assert count_macs(model, (3, 32, 32)) == count_macs(uniform, (3, 32, 32)) and model.kernel_sizes == (7,) * 18


def test_a_moved_weight_by_hand():
    weight = torch.tensor([[[2.0]]])
    # Half a pixel down and a quarter to the left of the middle of a 3 x 3 window.
    kernel = dense_kernel(weight, torch.tensor([[[[0.5]]], [[[-0.25]]]]), 3)[0, 0]
    assert kernel.tolist() == [[0, 0, 0], [0.25, 0.75, 0], [0.25, 0.75, 0]]
    # In the window the shares of a weight sum to one.
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 3, 4, generator=generator)
    positions = (torch.rand(2, 2, 3, 4, generator=generator) - 0.5) * 4
    torch.testing.assert_close(dense_kernel(weights, positions, 5).sum((2, 3)), weights.sum(2))


def test_positions_learn_stay_inside_and_have_rules_of_their_own():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv = DclsConv2d(2, 3, 2, count=4, size=5, shared=False)
        model = baselines.build("dcls_resnet20", **CIFAR)
    images = torch.randn(2, 2, 9, 9, generator=torch.Generator().manual_seed(0))
    conv(images).square().sum().backward()
    assert conv(images).shape == (2, 3, 5, 5) and (conv.positions.grad != 0).float().mean() > 0.9
    with torch.no_grad():
        conv.positions.add_(10)
    # All in one corner of the window, also where the last update has just pushed them out; and put back by the next training step.
    expected = torch.zeros(3, 2, 5, 5)
    expected[:, :, 4, 4] = conv.values.detach().sum(2)
    torch.testing.assert_close(conv.eval().weight, expected)
    conv.train()(images)
    assert float(conv.positions.detach().max()) == 2
    weights, positions = model.parameter_groups(recipe("resnet_sgd", "cifar10"))
    assert positions["lr_factor"] == 5 and positions["weight_decay"] == 0 and len(positions["params"]) == 18
    assert len(weights["params"]) + 18 == len(list(model.parameters()))
    with pytest.raises(ValueError, match="odd window"):
        DclsConv2d(2, 3, 1, count=4, size=4, shared=True)


def test_a_kernel_of_points_by_hand():
    # Two points for one output of two inputs on a 3 x 3 grid (coordinates -1, 0, 1): one in the middle, one at the top middle.
    weights = torch.tensor([[[1.0, 10.0], [2.0, 20.0]]])
    kernel = point_kernel(weights, torch.tensor([[[0.0, 0.0], [-1.0, 0.0]]]), torch.tensor([[2.0, 1.0]]), 3)
    # |x|_1 / 2 of the first point reaches the middle (1), the four beside it (1/2), the corners are just out of reach (0);
    # the second reaches only its own place (1), where both count, so that their mean is taken.
    expected = torch.tensor([[0.0, (0.5 + 10) / 2, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 0.0]])
    torch.testing.assert_close(kernel, torch.stack([expected, 2 * expected])[None])


def test_a_point_convolution_is_the_convolution_with_its_kernel():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv = PointConv2d(2, 3, points=5, side=9, radius=0.6)
    images = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    kernel = point_kernel(conv.weights, conv.positions, conv.radii, 9)
    torch.testing.assert_close(conv(images), F.conv2d(images, kernel, conv.bias, padding=4), rtol=1e-4, atol=1e-6)
    conv(images).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in conv.parameters())


@pytest.mark.parametrize("shape", [(24, 5), (5, 24)])
def test_a_point_kernel_reaches_over_images_that_are_not_square(shape):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        conv, images = PointConv2d(2, 3, points=5, side=33, radius=0.6), torch.randn(2, 2, *shape)
    kernel = point_kernel(conv.weights, conv.positions, conv.radii.clamp(1e-4, 1), 33)
    direct = torch.nn.functional.conv2d(images, kernel, conv.bias, padding=16)
    torch.testing.assert_close(conv(images), direct, rtol=1e-4, atol=1e-5)


def test_smpconvs_groups_follow_its_recipe():
    with torch.random.fork_rng(devices=[]):
        model = baselines.build("smpconv490k", **CIFAR)
    rule = recipe("smpconv_adam", "cifar10")
    assert (rule.lr, rule.batch_size, rule.epochs, rule.warmup_epochs, rule.weight_decay) == (0.005, 64, 210, 10, 1e-5)
    weights, free, radii = model.parameter_groups(rule)
    assert sum(len(group["params"]) for group in (weights, free, radii)) == len(list(model.parameters()))
    assert (
        radii["lr_factor"] == 0.1 and len(radii["params"]) == 15 and radii["weight_decay"] == free["weight_decay"] == 0
    )
