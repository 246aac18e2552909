"""Training and search steps on a pretended GPU: whatever is captured obeys the rules of a capture."""

import pytest
import torch
from engine_helpers import training_images
from pretended_cuda import CUDA, no_gpu_but_its_rules, one_step, one_uncaptured_step, the_host_reads

import baselines
from baselines.dash import DashSearch
from baselines.envelope import EnvelopeOptions, EnvelopeSearch
from baselines.sampled_sizes import SampledOptions, SampledSearch
from baselines.size_choice import ChoiceOptions
from baselines.super_kernel import SuperKernelSearch
from effconv import FixedShapeSearch, KernelSizeSearch, SearchOptions
from workflow.engine.graphs import CapturedStep, capturable
from workflow.engine.optimisation import for_recipe, for_search
from workflow.engine.session import place
from workflow.engine.step import Step
from workflow.protocol.recipes import recipe

pytestmark = pytest.mark.slow

# Kernels that grow by what the host reads of them, and a solver that decides how many steps it takes.
NOT_CAPTURED = {"dcn_sigma_ji", "resnet44_flexconv"} | {
    n for n in baselines.names() if n.startswith(("flexnet", "njet", "ccnn"))
}
DEEPER = {f"cifar_resnet{depth}" for depth in (26, 32, 38, 44, 50, 56)}  # cifar_resnet20 with more of its blocks


SET = {"device": CUDA, "batch_size": 16, "count": 40}


def trained(monkeypatch, model, rule, dataset="cifar10", precision="bf16"):
    """Two steps of a model by a recipe. Returns the updates that were made."""
    model = place(model, torch.device("cpu")).train()
    with no_gpu_but_its_rules(monkeypatch, model) as updates:
        train = training_images(dataset, rule.name, **SET)
        plan = for_recipe(model, rule, steps_per_epoch=train.steps, device=CUDA, captured=True)
        one_step(CapturedStep(model, plan, train, precision=precision))
    return set(updates)


# Rates by group, both optimisers, both further augmentations, images that are shown mirrored.
OWN = {
    "resnet44_ckconv": ("flexconv_adam", "cifar10"),
    "smpconv490k": ("smpconv_adam", "cifar10"),
    "wrn28_1": ("wrn_sgd", "cifar10"),
    "efficient_capsnet": ("capsnet_adam", "mnist"),
    "network_in_network": ("nin_sgd", "mnist"),
    "vgg5": ("vgg5_adam", "mnist"),
}


CAPTURED = sorted(set(baselines.names()) - NOT_CAPTURED - DEEPER)


@pytest.mark.parametrize(("name", "precision"), [*((name, "bf16") for name in CAPTURED), ("vgg5", "fp32")])
def test_every_captured_system_stays_on_the_device(monkeypatch, name, precision):
    """By its own recipe, where it has one."""
    rule, dataset = OWN.get(name, ("resnet_sgd", "cifar10"))
    channels, side = {"cifar10": (3, 32), "mnist": (1, 28)}[dataset]
    model = baselines.build(name, in_channels=channels, num_classes=10, image_size=side)
    assert capturable(model, CUDA)
    update = "_fused_adam_" if rule.endswith("_adam") else "_fused_sgd_"
    assert trained(monkeypatch, model, recipe(rule, dataset), dataset, precision) == {update}


@pytest.mark.parametrize("name", sorted(NOT_CAPTURED))
def test_what_reads_its_shapes_is_not_captured(name):
    assert not capturable(baselines.build(name, in_channels=3, num_classes=10, image_size=32), CUDA)


@pytest.mark.parametrize("name", sorted(NOT_CAPTURED - {"dcn_sigma_ji"}))  # whose solver's shapes hang on values
def test_what_is_not_captured_stays_on_the_device_too(name, monkeypatch):
    model = baselines.build(name, in_channels=3, num_classes=10, image_size=32)
    model, rule = place(model, torch.device("cpu")).train(), recipe("flexconv_adam", "cifar10")
    with no_gpu_but_its_rules(monkeypatch, model) as updates:
        train = training_images(name=rule.name, **SET)
        plan = for_recipe(model, rule, steps_per_epoch=train.steps, device=CUDA)
        one_uncaptured_step(Step(model, plan, train, precision="fp32"))
    assert set(updates) == {"_fused_adam_"}


def what_a_search_is_asked(model):
    """Its sizes, soft and whole, while it runs and at its end; and to take others, as timing does."""
    with the_host_reads(3.3):
        assert len(model.sizes) == len(model.soft_sizes) == 18
        assert len(model.learned().sizes) == 18
        model.set_sizes([3] * 18)


@pytest.mark.parametrize("predictor", ["literal", "projected"])
def test_the_search_stays_on_the_device(monkeypatch, predictor):
    network = baselines.build("cifar_resnet20", in_channels=3, num_classes=10, image_size=32, widths=(4, 8, 16))
    options = SearchOptions(kernel_predictor=predictor)
    model = FixedShapeSearch(network, input_shape=(3, 32, 32), parameters=50_000, options=options, seed=0).train()
    assert capturable(model, CUDA)
    with no_gpu_but_its_rules(monkeypatch, model) as updates:
        plan = for_search(model.parameter_groups(), CUDA, captured=True)
        one_step(CapturedStep(model, plan, training_images(**SET), precision="bf16"))
        what_a_search_is_asked(model)
    assert set(updates) == {"_fused_adamw_"}


OURS = {"budget_method": "rescale", "mask": "fractional", "kernel_order": "nested"}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (KernelSizeSearch, SearchOptions(kernel_predictor="literal")),
        (KernelSizeSearch, SearchOptions(kernel_predictor="projected", **OURS)),
        (
            KernelSizeSearch,
            SearchOptions(kernel_predictor="projected", budget_method="multiplier", size_predictor="free"),
        ),
        (
            KernelSizeSearch,
            SearchOptions(kernel_predictor="projected", size_predictor="gru-step", mask_centre="centred"),
        ),
        (KernelSizeSearch, SearchOptions(kernel_predictor="projected", odd_only=True, even_padding="start")),
        (SuperKernelSearch, ChoiceOptions()),
        (DashSearch, ChoiceOptions()),
        (EnvelopeSearch, EnvelopeOptions()),
        (SampledSearch, SampledOptions()),
    ],
    ids=["paper", "ours", "multiplier", "centred", "odd", "super-kernel", "dash", "envelope", "sampled"],
)
def test_searches_that_are_not_captured_stay_on_the_device_too(monkeypatch, kind, options):
    network = baselines.build("cifar_resnet20", in_channels=3, num_classes=10, image_size=32, widths=(4, 8, 16))
    model = kind(network, input_shape=(3, 32, 32), parameters=50_000, options=options, seed=0).train()
    assert not capturable(model, CUDA)
    with no_gpu_but_its_rules(monkeypatch, model) as updates:
        plan = for_search(model.parameter_groups(), CUDA)
        one_uncaptured_step(Step(model, plan, training_images(**SET), precision="fp32"), 3.3)
        what_a_search_is_asked(model)
    assert set(updates) == {"_fused_adamw_"}


class Reads(torch.nn.Linear):
    """The host looks at a value."""

    def forward(self, images):
        pictures = images.flatten(1)
        return super().forward(pictures) * float(pictures.sum())


class Brings(torch.nn.Linear):
    """A tensor comes from the host in every step."""

    def forward(self, images):
        return super().forward(images.flatten(1)) + torch.ones(10).to(images.device)


class Forgets(torch.nn.Linear):
    """A tensor stayed on the host."""

    def forward(self, images):
        return super().forward(images.flatten(1)) + torch.ones(10)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [(Reads, "_local_scalar_dense"), (Brings, "has tensors on"), (Forgets, "two different devices|has tensors on")],
)
def test_what_breaks_the_rules_is_noticed(monkeypatch, kind, reason):
    with pytest.raises(Exception, match=reason):
        trained(monkeypatch, kind(3 * 32 * 32, 10), recipe("resnet_sgd", "cifar10"))
