"""The backbones against published parameter counts and other implementations' numbers."""

import pytest
import torch

from effconv import cifar_resnet, count_macs, count_parameters, wide_resnet


# He et al. 2016, with parameter-free shortcuts and ten classes, counted by hand in the literature.
@pytest.mark.parametrize(
    ("depth", "count"),
    [
        (20, 269_722),
        (26, 366_938),
        (32, 464_154),
        (38, 561_370),
        (44, 658_586),
        (50, 755_802),
        (56, 853_018),
        (110, 1_727_962),
    ],
)
def test_cifar_resnet_parameters(depth, count):
    with torch.device("meta"):
        assert count_parameters(cifar_resnet(depth)) == count


@pytest.mark.parametrize(("classes", "count"), [(10, 369_498), (100, 375_348), (1000, 433_848)])
def test_wrn_28_1_parameters(classes, count):
    assert count_parameters(wide_resnet(28, 1, num_classes=classes)) == count


def test_wrn_28_10_parameters():
    with torch.device("meta"):
        assert count_parameters(wide_resnet(28, 10)) == 36_479_194  # 36.5M in Zagoruyko and Komodakis' table 4


def test_other_inputs_and_classes():
    assert count_parameters(cifar_resnet(20, in_channels=1)) == 269_434
    assert count_parameters(cifar_resnet(20, num_classes=1000)) == 334_072


@pytest.mark.parametrize(("build", "depth", "layers"), [(cifar_resnet, 20, 18), (wide_resnet, 28, 24)])
def test_kernel_sizes(build, depth, layers):
    sizes = tuple(1 + index % 7 for index in range(layers))
    model = build(depth, kernel_sizes=sizes)
    assert model.kernel_sizes == sizes
    assert build(depth).kernel_sizes == (3,) * layers


def test_parameters_at_other_sizes_by_hand():
    # all sizes 5 instead of 3: (25 - 9) x (6 * 256 + 512 + 5 * 1024 + 2048 + 5 * 4096) more weights
    assert count_parameters(cifar_resnet(20, kernel_sizes=[5] * 18)) == 269_722 + 16 * (
        1536 + 512 + 5120 + 2048 + 20480
    )


def test_macs_by_hand():
    # stem 3*16*9*1024; stage 1: 6 * 256*9*1024; stage 2: (512 + 5*1024)*9*256; stage 3: (2048 + 5*4096)*9*64; classifier 640
    expected = 27 * 16 * 1024 + 6 * 2304 * 1024 + 5632 * 9 * 256 + 22528 * 9 * 64 + 640
    assert count_macs(cifar_resnet(20), (3, 32, 32)) == expected
    with torch.device("meta"):
        assert count_macs(cifar_resnet(20), (3, 32, 32)) == expected


@pytest.mark.parametrize("side", [28, 32, 33])
@pytest.mark.parametrize("build", [lambda: cifar_resnet(8, in_channels=1), lambda: wide_resnet(10, 2, in_channels=1)])
def test_forward_on_odd_and_even_images(build, side):
    model = build()
    model(torch.randn(2, 1, side, side)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_shortcut_pads_channels_half_before_and_half_after():
    model = cifar_resnet(8, widths=(2, 4, 8)).eval()
    block = model.blocks[1]
    torch.nn.init.zeros_(block.bn2.weight)
    x = torch.rand(1, 2, 4, 4)
    out = block(x)
    assert torch.equal(out[:, 1:3], x[:, :, ::2, ::2])
    assert not out[:, [0, 3]].any()


@pytest.mark.parametrize(("build", "depth"), [(cifar_resnet, 21), (cifar_resnet, 2), (wide_resnet, 20)])
def test_impossible_depth(build, depth):
    with pytest.raises(ValueError, match=f"depth is {depth}"):
        build(depth)


def test_wrong_number_of_sizes():
    with pytest.raises(ValueError, match="has 18 learnable layers"):
        cifar_resnet(20, kernel_sizes=[3, 3])


@pytest.mark.slow
def test_importing_effconv_leaves_timm_and_torchvision_out():
    import subprocess
    import sys

    code = "import sys, effconv; print([m for m in ('timm', 'torchvision', 'matplotlib') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_timm_registration():
    timm = pytest.importorskip("timm")
    import effconv.timm_models  # noqa: F401

    model = timm.create_model("cifar_resnet20", kernel_sizes=[5] * 18, num_classes=7, in_chans=1)
    assert model.kernel_sizes == (5,) * 18 and model.classifier.out_features == 7
    assert model(torch.zeros(1, 1, 28, 28)).shape == (1, 7)
    assert count_parameters(timm.create_model("wrn28_1")) == 369_498
    with pytest.raises(ValueError, match="no pretrained weights"):
        timm.create_model("cifar_resnet20", pretrained=True)
