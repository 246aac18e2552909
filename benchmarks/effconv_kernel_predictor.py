"""The literal kernel predictor of ResNet-20 at sizes around 5: this library against one torch.nn.GRUCell call a position.

Forward and backward, same weights; values and gradients are compared first. Needs about 5 GB and a minute or two.
Run: python -m benchmarks.effconv_kernel_predictor [--rounds 3] [--widths 16 32 64]
"""

import argparse

import torch
from torch import Tensor, nn

from benchmarks.effconv_timing import report, side_by_side
from effconv import KernelPredictors, SearchOptions, cifar_resnet, find_layers
from effconv.memory import predictor_memory

SIZES = [5, 4, 6, 4, 7, 4, 5, 4, 6, 5, 4, 5, 5, 5, 4, 5, 5, 4]


def cells_of(predictors: KernelPredictors) -> list[tuple[nn.GRUCell, Tensor]]:
    """One GRUCell a layer on the same memory as the predictors' weights, and its constant input."""
    cells: list = [None] * len(predictors.shapes)
    for width, layers in predictors.members.items():
        group = predictors.groups[str(width)]
        for member, layer in enumerate(layers):
            cell = nn.GRUCell(group.z.shape[1], width, device="meta")
            names = ("input_weights", "hidden_weights", "input_biases", "hidden_biases")
            for own, name in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), names, strict=True):
                setattr(cell, own, nn.Parameter(getattr(group, name).detach()[member]))
            cells[layer] = (cell, group.z[member : member + 1])
    return cells


def by_cells(cells: list[tuple[nn.GRUCell, Tensor]], shapes: list[tuple[int, int]]) -> list[Tensor]:
    kernels = []
    for (cell, z), size, (inner, outer) in zip(cells, SIZES, shapes, strict=True):
        state, states = None, []
        for _ in range(size * size):
            state = cell(z, state)
            states.append(state)
        kernels.append(torch.cat(states).reshape(size, size, outer, inner).permute(2, 3, 0, 1))
    return kernels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--widths", type=int, nargs=3, default=[16, 32, 64])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    layers = find_layers(cifar_resnet(20, widths=arguments.widths), (3, 32, 32))
    shapes = [(layer.inner, layer.outer) for layer in layers]
    memory = predictor_memory(shapes, SearchOptions(kernel_predictor="literal"))
    print(f"literal predictor, training: {memory / 1e9:.2f} GB with AdamW's state")
    predictors = KernelPredictors(shapes, generator=torch.Generator().manual_seed(0))
    cells = cells_of(predictors)
    parts = nn.ModuleList(cell for cell, _ in cells)

    def fast() -> list[Tensor]:
        predictors.zero_grad(set_to_none=True)
        kernels = predictors(SIZES)
        sum(kernel.square().sum() for kernel in kernels).backward()
        return kernels

    def slow() -> list[Tensor]:
        parts.zero_grad(set_to_none=True)
        kernels = by_cells(cells, shapes)
        sum(kernel.square().sum() for kernel in kernels).backward()
        return kernels

    worst = max((a - b).detach().abs().max().item() for a, b in zip(fast(), slow(), strict=True))
    apart = 0.0
    for width, members in predictors.members.items():
        for member, layer in enumerate(members):
            ours, theirs = predictors.groups[str(width)].hidden_weights.grad[member], cells[layer][0].weight_hh.grad
            apart = max(apart, ((ours - theirs).norm() / theirs.norm()).item())
    print(f"kernels differ by {worst:.1e} at most, hidden weights' gradients by {apart:.1e} of their norm (float32)")
    with torch.no_grad():
        forward = side_by_side({"fast": lambda: predictors(SIZES), "cell": lambda: by_cells(cells, shapes)}, rounds=3)
    report("forward alone", forward, over="fast")
    report("forward and backward", side_by_side({"fast": fast, "cell": slow}, rounds=arguments.rounds), over="fast")


if __name__ == "__main__":
    main()
