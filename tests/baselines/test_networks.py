"""ResNet-18, the wide ResNets and the networks with replaced convolutions: structure and outputs."""

import pytest
import torch
from torch import nn

import baselines


def build(name, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return baselines.build(name, in_channels=3, num_classes=10, **{"image_size": 32, **options})


def test_resnet18_equals_torchvisions():
    import torchvision

    with torch.random.fork_rng():
        theirs = torchvision.models.resnet18(num_classes=10)
    ours = build("resnet18", image_size=96)
    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(ours.eval()(images), theirs.eval()(images), atol=1e-5)


def test_resnet18_starts_every_batch_norm_at_one():
    norms = [m for m in build("resnet18").modules() if isinstance(m, nn.BatchNorm2d)]
    assert all((m.weight == 1).all() for m in norms)


def test_kernel_sizes_reach_the_backbones():
    assert build("cifar_resnet20", kernel_sizes=[5] * 18).kernel_sizes == (5,) * 18
    assert build("wrn28_1", kernel_sizes=list(range(1, 5)) * 6).kernel_sizes == (1, 2, 3, 4) * 6
    assert build("cifar_resnet20").kernel_sizes == (3,) * 18


def test_chrabaszcz_block_by_block():
    network = build("wrn28_1_chrabaszcz")
    blocks = list(network.blocks)
    assert len(blocks) == 12
    assert blocks[0].norm1 is None and all(b.norm1 is not None for b in blocks[1:])
    projected = [isinstance(b.shortcut, nn.Conv2d) for b in blocks]
    assert projected == [True, False, False, False] * 3
    assert all(b.conv2.bias is not None and b.conv1.bias is None for b in blocks)
    assert [b.conv1.stride[0] for b in blocks] == [1] * 4 + [2, 1, 1, 1] * 2
    # The shortcut takes the block's input before its batch norm: with a silent branch a block is its projection.
    block = blocks[4].eval()
    nn.init.zeros_(block.conv2.weight)
    x = torch.randn(1, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(block(x), block.shortcut(x))


def test_chrabaszcz_initialisation():
    network = build("wrn28_1_chrabaszcz")
    weight = network.blocks[-1].conv1.weight
    assert weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)
    assert not network.head.bias.any() and not network.blocks[0].conv2.bias.any()


@pytest.mark.parametrize("name", ["resnet44_ckconv", "resnet44_flexconv"])
def test_resnet44_has_no_ordinary_convolution_left(name):
    model = build(name)
    assert not any(isinstance(m, nn.Conv2d) for m in model.modules())
    layers = model.layers()
    assert len(layers) == 43
    assert [i for i, layer in enumerate(layers) if layer.stride == 2] == [15, 29]  # first of stages two and three
    assert {layer.horizon for layer in layers} == ({3} if name == "resnet44_ckconv" else {33})


@pytest.mark.parametrize("name", ["flexnet5", "ckcnn16", "resnet44_flexconv", "resnet44_ckconv", "wrn28_1_chrabaszcz"])
def test_one_step_reaches_every_parameter(name):
    model = build(name, image_size=8)
    images = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.random.fork_rng():
        logits = model(images)
    logits.square().mean().backward()
    assert logits.shape == (4, 10)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_flexnet_dropout_and_head():
    network = build("flexnet16").network
    assert [m.p for m in network.modules() if isinstance(m, nn.Dropout)] == [0.2] * 7
    assert not network.head.bias.any()
    assert network.head.weight.std().item() == pytest.approx((2 / 48) ** 0.5, rel=0.15)


def test_the_same_seed_builds_the_same_network():
    first, second = build("flexnet3"), build("flexnet3")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
