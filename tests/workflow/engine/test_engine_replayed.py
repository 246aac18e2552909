"""A step that is recorded once and replayed without its Python is the step: what CUDA graphs rest on.

torch.fx stands for the graph, on the CPU: it records the operations of one whole step, with forward and backward pass, update and
counters, and replays them on the same memory. Whatever Python decides or counts anew in each step would stay as it was when recorded.
"""

import pytest
import torch
from engine_helpers import training_images

import baselines
from effconv import FixedShapeSearch, SearchOptions, cifar_resnet, fixed_shapes
from workflow.check.equality import Counts, Plain, Recorded
from workflow.engine.graphs import WARM_STEPS
from workflow.engine.optimisation import for_recipe, for_search
from workflow.engine.session import place
from workflow.protocol.recipes import recipe

pytestmark = pytest.mark.slow

CPU, BATCH, IMAGES = torch.device("cpu"), 4, 18  # four whole steps an epoch and a partial one
SET = {"device": CPU, "batch_size": BATCH, "count": IMAGES}


def two_epochs(step):
    """The losses and correct answers of two epochs, and the parameters and buffers after them."""
    torch.manual_seed(3)  # dropout
    found = []
    for epoch in (1, 2):
        step.begin(epoch)
        for number in range(step.images.steps):
            step.take(number)
        found.append((step.losses.clone(), step.correct.clone()))
    return found, [tensor.detach().clone() for tensor in (*step.model.parameters(), *step.model.buffers())]


def agree(plain, recorded):
    """To the last bit."""
    expected, found = two_epochs(plain), two_epochs(recorded)
    assert recorded.replays == 2 * (IMAGES // BATCH) - WARM_STEPS
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def trained(kind, system, dataset="cifar10", name="resnet_sgd", **arguments):
    train, rule = training_images(dataset, name, **SET), recipe(name, dataset)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = baselines.build(
            system, in_channels=train.channels, num_classes=10, image_size=train.height, **arguments
        )
    model = place(model, CPU).train()
    plan = for_recipe(model, rule, steps_per_epoch=train.steps, device=CPU, captured=True)
    return kind(model, plan, train, precision="fp32")


SMALL = {"widths": (4, 8, 16)}


@pytest.mark.parametrize(
    ("system", "dataset", "name", "arguments"),
    [
        ("cifar_resnet20", "cifar10", "resnet_sgd", {**SMALL, "kernel_sizes": [2, 5, 4, 3, 6, 1] * 3}),
        ("wrn28_1", "cifar10", "wrn_sgd", {}),
        ("dcls_resnet20", "cifar10", "resnet_sgd", {}),
        ("article_separable3", "cifar10", "resnet_sgd", {}),
        ("network_in_network", "mnist", "nin_sgd", {}),
        ("vgg5", "mnist", "vgg5_adam", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_training_replayed_is_training(system, dataset, name, arguments):
    agree(*(trained(kind, system, dataset, name, **arguments) for kind in (Plain, Recorded)))


@pytest.mark.parametrize("predictor", ["literal", "projected"])
def test_a_search_replayed_is_the_search(predictor, monkeypatch):
    monkeypatch.setattr(
        fixed_shapes, "LOG_STEPS", -(-IMAGES // BATCH)
    )  # the device has room for the steps of one epoch

    def search(kind):
        torch.manual_seed(0)
        network = cifar_resnet(8, **SMALL)
        options = SearchOptions(kernel_predictor=predictor, record_every=1, k=1.0)
        model = FixedShapeSearch(network, input_shape=(3, 32, 32), parameters=3_000, options=options, seed=0).train()
        plan = for_search(model.parameter_groups(), CPU, captured=True)
        return kind(model, plan, training_images(**SET), precision="fp32")

    plain, recorded = search(Plain), search(Recorded)
    agree(plain, recorded)
    one, other = plain.model.learned(), recorded.model.learned()
    assert other.sizes == one.sizes and other.trajectory["step"] == one.trajectory["step"]


def test_what_python_counts_is_noticed_and_the_run_goes_on_uncaptured():
    def counting(kind):
        train, rule = training_images(**SET), recipe("resnet_sgd", "cifar10")
        torch.manual_seed(0)
        model = Counts(3 * 32 * 32, 10)
        plan = for_recipe(model, rule, steps_per_epoch=train.steps, device=CPU, captured=True)
        return kind(model, plan, train, precision="fp32")

    recorded = counting(Recorded)
    with pytest.warns(UserWarning, match="runs uncaptured.* than a plain one"):
        two_epochs(recorded)
    assert not recorded.captured and recorded.replays == 1
