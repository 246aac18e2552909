"""The control without images: the same sizes as the search with `data_free`, and what is said of the difference."""

from dataclasses import replace

import pytest
import torch

from effconv import LearnedSizes, SearchOptions, cifar_resnet, learn_kernel_sizes


def learn(seed=0, **options):
    generator = torch.Generator().manual_seed(0)
    batches = [(torch.randn(4, 3, 8, 8, generator=generator), torch.arange(4)) for _ in range(8)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cifar_resnet(8, widths=(2, 4, 4))
    options = {"lr_size_predictor": 0.02, "parameters": 1800, "epochs": 2, **options}
    return learn_kernel_sizes(model, batches, seed=seed, **options)


@pytest.mark.parametrize(
    "options",
    [{}, {"size_predictor": "free", "final_sizes": "last"}, {"budget_method": "multiplier"}, {"budget_method": "rescale"},
     {"parameters": None, "macs": 16_000}],
    ids=lambda options: "-".join(map(str, options)) or "paper",
)  # fmt: skip
def test_finds_what_the_search_without_images_finds(options):
    learned, control = learn(seed=3, **options), learn(seed=3, data_free=True, **options)
    found = learned.against_budget_only()
    assert found.sizes == control.sizes and found.steps == 16
    assert found.soft_sizes == pytest.approx(control.last["soft_sizes"], abs=1e-6)
    apart = {name: abs(learned.last["soft_sizes"][name] - soft) for name, soft in control.last["soft_sizes"].items()}
    assert found.mean_difference == pytest.approx(sum(apart.values()) / 6, abs=1e-6)
    assert found.agreeing == [name for name, distance in apart.items() if distance < 0.1]
    assert control.against_budget_only().mean_difference == pytest.approx(0, abs=1e-6)


def test_one_sentence_with_its_numbers(tmp_path):
    learned = learn()
    learned.save(tmp_path / "sizes.json")
    found = LearnedSizes.load(tmp_path / "sizes.json").against_budget_only()  # needs no network
    assert found == learned.against_budget_only()
    assert f"(16 steps) ends {found.mean_difference:.2f} pixels away" in str(found)
    assert f"{len(found.agreeing)} of 6 layers" in str(found)


def test_leaves_the_random_state_alone():
    learned, state = learn(), torch.get_rng_state()
    learned.against_budget_only()
    assert torch.equal(torch.get_rng_state(), state)


class OtherOptions(SearchOptions):
    """Those of another method."""


def test_sizes_of_another_origin_are_refused():
    learned = learn()
    for other in (
        replace(learned, convolutions=()),
        replace(learned, options=OtherOptions()),
        replace(learned, seed=None),
    ):
        with pytest.raises(ValueError, match="learn them again"):
            other.against_budget_only()


def test_without_a_budget_there_is_nothing_to_compare_with():
    with pytest.raises(ValueError, match="learned without a budget"):
        learn(parameters=None).against_budget_only()
    with pytest.raises(ValueError, match="give parameters or macs"):
        learn(parameters=None, data_free=True)
