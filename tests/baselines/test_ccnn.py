"""CCNN-4,140: its count by arithmetic, its kernels, its penalty, a step, and what it refuses."""

import math

import pytest
import torch

import baselines
from baselines.ccnn import DepthwiseFlexConv
from effconv import count_macs, count_parameters


def build(image_size=8, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return baselines.build("ccnn4_140", in_channels=3, num_classes=10, image_size=image_size, **options)


def images(count=4, side=8):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_count_by_arithmetic():
    """A kernel network of 32 hidden units is 4,064; 33 a channel for its output, one bias a channel, two widths."""
    separable = lambda inner, outer: 4064 + 33 * inner + inner + 2 + inner * outer + outer
    block = 2 * 140 + separable(140, 140) + 140 * 140 + 140
    assert count_parameters(build()) == separable(3, 140) + 2 * 140 + 4 * block + 2 * 140 + 1410 == 201_042


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["direct", "auto"])
def test_multiply_accumulates(backend):
    """A 33x33 kernel on each of 1024 pixels of 3 and four times 140 channels, nine 1x1 maps; kernels are drawn once besides."""
    with torch.device("meta"):
        macs = count_macs(build(32, backend=backend), (3, 32, 32))
    convolutions = 1024 * (33 * 33 * (3 + 4 * 140) + 3 * 140 + 8 * 140 * 140) + 1400
    assert convolutions < macs < 1.05 * convolutions


def test_sizes_start_whole_on_cifar10_and_small_elsewhere():
    assert build().kernel_sizes() == [[33, 33]] * 5
    assert build(sigma=0.075).kernel_sizes() == [[5, 5]] * 5


def test_the_gaussian_stays_centred_and_crops():
    layer = DepthwiseFlexConv(3, omega_0=10.0, sigma=0.75, backend="direct")
    assert [name for name, _ in layer.named_parameters() if "kernel_net" not in name] == ["bias", "widths"]
    with torch.no_grad():
        layer.widths.copy_(torch.tensor([0.2, 0.1]))
    kernel = layer.generate().detach()
    assert kernel.shape == (3, 1, 13, 7)  # 2.146 x 0.2 x 16 = 6.87 and 3.43 cells: 6 and 3 on either side
    free = layer.kernel_net(layer.coordinates(13), layer.coordinates(7)).view_as(kernel).detach()
    expected = math.exp(-0.5 * ((3 / 16 / 0.2) ** 2 + (2 / 16 / 0.1) ** 2))
    assert float(kernel[0, 0, 9, 5] / free[0, 0, 9, 5]) == pytest.approx(expected, rel=1e-4)


def test_each_channel_has_its_own_kernel():
    layer = DepthwiseFlexConv(3, omega_0=10.0, sigma=0.1, backend="direct")
    signal = torch.zeros(1, 3, 9, 9)
    signal[0, 1, 4, 4] = 1.0
    out, kernel = layer(signal), layer.generate()
    assert not out[0, 0].any() and not out[0, 2].any()
    side = kernel.shape[-1]
    torch.testing.assert_close(
        out[0, 1, 4 - side // 2 : 5 + side // 2, 4 - side // 2 : 5 + side // 2], kernel[1, 0].flip(0, 1)
    )


@torch.no_grad()
def test_initial_kernels_carry_their_cells():
    """The last map is scaled by 1 / sqrt(cells), so that a whole grid does not start louder than a crop."""
    whole, crop = (DepthwiseFlexConv(400, omega_0=10.0, sigma=s, backend="direct").kernel_net for s in (0.75, 0.075))
    ratio = float(crop.output_weight.std() / whole.output_weight.std())
    assert ratio == pytest.approx(33 / 5, rel=0.03)
    assert whole.bias.eq(1).all() and not whole.output_bias.any() and not whole.phase.any()


def test_penalty_by_hand():
    model = build(norm_penalty=0.5)
    model(images())
    kernels = [layer.generate() for layer in model.layers()]
    others = [p for name, p in model.named_parameters() if "kernel_net" not in name]
    expected = 0.5 * sum(float(values.detach().norm()) for values in (*kernels, *others))
    assert float(model.penalty().detach()) == pytest.approx(expected, rel=1e-5)
    assert float(build(norm_penalty=0.0).penalty().detach()) == 0


@pytest.mark.parametrize("options", [{}, {"backend": "auto", "drop_maps": False, "sigma": 0.075, "norm_penalty": 0.0}])
def test_a_step_reaches_every_parameter_and_lowers_the_loss(options):
    model = build(omega_0=50.0, **options)
    for module in model.modules():
        if isinstance(module, (torch.nn.Dropout, torch.nn.Dropout2d)):
            module.p = 0.0
    (group,) = model.parameter_groups(None)
    assert len(group["params"]) == len(list(model.parameters()))
    optimizer = torch.optim.Adam(group["params"], lr=1e-3)
    losses = []
    for _ in range(3):
        logits = model(images())
        assert logits.shape == (4, 10)
        loss = torch.nn.functional.cross_entropy(logits, torch.arange(4)) + model.penalty()
        optimizer.zero_grad()
        loss.backward()
        # A kernel of one cell, at the grid's centre, has no width to learn; no gradient is missing or not finite.
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_both_convolutions_are_timed_at_the_initial_sizes():
    model = build(backend="auto", sigma=0.075)
    assert model.timed_backends == ("direct", "auto")
    with torch.no_grad():
        model.layers()[0].widths.fill_(0.3)
    model.pretend_sizes("end")
    model.decide()
    assert model.kernel_sizes() == [[5, 5]] * 5
    with pytest.raises(ValueError, match="no position 'late'"):
        model.pretend_sizes("late")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": 0.0}, "sigma is 0.0: give a number above 0"),
        ({"omega_0": -1.0}, "omega_0 is -1.0: give a number above 0"),
        ({"backend": "winograd"}, "no backend 'winograd'"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
