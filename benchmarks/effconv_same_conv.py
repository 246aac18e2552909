"""SameConv2d against a plain convolution of the same size (odd), and against the other exact ways (even). Forward and backward.

Run: python -m benchmarks.effconv_same_conv [--batch 32] [--rounds 15]
"""

import argparse
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.effconv_timing import report, side_by_side
from effconv import SameConv2d

LAYERS = [(16, 16, 32, 1), (64, 64, 8, 1), (16, 32, 32, 2)]  # in, out, side, stride


def forward_and_backward(call, images: Tensor, conv: SameConv2d):
    def run() -> None:
        images.grad = conv.weight.grad = None
        call(images, conv).sum().backward()

    return run


def plain(images: Tensor, conv: SameConv2d) -> Tensor:
    return F.conv2d(images, conv.weight, stride=conv.stride, padding=conv.weight.shape[-1] // 2)


def padded_all_round(images: Tensor, conv: SameConv2d) -> Tensor:
    little, much = (conv.weight.shape[-1] - 1) // 2, conv.weight.shape[-1] // 2
    return F.conv2d(F.pad(images, (little, much, little, much)), conv.weight, stride=conv.stride)


def torch_same(images: Tensor, conv: SameConv2d) -> Tensor:
    return F.conv2d(images, conv.weight, padding="same")


def next_odd(images: Tensor, conv: SameConv2d) -> Tensor:
    size = conv.weight.shape[-1]
    return F.conv2d(images, F.pad(conv.weight, (1, 0, 1, 0)), stride=conv.stride, padding=size // 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # torch's "same" warns that it copies the input
    torch.manual_seed(0)
    for inner, outer, side, stride in LAYERS:
        for size in range(2, 8):
            images = (
                torch.randn(arguments.batch, inner, side, side).to(memory_format=torch.channels_last).requires_grad_()
            )
            conv = SameConv2d(inner, outer, size, stride).to(memory_format=torch.channels_last)
            ways = {"SameConv2d": lambda x, c: c(x)}
            if size % 2:
                ways["plain"] = plain
            else:
                ways |= {"pad all round": padded_all_round, "next odd size": next_odd}
                ways |= {"torch same": torch_same} if stride == 1 else {}
            sides = {name: forward_and_backward(call, images, conv) for name, call in ways.items()}
            times = side_by_side(sides, rounds=arguments.rounds, warm_up=2)
            report(
                f"{inner}->{outer} @{side} stride {stride} size {size}",
                times,
                over="plain" if size % 2 else "SameConv2d",
            )


if __name__ == "__main__":
    main()
