"""Parameter counts of every network, against the authors' modules, torchvision, or arithmetic; and what differs from print."""

import pytest
import torch
from torch import nn

import baselines
from baselines.flexconv import CKConv, FlexConv
from baselines.flexnet_network import FlexNet
from effconv import count_macs, count_parameters


def count(name, classes=10, channels=3, size=32):
    with torch.device("meta"):
        return count_parameters(baselines.build(name, in_channels=channels, num_classes=classes, image_size=size))


def flexnet(convolution, *, classes=10, **options):
    with torch.device("meta"):
        return count_parameters(FlexNet(in_channels=3, num_classes=classes, convolution=convolution, **options))


@pytest.mark.parametrize(
    ("name", "classes", "expected", "published"),
    [
        ("flexnet16", 10, 671_650, 0.67),
        ("flexnet_gabor16", 10, 669_730, 0.67),
        ("ckcnn16", 10, 627_910, 0.63),
        ("ckcnn_magnet16", 10, 671_590, 0.67),
        ("cifar_resnet20", 10, 269_722, 0.27),
        ("cifar_resnet26", 10, 366_938, None),
        ("cifar_resnet32", 10, 464_154, 0.46),
        ("cifar_resnet38", 10, 561_370, None),
        ("cifar_resnet44", 10, 658_586, 0.66),
        ("cifar_resnet50", 10, 755_802, None),
        ("cifar_resnet56", 10, 853_018, 0.85),
        ("cifar_resnet32", 1000, 528_504, 0.53),
        ("cifar_resnet20", 1000, 334_072, None),
        ("resnet44_flexconv", 10, 2_581_142, 2.58),
        ("resnet44_ckconv", 10, 2_580_970, 2.58),
        ("resnet18", 1000, 11_689_512, 11.69),
        ("wrn28_1", 10, 369_498, None),
        ("wrn28_1", 100, 375_348, None),
        ("wrn28_1", 1000, 433_848, None),
        ("wrn28_1_chrabaszcz", 1000, 434_552, None),
        ("njet_nin", 10, 496_663, None),
        ("njetnet_resnet32", 10, 515_433, 0.52),
        ("dcn_sigma_ji", 10, 472_202, 0.47),
    ],
)
def test_counts_that_match_print(name, classes, expected, published):
    assert count(name, classes) == expected
    assert published is None or round(expected / 1e6, 2) == published


@pytest.mark.parametrize(
    ("name", "classes", "expected", "printed", "why"),
    [
        ("flexnet5", 10, 454_046, 0.44, "the published command's network is 0.45M; 0.44M is an older configuration's"),
        ("flexnet5", 1000, 498_596, 0.44, "the published command's network is 0.50M with ImageNet's classes"),
        ("flexnet3", 10, 277_090, 0.27, "cut off, not rounded"),
        ("resnet18", 10, 11_181_642, 11.7, "11.7M is the count with 1000 classes"),
        ("wrn28_1", 1000, 433_848, 0.44, "0.43M rounded"),
        ("wrn28_1_chrabaszcz", 1000, 434_552, 0.44, "0.43M rounded"),
        ("njetnet_allcnn", 10, 650_713, 0.66, "the published network's exact form is not public"),
    ],
)
def test_counts_that_print_does_not_give(name, classes, expected, printed, why):
    assert count(name, classes) == expected
    assert abs(expected / 1e6 - printed) > 0.005, why


def test_the_older_flexnet5_has_the_published_size():
    stages = tuple((int(20 * factor), blocks) for factor, blocks in ((1.035, 1), (1.5525, 2), (2.07, 2)))
    assert flexnet(lambda i, o: FlexConv(i, o, horizon=33), classes=1000, stages=stages) == 442_096


def test_flexnet16_for_one_channel():
    assert count("flexnet16", channels=1, size=28) == 670_066
    assert count("cifar_resnet20", channels=1, size=28) == 269_434


@pytest.mark.parametrize(
    ("name", "expected", "published"),
    [("efficient_capsnet", 161_824, 0.16), ("network_in_network", 349_674, None), ("vgg5", 3_646_154, 3.65)],
)
def test_counts_on_mnist(name, expected, published):
    assert count(name, channels=1, size=28) == expected
    assert published is None or round(expected / 1e6, 2) == published


@pytest.mark.parametrize(
    ("name", "order", "expected"),
    [
        ("njetnet_allcnn", 3, 1_057_369),
        ("njet_nin", 3, 720_151),
        ("njetnet_resnet32", 2, 6 * 51_248 + 2_272 + 650 + 31),
    ],
)
def test_counts_by_the_order_of_the_derivatives(name, order, expected):
    with torch.device("meta"):
        found = baselines.build(name, in_channels=3, num_classes=10, image_size=32, order=order)
    assert count_parameters(found) == expected


def test_a_decoder_that_only_trains_is_not_counted():
    model = baselines.build("efficient_capsnet", in_channels=1, num_classes=10, image_size=28)
    everything = sum(parameter.numel() for parameter in model.parameters())
    assert everything - count_parameters(model) == 160 * 512 + 512 + 512 * 1024 + 1024 + 1024 * 784 + 784 == 1_411_344


@pytest.mark.parametrize(("kernel", "masked", "expected"), [("siren", True, 627_970), ("fourier", True, 663_970)])
def test_flexnet16_with_other_kernels(kernel, masked, expected):
    assert flexnet(lambda i, o: FlexConv(i, o, horizon=33, kernel=kernel)) == expected


@pytest.mark.parametrize(("size", "expected"), [(3, 169_990), (33, 19_998_790)])
def test_flexnet16_with_ordinary_convolutions(size, expected):
    assert flexnet(lambda i, o: nn.Conv2d(i, o, size, padding=size // 2)) == expected


@pytest.mark.parametrize(("kernel", "body"), [("magnet", 4064), ("gabor", 3936), ("fourier", 3552), ("siren", 1152)])
def test_count_of_a_layer(kernel, body):
    layer = 33 * 3 * 5 + 5
    assert count_parameters(CKConv(3, 5, horizon=33, kernel=kernel)) == body + layer
    assert count_parameters(FlexConv(3, 5, horizon=33, kernel=kernel)) == body + layer + 4


def test_resnet44_block_convolutions():
    network = baselines.build("cifar_resnet44", in_channels=3, num_classes=10, image_size=32)
    weights = [m.weight.numel() for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert sum(weights) == 654_768
    assert sum(weights[1:]) == 654_336


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("backend", ["fft", "auto"])
def test_multiply_accumulates_are_those_of_the_convolution_whatever_computes_it(backend, device):
    geometry = {"in_channels": 3, "num_classes": 10, "image_size": 16}
    with torch.device(device), torch.random.fork_rng():
        direct, other = (baselines.build("ckcnn16", **geometry, backend=name) for name in ("direct", backend))
    assert count_macs(other, (3, 16, 16)) == count_macs(direct, (3, 16, 16))


@pytest.mark.parametrize("backend", ["direct", "basis", "auto"])
def test_multiply_accumulates_of_an_njet_network_are_the_kernels_whichever_way_it_computes(backend):
    with torch.device("meta"):
        model = baselines.build("njet_nin", in_channels=3, num_classes=10, image_size=32, backend=backend)
    # 49 (3 x 192 + 96 x 192 + 192 x 192) and 1x1: 192 x 160 + 160 x 96 + 2 x 192 x 192 + 192 x 192 + 192 x 10, at 1024 places;
    # the kernels themselves, once: 6 x 49 a weight.
    dense, once = 49 * 192 * (3 + 96 + 192) + 46_080 + 110_592 + 1_920, 6 * 49 * 192 * (3 + 96 + 192)
    assert count_macs(model, (3, 32, 32)) == 1024 * dense + once
    assert model.backend == backend


@pytest.mark.parametrize(("name", "convolutions"), [("flexnet16", 0.47e9), ("ckcnn_magnet16", 20.5e9)])
def test_multiply_accumulates(name, convolutions):
    """The convolutions' own, plus a few percent at most for drawing the kernels (once a forward pass, whatever the batch)."""
    with torch.device("meta"):
        macs = count_macs(baselines.build(name, in_channels=3, num_classes=10, image_size=32), (3, 32, 32))
    assert 0.99 * convolutions < macs < 1.05 * convolutions


@pytest.mark.parametrize("name", sorted(baselines.names()))
@pytest.mark.parametrize(
    ("channels", "classes", "size"), [(1, 1000, 28), (3, 10, 96)]
)  # the classes of ImageNet with the pixels of MNIST
def test_every_system_builds_for_every_data_set(name, channels, classes, size):
    with torch.device("meta"):
        model = baselines.build(name, in_channels=channels, num_classes=classes, image_size=size).eval()
        assert model(torch.empty(2, channels, size, size)).shape == (2, classes)
