"""The other searches for sizes: super-kernel, mixture (DASH), envelope: parts by hand, budgets, gradients, resumption, bad input."""

import math

import pytest
import torch
import torch.nn.functional as F

from baselines.dash import DashSearch
from baselines.envelope import EnvelopeOptions, EnvelopeSearch, envelope
from baselines.size_choice import ChoiceOptions
from baselines.super_kernel import SuperKernelSearch, nested_parts
from effconv import cifar_resnet

SHAPE = (3, 16, 16)
KINDS = {
    "super-kernel": (SuperKernelSearch, ChoiceOptions), "dash": (DashSearch, ChoiceOptions),
    "envelope": (EnvelopeSearch, EnvelopeOptions),
}  # fmt: skip


def search_of(kind, *, budget=4000, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cifar_resnet(8, widths=(4, 4, 8))
    cls, choices = KINDS[kind]
    return cls(model, input_shape=SHAPE, parameters=budget, options=choices(record_every=1, **options), seed=0).train()


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, *SHAPE, generator=generator), torch.randint(0, 10, (8,), generator=generator)


def steps(search, optimizer, first, last):
    for number in range(first, last):
        images, labels = batch(number)
        loss = F.cross_entropy(search(images), labels) + search.penalty()
        optimizer.zero_grad()
        loss.backward()
        search.after_backward()
        optimizer.step()


def test_nested_parts_by_hand():
    parts = nested_parts(3)
    assert parts[0].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert parts[1].tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    assert parts[2].tolist() == [[1, 1, 1]] * 3
    assert nested_parts(3, "start")[1].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_a_drawn_size_convolves_as_a_kernel_of_that_size():
    from effconv import same_conv2d

    search = search_of("super-kernel").eval()
    search.set_sizes([2] * 6)
    whole = search.step_kernels()[0]
    cropped = search.kernels[0][:, :, 3:5, 3:5]
    images = torch.randn(2, 4, 9, 9, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(same_conv2d(images, whole), same_conv2d(images, cropped), rtol=1e-4, atol=1e-5)


def test_the_gradient_of_a_choice_is_what_its_positions_bring():
    search = search_of("super-kernel")
    kernels = search.step_kernels()
    taken = [kernel.abs().gt(0).any(0).any(0).sum().sqrt().item() for kernel in kernels]
    assert set(taken) <= set(range(1, 8)) and len(set(taken)) > 1  # one size a layer, drawn
    sum(kernel.sum() for kernel in kernels).backward()
    assert all(row.abs().max() > 0 for row in search.logits.grad)


@pytest.mark.parametrize("options", [{"temperature": 0.0}, {"lr_choice": -1.0}])
def test_a_choice_needs_a_temperature_and_a_rate(options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} is {options[name]}: give a number above 0"):
        ChoiceOptions(**options)


def test_the_envelope_by_hand():
    # Width 4, threshold 0.1: at 2 pixels from the middle the Gaussian is 0.1; 7 x 7, so that pixels lie at 0, 1, 2, 3.
    shape = envelope(7, torch.tensor(4.0, dtype=torch.float64), 0.1)
    assert float(shape[3, 5] / shape[3, 3]) == pytest.approx(0.1, rel=1e-12)
    assert float(shape[3, 4] / shape[3, 3]) == pytest.approx(0.1**0.25, rel=1e-12)
    assert float(shape.square().sum()) == pytest.approx(49, rel=1e-12)  # that of 7 x 7 ones
    with pytest.raises(ValueError, match="threshold is 1.0"):
        EnvelopeOptions(threshold=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(KINDS))
def test_the_budget_is_met_and_a_search_resumes_exactly(kind):
    rates = {"lr_envelope": 0.05} if kind == "envelope" else {"lr_choice": 0.1}
    torch.manual_seed(1)
    search = search_of(kind, **rates)
    optimizer = torch.optim.AdamW(search.parameter_groups())
    steps(search, optimizer, 0, 10)
    saved = search.state_dict(), optimizer.state_dict(), torch.get_rng_state()
    saved = torch.load(_saved(saved), weights_only=True)
    steps(search, optimizer, 10, 60)
    found = search.learned()
    assert found.chosen["deviation"] < 0.1 and found.parameters == pytest.approx(4000, rel=0.1)
    again = search_of(kind, **rates)
    optimizer = torch.optim.AdamW(again.parameter_groups())
    again.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    torch.set_rng_state(saved[2])
    steps(again, optimizer, 10, 60)
    assert again.soft_sizes == search.soft_sizes and again.learned().trajectory == found.trajectory


def _saved(state):
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


@pytest.mark.parametrize("kind", list(KINDS))
def test_sizes_can_be_set_and_unreachable_budgets_are_refused(kind):
    search = search_of(kind, budget=None)
    search.set_sizes([1, 7, 2, 3, 5, 6])
    assert search.sizes == (1, 7, 2, 3, 5, 6)
    assert search.deployed_parameters() == search.costs.total("parameters", [1, 7, 2, 3, 5, 6])
    with pytest.raises(ValueError, match="No kernel sizes give the whole network 10 parameters"):
        search_of(kind, budget=10)


def test_the_envelopes_gradient_reaches_every_width():
    search = search_of("envelope")
    images, labels = batch(0)
    F.cross_entropy(search(images), labels).backward()
    search.after_backward()
    assert all(value > 0 for value in search.learned().trajectory["gradient_loss"][0])
    assert math.isfinite(float(search.penalty().detach()))
