"""The search of fixed shapes is the plain one, and asks the host for nothing: replayed blindly it goes on correctly."""

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from effconv import FixedShapeSearch, KernelSizeSearch, SearchOptions, cifar_resnet


def pair(**options):
    """(plain, fixed) searches of one small network, in float64."""
    options = {"kernel_predictor": "projected", "hidden": 8, "lr_size_predictor": 0.02, "record_every": 2, **options}
    found = []
    for kind in (KernelSizeSearch, FixedShapeSearch):
        torch.manual_seed(0)
        model = cifar_resnet(8, widths=(3, 4, 5))
        found.append(
            kind(model, input_shape=(3, 9, 9), parameters=4000, options=SearchOptions(**options), seed=1)
            .double()
            .train()
        )
    return found


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(4, 3, 9, 9, generator=generator, dtype=torch.float64), torch.tensor([0, 1, 2, 3])


def backward(search, images, labels):
    loss = F.cross_entropy(search(images), labels) + search.penalty()
    loss.backward()
    search.after_backward()
    return loss.detach()


@pytest.mark.parametrize("even_padding", ["end", "start"])
@pytest.mark.parametrize("centre", ["printed", "centred", "soft-centred"])
@pytest.mark.parametrize("sizes", [[3] * 6, [1, 2, 3, 4, 5, 6], [7, 6, 1, 2, 4, 7]])
def test_loss_and_gradients_are_the_plain_searchs(even_padding, centre, sizes):
    plain, fixed = pair(even_padding=even_padding, mask_centre=centre)
    images, labels = batch()
    losses = []
    for search in (plain, fixed):
        search.set_sizes(sizes)
        assert list(search.sizes) == sizes
        losses.append(backward(search, images, labels))
    torch.testing.assert_close(*losses, rtol=1e-12, atol=1e-12)
    for (name, mine), other in zip(fixed.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(
            mine.grad, other.grad, rtol=1e-8, atol=1e-11, msg=lambda text, n=name: f"{n}: {text}"
        )


def steps(search, count, optimiser):
    for number in range(count):
        optimiser.zero_grad(set_to_none=False)
        backward(search, *batch(number))
        optimiser.step()


@pytest.mark.parametrize("data_free", [False, True])
def test_the_record_of_a_search_is_the_plain_ones(data_free):
    results = []
    for search in pair(data_free=data_free):
        steps(search, 12, torch.optim.AdamW(search.parameter_groups()))
        results.append(search.learned())
    plain, fixed = results
    assert plain.sizes == fixed.sizes and plain.chosen["step"] == fixed.chosen["step"]
    assert fixed.trajectory["step"] == [1, 3, 5, 7, 9, 11] and len(set(map(tuple, fixed.trajectory["sizes"]))) > 1
    assert plain.trajectory.keys() == fixed.trajectory.keys()
    for field in plain.trajectory:
        torch.testing.assert_close(
            torch.tensor(fixed.trajectory[field]).double(),
            torch.tensor(plain.trajectory[field]).double(),
            rtol=2e-3,
            atol=1e-9,
        )


def test_a_checkpoint_of_one_continues_in_the_other():
    plain, fixed = pair()
    steps(fixed, 3, torch.optim.AdamW(fixed.parameter_groups()))
    state = fixed.state_dict()
    plain.load_state_dict(state)
    assert plain.progress.step == 3 and plain.sizes == fixed.sizes


class Recorder(TorchDispatchMode):
    """Keeps every operation with its very tensors, to be done again in place: what capturing a CUDA graph does, without the speed."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        assert function not in (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default), function
        result = function(*arguments, **(keywords or {}))
        self.calls.append((function, arguments, keywords or {}, result))
        return result

    def replay(self):
        for function, arguments, keywords, result in self.calls:
            again = function(*arguments, **keywords)

            def put(old, new):
                if isinstance(old, torch.Tensor) and old is not new and old.data_ptr() != new.data_ptr():
                    old.copy_(new)

            if isinstance(result, (tuple, list)):
                [put(old, new) for old, new in zip(result, again, strict=True)]
            else:
                put(result, again)


def test_a_step_can_be_replayed_without_the_host():
    captured, stepped = pair()[1], pair()[1]
    images, labels = batch()
    static = images.clone(), labels.clone()
    rates = {"lr": 0.05}
    optimiser = torch.optim.SGD(captured.parameters(), **rates)
    backward(captured, *static)  # gradients exist from here on
    optimiser.zero_grad(set_to_none=False)
    recorder = Recorder()
    with recorder:
        optimiser.zero_grad(set_to_none=False)
        backward(captured, *static)
        optimiser.step()
    for number in range(1, 9):
        static[0].copy_(batch(number)[0])
        with torch.no_grad():
            recorder.replay()
    other = torch.optim.SGD(stepped.parameters(), **rates)
    backward(stepped, images, labels)
    for number in range(9):
        other.zero_grad(set_to_none=False)
        backward(stepped, *batch(number))
        other.step()
    assert len({tuple(row) for row in stepped.learned().trajectory["sizes"]}) > 1  # so that frozen sizes would be seen
    assert captured.learned().trajectory == stepped.learned().trajectory
    for mine, theirs in zip(captured.parameters(), stepped.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)


def test_evaluation_sees_replayed_steps():
    search, images = pair(size_predictor="free")[1].eval(), batch()[0]
    with torch.no_grad():
        first = search(images)
        for parameter in search.kernel_predictors.parameters():
            parameter.data.mul_(2)  # as a replay does: the version counter stays
        search.train()
        assert not torch.equal(search.eval()(images), first)


@pytest.mark.parametrize("options", [{"mask": "none"}, {"budget_method": "rescale"}, {"odd_only": True}])
def test_what_it_does_not_do_is_refused(options):
    assert not FixedShapeSearch.supports(SearchOptions(**options))
    with pytest.raises(ValueError, match="use KernelSizeSearch"):
        FixedShapeSearch(
            cifar_resnet(8, widths=(3, 4, 5)), input_shape=(3, 9, 9), parameters=4000,
            options=SearchOptions(kernel_predictor="projected", **options),
        )  # fmt: skip
