"""FlexConv and CKConv against numbers computed with the authors' published code, in float64 (torch 2.13, CPU).

Parameters are filled with sines and cosines of their indices, so that any implementation can repeat it.
"""

import pytest
import torch

from baselines.flexconv import CKConv, FlexConv


def indices(*shape):
    """One index grid (float64) an axis."""
    return torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in shape), indexing="ij")


def fill_filter_net(net):
    """The kernel network's filters and hidden maps."""
    filter_, h, d = indices(4, 32, 2)
    net.frequency.copy_(3 * torch.sin(h + 2 * d + filter_))
    net.phase.copy_(torch.cos(h + filter_)[..., 0])
    if hasattr(net, "mu"):
        net.mu.copy_(0.1 * torch.sin(3 * h + d + filter_))
        net.gamma.copy_((1 + 0.5 * torch.cos(h + d + 2 * filter_))[..., : net.gamma.shape[-1]])
    map_, o, i = indices(3, 32, 32)
    net.weight.copy_(0.1 * torch.sin(0.3 * o + 0.7 * i + map_))
    net.bias.copy_(0.05 * torch.cos(o + map_)[..., 0])


def fill_siren(net):
    h, d = indices(32, 2)
    net.weight1.copy_(0.5 * torch.sin(h + 2 * d))
    net.bias1.copy_(0.3 * torch.cos(h[:, 0]))
    o, i = indices(32, 32)
    net.weight2.copy_(0.01 * torch.sin(0.3 * o + 0.7 * i))
    net.bias2.copy_(0.05 * torch.cos(o[:, 0] + 1))


@torch.no_grad()
def filled(layer):
    layer = layer.double()
    net = layer.kernel_net
    (fill_siren if hasattr(net, "omega_0") else fill_filter_net)(net)
    n, h = indices(12, 32)
    net.output_weight.copy_(0.1 * torch.cos(0.2 * n + 0.5 * h))
    net.output_bias.copy_(0.02 * torch.sin(n[:, 0]))
    layer.bias.copy_(0.01 * torch.arange(4, dtype=torch.float64))
    if hasattr(layer, "mask"):
        layer.mask.copy_(torch.tensor([[0.1, 0.3], [-0.05, 0.2]], dtype=torch.float64))
    return layer


def picture():
    b, c, r, q = indices(2, 3, 32, 32)
    return torch.sin(0.1 * r + 0.2 * q + c + b)


# kernel, masked: sides; K[0,0,centre], K[3,2,0,0], sum and norm of K; y[0,0,0,0], y[1,3,31,31], y[0,2,16,10]; gradient of the mask
VECTORS = {
    ("magnet", True): (
        (23, 15), (-0.0028532098, -6.4071805793e-05, -2.3503458574, 0.3778150588),
        (0.5664261516, 0.6933346700, -0.8379519972), ((-0.02663694, 9.25589628), (0.22651023, 11.46554805)),
    ),
    ("gabor", True): (
        (23, 15), (-0.0028929964, -6.5775960046e-05, -2.4271667297, 0.3781279147),
        (0.5543778301, 0.6927603189, -0.8301395793), ((-0.01493395, 9.24664059), (0.23436829, 11.44338507)),
    ),
    ("siren", True): (
        (23, 15), (0.4378497435, -4.7048378199e-04, 0.4538951215, 7.7097290965),
        (-2.1658366753, 1.1774504785, -3.1202011091), ((-2.23430895, 34.56929647), (26.74267747, 49.95385946)),
    ),
    ("magnet", False): (
        (33, 33), (-0.0031119520, -1.5972654049e-02, 3.0304696655, 1.7026470151),
        (-3.1216061490, 3.2309869787, 1.1266800716), None,
    ),
    ("siren", False): (
        (33, 33), (0.4775559643, -4.6718258488e-02, -101.7431938408, 27.4845914596),
        (11.6479824230, 14.4787931349, 11.9904849239), None,
    ),
}  # fmt: skip


def printed(expected):
    """Equal to as many digits as are given: ten decimals, or eleven significant ones of a power of ten."""
    return pytest.approx(expected, abs=0.51e-10 if abs(expected) > 0.1 or round(expected, 10) == expected else 0.51e-12)


@pytest.mark.parametrize("backend", ["direct", "fft"])
@pytest.mark.parametrize(
    ("kernel", "masked", "crop"),
    [(*case, crop) for case in VECTORS for crop in (("before", "after") if case[1] else (None,))],
)
def test_against_the_published_code(kernel, masked, crop, backend):
    shape, kernel_values, outputs, mask_gradient = VECTORS[kernel, masked]
    options = {"horizon": 33, "kernel": kernel, "backend": backend}
    layer = filled(FlexConv(3, 4, crop=crop, **options) if masked else CKConv(3, 4, **options))
    k = layer.generate()
    assert k.shape == (4, 3, *shape)
    found = (k[0, 0, shape[0] // 2, shape[1] // 2], k[3, 2, 0, 0], k.sum(), k.norm())
    for value, expected in zip(found, kernel_values, strict=True):
        assert value.item() == printed(expected)
    y = layer(picture())
    for value, expected in zip((y[0, 0, 0, 0], y[1, 3, 31, 31], y[0, 2, 16, 10]), outputs, strict=True):
        assert value.item() == printed(expected)
    if masked:
        y.square().mean().backward()
        assert torch.allclose(layer.mask.grad, torch.tensor(mask_gradient, dtype=torch.float64), rtol=0, atol=0.51e-8)
