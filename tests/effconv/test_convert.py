"""Any network: what is found, what is refused, and a whole search on models of timm and torchvision."""

import math
import warnings

import pytest
import torch
from torch import nn

from effconv import (
    LearnedSizes,
    cifar_resnet,
    count_macs,
    count_parameters,
    find_layers,
    learn_kernel_sizes,
    soft_size,
    wide_resnet,
)
from effconv.convert import size_range

SHAPE = (3, 64, 64)


def timm_model(name):
    timm = pytest.importorskip("timm")
    return timm.create_model(name, num_classes=4)


def vgg11_bn():
    model = pytest.importorskip("torchvision").models.vgg11_bn(num_classes=4, init_weights=False)
    model.classifier = nn.Linear(512 * 7 * 7, 4)  # the original's 120 million weights are not what is tested
    return model


def names(layers):
    return [layer.name for layer in layers]


def test_backbones_learn_every_convolution_inside_blocks():
    expected = [f"blocks.{block}.conv{index}" for block in range(9) for index in (1, 2)]
    assert names(find_layers(cifar_resnet(20), (3, 32, 32))) == expected
    assert len(find_layers(wide_resnet(28, 1), (3, 32, 32))) == 24


def test_shapes_by_hand():
    layers = find_layers(cifar_resnet(20), (3, 28, 28))
    first_of_stage_3 = layers[12]
    assert (first_of_stage_3.inner, first_of_stage_3.outer, first_of_stage_3.size) == (32, 64, 3)
    assert first_of_stage_3.positions == 7 * 7 and first_of_stage_3.greatest == 7


@pytest.mark.parametrize(("size", "greatest"), [(2, 7), (3, 7), (4, 7), (5, 9), (7, 13), (11, 21)])
def test_size_range(size, greatest):
    k, b = size_range(size, 3.0, -0.35)
    assert 2 * k + 1 == greatest
    assert soft_size(torch.zeros(()), k=k, b=b).item() == pytest.approx(size, abs=0.01)
    assert math.isfinite(b)


class Net(nn.Module):
    """Convolutions that the rule must tell apart; the one called `twice` runs twice where asked to."""

    def __init__(self, *, repeat=False, tie=False):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.plain = nn.Conv2d(4, 4, 3, padding=1)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.grouped = nn.Conv2d(4, 4, 5, padding=2, groups=2)
        self.oblong = nn.Conv2d(4, 4, (1, 3), padding=(0, 1))
        self.dilated = nn.Conv2d(4, 4, 3, padding=2, dilation=2)
        self.valid = nn.Conv2d(4, 4, 3)
        self.reflecting = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.pointwise = nn.Conv2d(4, 4, 1)
        self.unused = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 4)
        self.repeat = repeat
        if tie:
            self.twice.weight = self.plain.weight

    def forward(self, x):
        x = self.twice(self.plain(self.stem(x)).relu())
        if self.repeat:
            x = self.twice(x)
        x = self.pointwise(self.reflecting(self.valid(self.dilated(self.oblong(self.grouped(x))))))
        return self.head(x.mean((2, 3)))


def test_default_rule():
    layers = find_layers(Net(), (3, 9, 9))
    assert names(layers) == ["plain", "twice", "grouped"]
    assert (layers[2].inner, layers[2].outer, layers[2].greatest) == (2, 4, 9)


def test_names_and_predicates():
    assert names(find_layers(Net(), (3, 9, 9), layers=["twice", "stem"])) == ["stem", "twice"]
    chosen = find_layers(Net(), (3, 9, 9), layers=lambda name, conv: conv.groups == 2 or conv.kernel_size == (1, 1))
    assert names(chosen) == ["grouped", "pointwise"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("oblong", "1x3 kernel"),
        ("dilated", "dilated"),
        ("valid", r"pads by \(0, 0\) instead of 1"),
        ("reflecting", "pads with 'reflect'"),
        ("unused", "no two-dimensional convolution that runs"),
        ("head", "no two-dimensional convolution that runs"),
        ("nothing", "has no layer 'nothing'"),
    ],
)
def test_named_layers_that_cannot_be_learned(name, reason):
    with pytest.raises(ValueError, match=reason):
        find_layers(Net(), (3, 9, 9), layers=[name])


def test_a_convolution_used_twice_is_refused():
    with pytest.raises(ValueError, match="'twice' runs 2 times on one image, and can have one size only"):
        learn_kernel_sizes(
            Net(repeat=True), [(torch.zeros(2, 3, 9, 9), torch.tensor([0, 1]))], kernel_predictor="projected"
        )
    assert names(find_layers(Net(repeat=True), (3, 9, 9), layers=["plain"])) == ["plain"]


def test_shared_weights_are_refused():
    with pytest.raises(ValueError, match="'plain' shares its weights with another layer"):
        find_layers(Net(tie=True), (3, 9, 9))


def test_nothing_to_learn():
    with pytest.raises(ValueError, match="no convolution whose size can be learned"):
        find_layers(nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.Flatten()), (3, 9, 9))


# (model, learnable layers as the architectures' papers have them, greatest size of the first)
MODELS = {
    "resnet18": (lambda: timm_model("resnet18"), 16, 7),
    "convnext_atto": (lambda: timm_model("convnext_atto"), 12, 13),
    "mobilenetv3_small_100": (lambda: timm_model("mobilenetv3_small_100"), 11, 7),
    "vgg11_bn": (vgg11_bn, 7, 7),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_searches_other_peoples_models(name):
    build, count, greatest = MODELS[name]
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the libraries' own deprecations
        torch.manual_seed(0)
        model = build()
    layers = find_layers(model, SHAPE)
    assert len(layers) == count and layers[0].greatest == greatest
    images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(0))
    macs = count_macs(model, SHAPE)
    learned = learn_kernel_sizes(
        model,
        [(images, torch.tensor([0, 1]))] * 2,
        macs=macs,
        epochs=1,
        kernel_predictor="projected",
        hidden=2,
        lr_size_predictor=0.02,
    )
    plain = learned.apply(model)
    assert isinstance(learned, LearnedSizes) and len(learned.sizes) == count
    assert learned.parameters == count_parameters(plain) and learned.macs == count_macs(plain, SHAPE)
    assert plain.eval()(images).shape == (2, 4)
    assert all(type(module).__module__ != "effconv.convert" for module in plain.modules())


def test_starts_at_the_models_own_sizes():
    model = timm_model("convnext_atto")
    learned = learn_kernel_sizes(
        model,
        [(torch.zeros(2, 3, 32, 32), torch.tensor([0, 1]))],
        epochs=1,
        kernel_predictor="projected",
        hidden=2,
        final_sizes="last",
    )
    assert set(learned.sizes.values()) == {7}
    assert learned.parameters == count_parameters(model)


class TwoNames(nn.Module):
    """One convolution under two names, of which the forward pass uses the second."""

    def __init__(self, container):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Conv2d(4, 4, 3, padding=1)
        self.stages = container([self.body])
        self.head = nn.Linear(4, 2)

    def forward(self, images):
        images = self.stem(images)
        for stage in self.stages:
            images = stage(images)
        return self.head(images.mean((2, 3)))


BATCH = (torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1] * 4))


def test_a_layer_under_two_names_is_learned_and_replaced_under_both():
    model = TwoNames(nn.ModuleList)
    learned = learn_kernel_sizes(model, [BATCH], epochs=1, parameters=400, record_every=1)
    assert learned.trajectory["gradient_loss"][0][0] > 0
    plain = LearnedSizes(sizes={"body": 5}, soft_sizes={}, parameters=1, macs=1).apply(model)
    assert plain.stages[0] is plain.body and plain.stages[0].kernel_size == (5, 5)
    assert count_parameters(plain) == 3 * 4 * 9 + 4 + 4 * 4 * 25 + 4 + 4 * 2 + 2


def test_a_layer_in_a_plain_list_is_refused():
    with pytest.raises(ValueError, match="'body' runs from a list.*ModuleList"):
        learn_kernel_sizes(TwoNames(list), [BATCH], epochs=1)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*")
@pytest.mark.parametrize(
    "change",
    [nn.utils.weight_norm, nn.utils.spectral_norm, lambda m: torch.nn.utils.prune.l1_unstructured(m, "weight", 1)],
)
def test_weights_that_a_hook_makes_are_not_learned(change):
    import torch.nn.utils.prune  # noqa: F401

    model = TwoNames(nn.ModuleList)
    change(model.body)
    with pytest.raises(ValueError, match="no convolution whose size can be learned"):
        find_layers(model, (3, 6, 6))
    with pytest.raises(ValueError, match="made by a hook"):
        find_layers(model, (3, 6, 6), layers=["body"])


def test_what_cannot_change_its_size_is_not_made_another_kind():
    model = Net()
    for name, reason in (
        ("dilated", "is dilated"),
        ("reflecting", "pads with 'reflect'"),
        ("oblong", "has a 1x3 kernel"),
    ):
        with pytest.raises(ValueError, match=f"'{name}' cannot change its size, as it {reason}"):
            LearnedSizes(sizes={name: 5}, soft_sizes={}, parameters=1, macs=1).apply(model)
    one = nn.Sequential(nn.Conv2d(1, 1, 1))
    assert LearnedSizes(sizes={"0": 3}, soft_sizes={}, parameters=1, macs=1).apply(one)[0].weight.isfinite().all()


def test_layers_as_a_text_are_not_taken_letter_by_letter():
    with pytest.raises(ValueError, match="the text 'body': give a list of names"):
        find_layers(TwoNames(nn.ModuleList), (3, 6, 6), layers="body")


def test_without_layers_the_remedy_is_to_name_the_others():
    with pytest.raises(ValueError, match="name the others in `layers`"):
        find_layers(Net(repeat=True), SHAPE)


class WithBackend(nn.Module):
    """A model whose own attribute is called `backend`."""

    def __init__(self, backend):
        super().__init__()
        self.backend = backend
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images):
        return {"fast": lambda: self.conv(images)}.get(self.backend, lambda: self.backend(images))()


@pytest.mark.parametrize("backend", ["fast", nn.Conv2d(3, 4, 3, padding=1)])
def test_counting_leaves_a_models_own_backend_alone(backend):
    model = WithBackend(backend)
    assert count_macs(model, (3, 6, 6)) == 3 * 4 * 9 * 36 and model.backend is backend


def test_a_count_that_fails_puts_the_backend_back():
    class Broken(nn.Module):
        timed_backends, backend = ("direct", "auto"), "auto"

        def forward(self, images):
            raise RuntimeError("broken")

    model = Broken()
    with pytest.raises(RuntimeError, match="broken"):
        count_macs(model, (3, 6, 6))
    assert model.backend == "auto"
