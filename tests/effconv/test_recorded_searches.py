"""Searches as they went before the library was rearranged: the same seed must lead to the same sizes, soft sizes and gradients.

`recorded_searches.json` was written by version 0.4 (torch 2.15 on a CPU). After a change of the method that is meant, write it anew:
`python -m tests.effconv.test_recorded_searches`.
"""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from effconv import KernelSizeSearch, SearchOptions, cifar_resnet

FILE = Path(__file__).with_name("recorded_searches.json")
SHAPE = (3, 16, 16)
COMMON = {"lr_size_predictor": 0.01, "record_every": 10}
SEARCHES = {
    "projected": {"kernel_predictor": "projected", "hidden": 16},
    "literal": {"kernel_predictor": "literal"},
    "centred": {"kernel_predictor": "literal", "mask_centre": "centred", "size_predictor": "gru-step"},
    "ours": {
        "kernel_predictor": "projected", "hidden": 16, "budget_method": "rescale", "mask": "fractional",
        "kernel_order": "nested",
    },
    "multiplier": {
        "kernel_predictor": "projected", "hidden": 16, "budget_method": "multiplier", "size_predictor": "free",
    },
    "no-images": {"kernel_predictor": "projected", "hidden": 16, "data_free": True},
}  # fmt: skip


def go(options):
    """40 steps of a small search: what is compared."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = cifar_resnet(8, widths=(4, 4, 8))
    options = SearchOptions(**COMMON, **options)
    search = KernelSizeSearch(model, input_shape=SHAPE, parameters=4000, options=options, seed=3).train()
    optimizer = torch.optim.AdamW(search.parameter_groups())
    for step in range(40):
        generator = torch.Generator().manual_seed(step)
        images, labels = torch.randn(8, *SHAPE, generator=generator), torch.arange(8)
        loss = F.cross_entropy(search(images), labels) + search.penalty()
        optimizer.zero_grad()
        loss.backward()
        search.after_backward()
        optimizer.step()
    learned = search.learned()
    fields = ("step", "soft_sizes", "sizes", "gradient_loss", "gradient_budget")
    return {
        "sizes": list(learned.sizes.values()), "step": learned.chosen["step"], "soft_sizes": list(search.soft_sizes),
        "trajectory": {field: learned.trajectory[field] for field in fields},
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", SEARCHES)
def test_a_seed_finds_the_sizes_that_it_found_before(name):
    before, now = json.loads(FILE.read_text())[name], go(SEARCHES[name])
    for field, values in before["trajectory"].items():
        # Processors round differently, and by the 40th step soft sizes are up to 0.07 apart: the first step is held to be the same.
        same = torch.testing.assert_close
        same(
            torch.tensor(now["trajectory"][field][0]),
            torch.tensor(values[0]),
            rtol=1e-3,
            atol=1e-4,
            msg=lambda m, f=field: f"{f}: {m}",
        )
    for soft, wanted in zip(now["trajectory"]["soft_sizes"], before["trajectory"]["soft_sizes"], strict=True):
        assert soft == pytest.approx(wanted, abs=0.15)
    assert now["soft_sizes"] == pytest.approx(before["soft_sizes"], abs=0.15)
    assert all(abs(size - wanted) <= 1 for size, wanted in zip(now["sizes"], before["sizes"], strict=True))
    assert len(set(map(tuple, before["trajectory"]["soft_sizes"]))) > 1  # the sizes move, so that a change would show


if __name__ == "__main__":
    FILE.write_text(json.dumps({name: go(options) for name, options in SEARCHES.items()}) + "\n")
