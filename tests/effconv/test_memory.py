"""The first contact: a usual network with no option but its budget; and what is said where predictors do not fit."""

from dataclasses import replace

import pytest
import torch
import yaml

from effconv import KernelSizeSearch, SearchOptions, cifar_resnet, count_parameters, find_layers, learn_kernel_sizes
from effconv.memory import fitting_options

SHAPES = [(64, 64)] * 2 + [(128, 256)]


def weights_of(width):
    """Weights of the projected predictors of SHAPES by hand: a GRU on 64 inputs, a linear map to the channels' product."""
    gru = 3 * width * 64 + 3 * width * width + 6 * width
    return sum(gru + (width + 1) * inner * outer for inner, outer in SHAPES)


@pytest.mark.parametrize(("width", "spare"), [(64, 1), (32, 1), (16, 1), (8, 1), (4, 1)])
def test_the_greatest_width_that_leaves_half_the_memory(monkeypatch, width, spare):
    needed = 16 * weights_of(width)  # weight, gradient, two moments
    monkeypatch.setattr("effconv.memory.machine_memory", lambda device: 2 * needed + spare)
    chosen = fitting_options(SHAPES, SearchOptions(), torch.device("cpu"))
    assert chosen == replace(SearchOptions(), hidden=width)
    asked = SearchOptions(hidden=5)
    assert fitting_options(SHAPES, asked, torch.device("cpu")) == asked


@pytest.mark.parametrize(
    ("options", "remedy"),
    [({"kernel_predictor": "literal"}, "leave kernel_predictor out, or learn fewer"), ({}, "learn fewer")],
)
def test_what_does_not_fit_is_a_sentence(monkeypatch, options, remedy):
    monkeypatch.setattr("effconv.memory.machine_memory", lambda device: 10**5)
    with pytest.raises(
        ValueError, match=f"kernel predictor of this network needs .* GB to train and cpu has .*: {remedy}"
    ):
        KernelSizeSearch(cifar_resnet(20), input_shape=(3, 32, 32), options=SearchOptions(**options))


def test_memory_is_that_of_the_device_where_the_search_will_run(monkeypatch):
    asked = []
    monkeypatch.setattr("effconv.memory.machine_memory", lambda device: asked.append(device) or 10**5)
    with pytest.raises(ValueError, match="and cuda:1 has 0.0 GB"):  # the model lies on the CPU
        KernelSizeSearch(cifar_resnet(20), input_shape=(3, 32, 32), device="cuda:1")
    assert asked == [torch.device("cuda:1")]


@pytest.mark.slow
def test_resnet18_of_timm_with_nothing_but_a_budget(capsys):
    timm = pytest.importorskip("timm")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = timm.create_model("resnet18")
    before = count_parameters(model)
    assert before == 11_689_512  # timm's and torchvision's published count
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    learned = learn_kernel_sizes(model, [(images, torch.arange(4))] * 2, parameters=14_000_000, epochs=1)
    assert list(learned.sizes) == [layer.name for layer in find_layers(model, (3, 32, 32))] and len(learned.sizes) == 16
    assert learned.options.kernel_predictor == "projected" and learned.options.hidden in (64, 32, 16, 8, 4)
    assert f"kernel predictor: projected, {learned.options.hidden} hidden units" in str(learned)
    assert learned.before["parameters"] == before and count_parameters(learned.apply(model)) == learned.parameters


def test_every_preset_of_the_suite_names_its_predictor(root):
    presets = {path.stem: yaml.safe_load(path.read_text()) for path in (root / "config" / "presets").glob("*.yaml")}
    named = {name: preset["search_options"]["kernel_predictor"] for name, preset in presets.items()}
    assert len(named) >= 3 and named["paper"] == "literal" and named["smoke"] == "projected"
