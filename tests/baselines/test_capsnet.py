"""Efficient-CapsNet's own operations against values worked out by hand; NIN's and VGG-5's details."""

import math

import pytest
import torch
from torch import nn

import baselines
from baselines.efficient_capsnet import he_normal_, lengths, margin_loss, route, squash

MNIST = {"in_channels": 1, "num_classes": 10, "image_size": 28}


def build(name, **arguments):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return baselines.build(name, **MNIST, **arguments)


def images(count=4):
    return torch.rand(count, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_squash_by_hand():
    # Length 5, so (1 - e^-5) (3/5, 4/5).
    assert squash(torch.tensor([3.0, 4.0])).tolist() == pytest.approx([0.5959572, 0.7946096], rel=1e-6)
    zero = torch.zeros(2, requires_grad=True)
    squash(zero).sum().backward()
    assert zero.grad.isfinite().all()


def test_routing_by_hand():
    # Two parents, two children, capsules of length 1. Children say 1 and 2 of the first parent, 0 and 1 of the second.
    predictions = torch.tensor([[[[1.0], [2.0]], [[0.0], [1.0]]]])
    prior = torch.tensor([[0.1, 0.0], [0.0, 0.0]])
    # Row sums of the Gram matrices: 1 x 3 and 2 x 3; 0 x 1 and 1 x 1. Softmax over the parents, child by child:
    first = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(-5))
    into = (first[0] + 0.1) * 1 + first[1] * 2, (1 - first[0]) * 0 + (1 - first[1]) * 1
    assert into == pytest.approx((3.0391885, 0.0066929), rel=1e-5)
    # Squashed: 1 - e^-3.0391885 and 1 - e^-0.0066929.
    assert route(predictions, prior).flatten().tolist() == pytest.approx([0.9521262, 0.0066705], rel=1e-5)


def test_routing_is_that_of_the_gram_matrix():
    draw = torch.Generator().manual_seed(0)
    u = torch.randn(3, 5, 4, 16, generator=draw)  # images, parents, children, length
    prior = torch.randn(5, 4, generator=draw)
    gram = u @ u.transpose(2, 3) / 4  # sqrt(16)
    shares = gram.sum(3).softmax(1) + prior
    expected = squash(torch.einsum("bki,bkid->bkd", shares, u))
    assert torch.allclose(route(u, prior), expected, atol=1e-6)


def test_margin_loss_by_hand():
    # The true class 0.4 short of 0.9; the other 0.2 over 0.1, at half the weight.
    assert margin_loss(torch.tensor([[0.5, 0.3]]), torch.tensor([0])).item() == pytest.approx(0.16 + 0.02)
    assert margin_loss(torch.tensor([[0.95, 0.05]]), torch.tensor([0])).item() == 0


def test_capsnet_loss_is_margin_and_reconstruction_of_the_true_class():
    model, x, y = build("efficient_capsnet"), images(), torch.tensor([3, 1, 4, 1])
    model.eval()
    loss, logits = model.training_loss(x, y)
    capsules = model.capsules(x)
    masked = torch.zeros_like(capsules)
    masked[torch.arange(4), y] = capsules[torch.arange(4), y]
    error = (model.decoder(masked.flatten(1)) - x.flatten(1)).square().mean()
    assert loss.item() == pytest.approx((margin_loss(logits, y) + 0.392 * error).item(), rel=1e-6)
    assert torch.equal(logits, model(x)) and torch.allclose(logits, lengths(capsules))
    assert (logits < 1).all()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_capsnet_layers():
    model = build("efficient_capsnet")
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert [(n.num_features, n.eps, n.momentum) for n in norms] == [(f, 1e-3, 0.01) for f in (32, 64, 64, 128)]
    kinds = [type(m).__name__ for m in model.features]
    assert kinds == ["Conv2d", "ReLU", "BatchNorm2d"] * 4 + ["Conv2d"]
    assert model.features[-1].weight.shape == (128, 1, 9, 9)
    assert model.features[-1].weight.abs().max().item() == pytest.approx(0.0240, abs=1e-4)
    assert model.weight.std().item() == pytest.approx(0.0395, rel=0.02)
    assert not model.prior.any()
    assert sum(p.numel() for p in model.decoder.parameters()) == 1_411_344


def test_the_truncated_normal_has_the_variance_after_the_cut():
    weight = torch.empty(200_000)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        he_normal_(weight, 50)
    assert weight.std().item() == pytest.approx((2 / 50) ** 0.5, rel=0.01)
    assert weight.abs().max() <= 2 * 0.2 / 0.8796


def test_nin_starts_as_published_and_its_rates_are_by_layer():
    model = build("network_in_network")
    convolutions = model.convolutions()
    assert [c.kernel_size[0] for c in convolutions] == [5, 1, 1] * 3
    assert convolutions[3].weight.std().item() == pytest.approx(0.05, rel=0.02)
    assert all(not c.bias.any() for c in convolutions)
    groups = {
        g["name"]: (len(g["params"]), g.get("lr_factor", 1), g.get("weight_decay"))
        for g in model.parameter_groups(None)
    }
    assert groups == {
        "weights": (8, 1, None), "biases": (8, 2.0, 0.0), "last weights": (1, 0.1, None), "last biases": (1, 0.2, 0.0),
    }  # fmt: skip
    [plain] = build("network_in_network", layer_rates=False).parameter_groups(None)
    assert len(plain["params"]) == 18 and "weight_decay" not in plain
    he = build("network_in_network", initial="he").convolutions()[3].weight
    assert he.std().item() == pytest.approx((2 / (48 * 25)) ** 0.5, rel=0.02)


def test_nin_maps_and_mean():
    model = build("network_in_network").eval()
    sides = []
    for module in model.features:
        if isinstance(module, nn.MaxPool2d):
            module.register_forward_hook(lambda m, i, o: sides.append(o.shape[-1]))
    assert (model(images()) >= 0).all()
    assert sides == [14, 7]  # 13.5 and 6.5, partial windows counted


def test_vgg5_initialisation_and_maps():
    model = build("vgg5").eval()
    convolutions = [m for m in model if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64, 64, 128, 128] + [256] * 6
    for conv in convolutions[1:]:
        assert conv.weight.std().item() == pytest.approx((2 / (9 * conv.out_channels)) ** 0.5, rel=0.03)
    assert [m.p for m in model if isinstance(m, nn.Dropout)] == [0.5, 0.5]
    x = images()
    assert model[:-7](x).shape == (4, 256, 1, 1)
    assert model(x).shape == (4, 10)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("efficient_capsnet", {"reconstruction": -1.0}, "reconstruction is -1.0: give a weight from 0 up"),
        ("efficient_capsnet", {"image_size": 10}, "needs at least 11 pixels"),
        ("network_in_network", {"initial": "zero"}, "initial is 'zero': choose one of normal, he"),
        ("vgg5", {"image_size": 15}, "needs at least 16 pixels"),
        ("vgg5", {"spinal": True}, "system 'vgg5' has no argument 'spinal'"),
        ("njet_nin", {"order": 5}, "order is 5: choose 1, 2, 3 or 4"),
        ("njetnet_resnet32", {"backend": "fft"}, "backend is 'fft': choose one of direct, basis, auto"),
        ("dcn_sigma_ji", {"gradient": "none"}, "gradient is 'none': choose one of direct, adjoint"),
        ("dcn_sigma_ji", {"tolerance": 0.0}, "tolerance is 0.0 and max_steps 100: give numbers above 0"),
    ],
)
def test_a_wrong_option_is_one_sentence(name, arguments, words):
    with torch.device("meta"), pytest.raises(ValueError, match=words) as caught:
        baselines.build(name, **{**MNIST, **arguments})
    assert "\n" not in str(caught.value)
