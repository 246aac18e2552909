"""The article's networks: weights counted by hand, output shapes, what separable means, bad input."""

import pytest
import torch
from torch import nn

import baselines


def build(name, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return baselines.build(name, **{"in_channels": 3, "num_classes": 10, "image_size": 32, **options})


# By hand at 32 channels: stem 27 * 32 = 864 and its norm 64; classifier 32 * 10 + 10 = 330; each unit has a norm of 64.
@pytest.mark.parametrize(
    "name, expected",
    [
        ("article_stacked3", 864 + 64 + 4 * (9 * 1024 + 64) + 330),
        ("article_single5", 864 + 64 + 2 * (25 * 1024 + 64) + 330),
        ("article_separable3", 864 + 64 + 4 * (32 * 9 + 1024 + 64) + 330),
    ],
)
def test_weights_by_hand(name, expected):
    network = build(name)
    assert sum(p.numel() for p in network.parameters()) == expected
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", ["article_stacked3", "article_single5", "article_separable3"])
def test_blocks_halve_the_image_and_see_five_pixels_each(name):
    network = build(name, channels=4).eval()
    for module in network.modules():  # positive weights and linear units: no path cancels another
        if isinstance(module, nn.Conv2d):
            nn.init.ones_(module.weight)
    image = torch.ones(1, 4, 16, 16, requires_grad=True)
    out = network.blocks[0][:-1](image)  # without the pooling
    assert out.shape == (1, 4, 16, 16) and network.blocks(image).shape == (1, 4, 4, 4)
    out[0, 0, 8, 8].backward()
    seen = image.grad[0].abs().sum(0).nonzero()
    assert seen.min(0).values.tolist() == [6, 6] and seen.max(0).values.tolist() == [10, 10]


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="channels is 0"):
        build("article_stacked3", channels=0)
    with pytest.raises(ValueError, match="4x4"):
        build("article_single5", image_size=3)
    with pytest.raises(ValueError, match="no argument 'depth'"):
        build("article_separable3", depth=3)
