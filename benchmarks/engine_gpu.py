"""CIFAR ResNets at batch 128 on one GPU: the suite's captured step against the usual loop, and runs side by side on one card.

    python -m benchmarks.engine_gpu [--seconds 3] [--rounds 5] [--side 1 3 6]

The first table: images per second of the usual loop, of the suite's step uncaptured and captured, in each precision, taking turns.
The second: K processes, each training its own ResNet-20; K captured graphs on streams of one process; K networks stacked in one
program. Total images per second, and CIFAR-10 rows (one seed of 164 epochs, training only) per hour of the card.
"""

import argparse
import statistics
import time
from collections import defaultdict

import torch
from torch import func, nn
from torch.nn import functional as F

from benchmarks.engine_usual import BATCH, Ours, Usual, cifar10, network
from workflow.check.side_by_side import ROW_IMAGES
from workflow.check.side_by_side import total as processes
from workflow.engine import graphs
from workflow.engine.precision import autocast, backend

WARM = 30  # steps before the clock


def timed(variant: Ours | Usual, seconds: float) -> float:
    """Images per second over about `seconds`."""
    torch.cuda.synchronize()
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        variant.steps(20)
        torch.cuda.synchronize()
        steps += 20
    return steps * BATCH / (time.perf_counter() - began)


def uncaptured(*arguments, **options) -> Ours:
    """The suite's step without capture."""
    before, graphs.capturable = graphs.capturable, lambda model, device: False
    try:
        return Ours(*arguments, **options)
    finally:
        graphs.capturable = before


def compare(depth: int, *, rounds: int, seconds: float, workers: int) -> None:
    """Print the first table for one depth."""
    images, labels, what = cifar10()
    device = torch.device("cuda:0")
    variants: dict[str, tuple[str, Ours | Usual]] = {
        "usual fp32": ("fp32", Usual(images, labels, depth=depth, device="cuda:0", workers=workers))
    }
    for precision in ("fp32", "tf32", "bf16"):
        for name, make in (("uncaptured", uncaptured), ("captured", Ours)):
            with backend(precision, device):
                variant = make(images, labels, depth=depth, device="cuda:0", precision=precision)
                variant.steps(WARM)
            variants[f"{name} {precision}"] = (precision, variant)
    speeds = defaultdict(list)
    for number in range(rounds):
        for name in list(variants)[:: 1 if number % 2 == 0 else -1]:
            precision, variant = variants[name]
            with backend(precision, device):
                speeds[name].append(timed(variant, seconds))
    base = statistics.median(speeds["usual fp32"])
    print(
        f"\nCIFAR ResNet-{depth}, batch {BATCH}, {what}, {torch.cuda.get_device_name()}, {workers} workers for the usual loop"
    )
    for name, values in speeds.items():
        speed = statistics.median(values)
        spread = f"{min(values):,.0f}..{max(values):,.0f}"
        print(f"  {name:18}{speed:12,.0f} images/s ({spread}){50_000 / speed:9.3f} s/epoch{speed / base:8.1f}x")


def streams(count: int, *, device: str, precision: str, seconds: float) -> float:
    """Total images per second of `count` captured steps replayed in turn, each on a stream of its own."""
    images, labels, _ = cifar10()
    with backend(precision, torch.device(device)):
        lanes = []
        for _ in range(count):
            variant = Ours(images, labels, depth=20, device=device, precision=precision)
            variant.steps(WARM)
            torch.cuda.synchronize()
            lanes.append((torch.cuda.Stream(), variant))
        began, steps = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            for _ in range(20):
                for stream, variant in lanes:
                    with torch.cuda.stream(stream):
                        variant.steps(1)
            torch.cuda.synchronize()
            steps += 20 * count
        return steps * BATCH / (time.perf_counter() - began)


def stacked(count: int, *, device: str, precision: str, seconds: float) -> float:
    """Total images per second of `count` networks as one program: parameters stacked, each convolution one of `count` groups.

    Only the arithmetic of a step, without running statistics of batch norm, which torch.func cannot vectorise: what it could give
    at best.
    """
    with backend(precision, torch.device(device)):
        step = Stacked(count, torch.device(device), precision)
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(3):
                step.take()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step.take()
        torch.cuda.synchronize()
        began, steps = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            for _ in range(20):
                graph.replay()
            torch.cuda.synchronize()
            steps += 20 * count
        return steps * BATCH / (time.perf_counter() - began)


class Stacked:
    """`take`: a step of several ResNet-20 at once, each with a batch of its own."""

    def __init__(self, count: int, device: torch.device, precision: str):
        models = [network(20).to(device).train() for _ in range(count)]
        for module in (module for model in models for module in model.modules()):
            if isinstance(module, nn.BatchNorm2d):
                module.track_running_stats, module.running_mean, module.running_var = False, None, None
                module.num_batches_tracked = None
        self.parameters, self.buffers = func.stack_module_state(models)
        self.model, self.precision, self.device = models[0], precision, device
        self.images = torch.randn(count, BATCH, 3, 32, 32, device=device)
        self.labels = torch.randint(0, 10, (count, BATCH), device=device)
        self.momentum = {name: torch.zeros_like(value) for name, value in self.parameters.items()}

    def loss(self, parameters: dict, buffers: dict, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with autocast(self.precision, self.device):
            logits = func.functional_call(self.model, (parameters, buffers), (images,))
        return F.cross_entropy(logits.float(), labels)

    def take(self) -> None:
        """Gradients of all, and SGD with momentum and weight decay as the recipe has it."""
        gradients = func.vmap(func.grad(self.loss))(self.parameters, self.buffers, self.images, self.labels)
        with torch.no_grad():
            values, moments = list(self.parameters.values()), list(self.momentum.values())
            torch._foreach_mul_(moments, 0.9)
            torch._foreach_add_(moments, [gradients[name] for name in self.parameters])
            torch._foreach_add_(moments, values, alpha=1e-4)
            torch._foreach_add_(values, moments, alpha=-0.1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--depths", type=int, nargs="+", default=[20, 44])
    parser.add_argument("--side", type=int, nargs="+", default=[1, 3, 6])
    parser.add_argument("--workers", type=int, default=2, help="of the usual loop's DataLoader")
    parser.add_argument("--precision", default="fp32", help="of the runs side by side")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("This benchmark needs a CUDA device: run benchmarks.engine_cpu for the CPU.")
    for depth in options.depths:
        compare(depth, rounds=options.rounds, seconds=options.seconds, workers=options.workers)
    print(f"\nResNet-20 side by side, {options.precision}")
    for name, run in (
        ("processes", processes),
        ("streams of one process", streams),
        ("stacked in one program", stacked),
    ):
        for count in options.side:
            speed = run(count, device="cuda:0", precision=options.precision, seconds=options.seconds)
            print(
                f"  {count} {name:24}{speed:12,.0f} images/s in total{3600 * speed / ROW_IMAGES:10.0f} rows per GPU-hour"
            )


if __name__ == "__main__":
    main()
