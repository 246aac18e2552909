"""Sizes by regression of losses: the price and the regression by hand and by brute force, the budget, resumption, bad input."""

import io
import itertools

import numpy as np
import pytest
import torch

from baselines.sampled_sizes import SampledOptions, SampledSearch
from baselines.size_choice import sizes_at_budget
from effconv import cifar_resnet

SHAPE = (3, 16, 16)


def search_of(*, budget=4000, macs=None, **options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cifar_resnet(8, widths=(4, 4, 8))
    options = SampledOptions(record_every=1, **options)
    return SampledSearch(model, input_shape=SHAPE, parameters=budget, macs=macs, options=options, seed=0).train()


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(8, *SHAPE, generator=generator), torch.randint(0, 10, (8,), generator=generator)


def steps(search, optimizer, first, last):
    for number in range(first, last):
        loss, _ = search.training_loss(*batch(number))
        optimizer.zero_grad()
        (loss + search.penalty()).backward()
        search.after_backward()
        optimizer.step()


def test_sizes_at_the_budget_by_hand():
    # Two layers of sizes 1 to 3 that cost s * s / 10: 1 + 9 = 10 is the whole budget, and the second layer gains more.
    shares = np.array([[1, 4, 9], [1, 4, 9]]) / 10
    assert sizes_at_budget(np.array([[0, 1, 2], [0, 3, 6.0]]), shares) == (1, 3)
    assert sizes_at_budget(np.array([[0, 3, 6], [0, 1, 2.0]]), shares) == (3, 1)
    # Without the second layer's 3, 4 + 4 = 8 is nearer than 9 + 4 = 13.
    assert sizes_at_budget(np.array([[0, 1, 2], [0, 3, -np.inf]]), shares) == (2, 2)


def test_draws_lie_on_the_budget_and_differ():
    search, drawn = search_of(), set()
    for step in range(25):
        search.progress.step = step
        for sizes in search._draw():
            drawn.add(sizes)
            assert abs(search.deployed_parameters(sizes) / 4000 - 1) < 0.03
    assert len(drawn) > 25


@pytest.mark.slow
def test_the_regression_finds_the_sizes_that_cost_least():
    """Losses 0.01 c log s with a known c of each layer, and noise: what it finds is within noise of the best of all vectors."""
    search, effects = search_of(window=100_000), np.array([-5.0, 1, -1, -3, 0, -2]) / 100
    generator = np.random.default_rng(0)
    true = lambda sizes: float(effects @ np.log(sizes))
    for step in range(2000):
        search.progress.step = step
        one, other = search._draw()
        difference = true(one) - true(other) + generator.normal(scale=0.02)
        search._pairs.append((search._features(one) - search._features(other), torch.tensor(difference)))
    search._settle()
    count = search.deployed_parameters(search.sizes)
    assert abs(count / 4000 - 1) < 0.03
    possible = (
        sizes for sizes in itertools.product(range(1, 8), repeat=6) if search.deployed_parameters(sizes) <= count
    )
    best = min(map(true, possible))
    even = true(search_of().sizes)
    assert true(search.sizes) - best < 0.1 * (even - best)


def test_without_images_sizes_are_even():
    search = search_of(data_free=True)
    search.step_sizes()
    search.penalty().backward()
    assert max(search.sizes) - min(search.sizes) <= 1
    assert abs(search.deployed_parameters() / 4000 - 1) < 0.1


def test_a_layers_kernel_is_the_middle_of_its_greatest():
    search = search_of().eval()
    search.set_sizes([2, 3, 2, 3, 2, 3])
    kernels = search.step_kernels()
    assert torch.equal(kernels[0], search.kernels[0][..., 3:5, 3:5])  # of 7: even sizes reach one further at the end
    assert torch.equal(kernels[1], search.kernels[1][..., 2:5, 2:5])


def test_a_search_goes_on_exactly_after_a_checkpoint():
    def run(break_at):
        search = search_of()
        optimizer = torch.optim.AdamW(search.parameter_groups())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(3)
            steps(search, optimizer, 0, break_at or 6)
            if break_at:
                file = io.BytesIO()
                torch.save({"search": search.state_dict(), "optimizer": optimizer.state_dict()}, file)
                file.seek(0)
                state = torch.load(file, weights_only=False)
                search = search_of()
                optimizer = torch.optim.AdamW(search.parameter_groups())
                search.load_state_dict(state["search"])
                optimizer.load_state_dict(state["optimizer"])
                steps(search, optimizer, break_at, 6)
        return search

    whole, broken = run(None), run(3)
    assert whole.sizes == broken.sizes and whole.progress.trajectory() == broken.progress.trajectory()
    assert torch.allclose(whole.evidence, broken.evidence, rtol=1e-9)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), broken.parameters(), strict=True))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: search_of(budget=None), "one budget"),
        (lambda: search_of(macs=400_000), "one budget"),
        (lambda: SampledOptions(window=0), "window"),
    ],
)
def test_bad_input(make, words):
    with pytest.raises(ValueError, match=words):
        make()
