"""A training step of FlexNet-16 at initial and trained-like kernel sizes, direct and through the Fourier transform, and ResNet-44's.

    python -m benchmarks.flexconv_step [--rounds 3] [--positions start middle end]

Forward and backward pass on random CIFAR-sized images in channels-last order, one thread, interleaved, medians of CPU time. Batches
are half the published ones, and smaller for direct convolution with large kernels, so times are per image. Some three minutes.
"""

import argparse
from collections.abc import Callable

import torch
import torch.nn.functional as F

import baselines
from benchmarks.effconv_timing import side_by_side

BACKENDS = ("direct", "fft", "auto")
BATCH, DIRECT_BATCH, RESNET_BATCH = 32, {"start": 32, "middle": 8, "end": 2}, 64


def step_of(model: torch.nn.Module, batch: int) -> Callable[[], None]:
    """A call that runs one forward and backward pass over `batch` images."""
    images = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))

    def step() -> None:
        model.zero_grad(set_to_none=True)
        F.cross_entropy(model(images), labels).backward()

    return step


def case(position: str, rounds: int) -> None:
    """Print every side's time per image at one position of training, and its ratio to ResNet-44 and to direct convolution."""
    geometry = {"in_channels": 3, "num_classes": 10, "image_size": 32}
    batches = (
        {"resnet-44": RESNET_BATCH} | {backend: BATCH for backend in BACKENDS} | {"direct": DIRECT_BATCH[position]}
    )
    sides = {"resnet-44": step_of(baselines.build("cifar_resnet44", **geometry), RESNET_BATCH)}
    for backend in BACKENDS:
        model = baselines.build("flexnet16", **geometry, backend=backend)
        model.pretend_sizes(position)
        sides[backend] = step_of(model, batches[backend])
    model.decide()
    print(f"{position}: kernels {' '.join(f'{h}x{w}' for h, w in model.kernel_sizes())}")
    times = {name: value / batches[name] for name, value in side_by_side(sides, rounds=rounds).items()}
    for name, value in times.items():
        label = name if name == "resnet-44" else f"flexnet-16 {name}"
        print(
            f"  {label:20s} batch {batches[name]:4d} {value:9.2f} ms/image   / resnet-44 = {value / times['resnet-44']:6.2f}"
            f"   direct / this = {times['direct'] / value:6.2f}",
            flush=True,
        )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--positions", nargs="+", choices=list(DIRECT_BATCH), default=list(DIRECT_BATCH))
    arguments = parser.parse_args()
    torch.manual_seed(0)
    for position in arguments.positions:
        case(position, arguments.rounds)


if __name__ == "__main__":
    main()
