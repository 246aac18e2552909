"""A search step of EffConv-20 (projected predictor) against a training step of the plain network at the same sizes.

Run: python -m benchmarks.effconv_search_step [--batch 128] [--rounds 7]
"""

import argparse

import torch
import torch.nn.functional as F

from benchmarks.effconv_timing import report, side_by_side
from effconv import KernelSizeSearch, SearchOptions, cifar_resnet

CASES = {
    "all sizes 3 (start)": [3] * 18,
    "0.66M": [5, 4, 6, 4, 7, 4, 5, 4, 6, 5, 4, 5, 5, 5, 4, 5, 5, 4],
}


def search_at(sizes: list[int]) -> KernelSizeSearch:
    """A search whose size predictor gives these sizes and is too slow to leave them within the benchmark."""
    options = SearchOptions(kernel_predictor="projected", lr_size_predictor=1e-9)
    search = KernelSizeSearch(cifar_resnet(20), input_shape=(3, 32, 32), parameters=660_000, options=options)
    with torch.no_grad():
        inner = (torch.tensor(sizes) - 4) / 3
        wanted = options.tau * (torch.atanh(inner.clamp(-0.97, 0.97)) - options.b)
        search.size_predictor.bias += wanted - search.size_predictor.numbers()
    assert list(search.sizes) == sizes
    return search


def step_of(model: torch.nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor):
    def step() -> None:
        loss = F.cross_entropy(model(images), labels)
        if isinstance(model, KernelSizeSearch):
            loss = loss + model.penalty()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if isinstance(model, KernelSizeSearch):
            model.after_backward()
        optimizer.step()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.randn(arguments.batch, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (arguments.batch,))
    for case, sizes in CASES.items():
        search = search_at(sizes).to(memory_format=torch.channels_last)
        plain = cifar_resnet(20, kernel_sizes=sizes).to(memory_format=torch.channels_last)
        sides = {
            "plain": step_of(
                plain, torch.optim.SGD(plain.parameters(), lr=1e-3, momentum=0.9, fused=True), images, labels
            ),
            "search": step_of(search, torch.optim.AdamW(search.parameter_groups(), fused=True), images, labels),
        }
        report(case, side_by_side(sides, rounds=arguments.rounds), over="plain")


if __name__ == "__main__":
    main()
