"""A step that is recorded once and replayed without its Python is the step: what CUDA graphs rest on.

torch.fx stands for the graph, on the CPU: it records the operations of one whole step, with forward and backward pass, update and
counters, and replays them on the same memory. Whatever Python decides or counts anew in each step would stay as it was when recorded.
"""

import pytest
import torch

from effconv import fixed_shapes
from workflow.check.equality import KINDS, Kind, Plain, Recorded, build
from workflow.engine.graphs import WARM_STEPS

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
STEPS = 4  # whole ones an epoch, and a partial one
OF_THE_CHECK = ("SGD, even kernels", "wide", "DCLS", "groups of parameters", "dropout, perspective")


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
    assert recorded.replays == 2 * STEPS - WARM_STEPS
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    "kind",
    [*map(KINDS.get, OF_THE_CHECK), Kind("article_separable3")],
    ids=[*OF_THE_CHECK, "depthwise"],
)
def test_training_replayed_is_training(kind):
    agree(build(Plain, kind, CPU), build(Recorded, kind, CPU))


@pytest.mark.parametrize("predictor", ["literal", "projected"])
def test_a_search_replayed_is_the_search(predictor, monkeypatch):
    monkeypatch.setattr(fixed_shapes, "LOG_STEPS", STEPS + 1)  # the device has room for the steps of one epoch
    kind = KINDS[f"search, {predictor}"]
    plain, recorded = build(Plain, kind, CPU), build(Recorded, kind, CPU)
    agree(plain, recorded)
    one, other = plain.model.learned(), recorded.model.learned()
    assert other.sizes == one.sizes and other.trajectory["step"] == one.trajectory["step"]


def test_what_python_counts_is_noticed_and_the_run_goes_on_uncaptured():
    recorded = build(Recorded, KINDS["guard: other numbers"], CPU)
    with pytest.warns(UserWarning, match="runs uncaptured.* than a plain one"):
        two_epochs(recorded)
    assert not recorded.captured and recorded.replays == 1
