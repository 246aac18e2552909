"""CIFAR ResNet-20 at batch 128 on the CPU: the suite's training step against the usual loop, side by side.

    python -m benchmarks.engine_cpu [--threads 2] [--rounds 5] [--steps 24] [--compiled]

Each variant has a process of its own, since the suite's sets how memory is kept; only one of them works at a time. They take turns,
in reversed order every other round, and medians are compared: speeds drift with what else the machine does, ratios hardly. Set
EFFCONV_REAL_DATA to a folder with cifar10/train.npz for real images.
"""

import argparse
import multiprocessing
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch

from benchmarks.engine_usual import BATCH, Ours, Usual, cifar10, network, usual_batches
from effconv import count_macs
from workflow.engine.load import ForeignLoad
from workflow.engine.precision import advice, computes_bf16

# bfloat16 is left out where the processor emulates it: a step would take seconds.
VARIANTS = ("usual", "ours fp32", *(["ours bf16"] if computes_bf16(torch.device("cpu")) else []))


def serve(name: str, threads: int, orders: object) -> None:
    """A variant's process: answers ("steps", n) with seconds and ("parts", n) with milliseconds by part, until None."""
    torch.set_num_threads(threads)
    images, labels, _ = cifar10()
    usual = name == "usual"
    if usual:
        variant = Usual(images, labels, depth=20)
    else:
        variant = Ours(images, labels, depth=20, precision=name.split()[1])
        if name.endswith("compiled"):
            variant.step.model.compile()
    while (order := orders.recv()) is not None:
        what, count = order
        began = time.perf_counter()
        if what == "parts":
            orders.send(breakdown(variant.steps if usual else variant.timed_steps, count))
        else:
            variant.steps(count)
            orders.send(time.perf_counter() - began)


def compared(
    variants: Sequence[str], threads: int, *, rounds: int, steps: int
) -> tuple[dict[str, float], dict[str, dict]]:
    """Median images per second of each variant, and the parts of its step."""
    context, lines, workers = multiprocessing.get_context("spawn"), {}, []
    for name in variants:
        lines[name], theirs = context.Pipe()
        workers.append(context.Process(target=serve, args=(name, threads, theirs)))
        workers[-1].start()

    def ask(name: str, what: str, count: int) -> object:
        lines[name].send((what, count))
        return lines[name].recv()

    speeds = defaultdict(list)
    for name in variants:
        ask(name, "steps", 3)
    for number in range(rounds):
        for name in variants[:: 1 if number % 2 == 0 else -1]:
            speeds[name].append(steps * BATCH / ask(name, "steps", steps))
    parts = {name: ask(name, "parts", 12) for name in variants}
    for name, worker in zip(variants, workers, strict=True):
        lines[name].send(None)
        worker.join(30)
        worker.kill()  # where the DataLoader's workers keep it from ending
    return {name: statistics.median(values) for name, values in speeds.items()}, parts


def breakdown(run: Callable[[int, Callable[[str], None]], None], steps: int) -> dict[str, float]:
    """Median milliseconds of each part of a step."""
    parts, last = defaultdict(list), time.perf_counter()

    def clock(part: str) -> None:
        nonlocal last
        now = time.perf_counter()
        parts[part].append(1000 * (now - last))
        last = now

    run(steps, clock)
    return {part: statistics.median(values[2:]) for part, values in parts.items()}


def best(function: Callable[[], object], repeats: int = 7) -> float:
    """Seconds of the fastest call."""
    function()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return min(times)


def ceilings() -> dict[str, float]:
    """What the machine can do: GFLOP/s of a wide convolution in fp32 and bf16, GB/s of a large copy (read and written)."""
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        x = torch.randn(16, 256, 32, 32, dtype=dtype).contiguous(memory_format=torch.channels_last)
        w = torch.randn(256, 256, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            seconds = best(lambda x=x, w=w: torch.conv2d(x, w, padding=1))
        found[name] = 2 * 16 * 32 * 32 * 256 * 256 * 9 / seconds / 1e9
    source, target = torch.empty(2**26), torch.empty(2**26)
    found["copy"] = 2 * 4 * 2**26 / best(lambda: target.copy_(source)) / 1e9
    return found


def activations() -> int:
    """Bytes of all convolutions' fp32 outputs for one image of ResNet-20."""
    total, model = 0, network(20)

    def add(module: torch.nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal total
        total += 4 * output.numel()

    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(add)
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    return total


def rate(run: Callable[[int], None], *, rounds: int, steps: int) -> float:
    """Median images per second of `run(steps)`."""
    run(3)
    speeds = []
    for _ in range(rounds):
        began = time.perf_counter()
        run(steps)
        speeds.append(steps * BATCH / (time.perf_counter() - began))
    return statistics.median(speeds)


def data_paths() -> dict[str, float]:
    """Images per second of the two data paths alone."""
    images, labels, _ = cifar10()
    usual, train = usual_batches(images, labels, workers=2), Ours(images, labels, depth=20).step.images
    plan = train.epoch(1)

    def dataloader(count: int) -> None:
        for _ in range(count):
            next(usual)

    def gather(count: int) -> None:
        for number in range(count):
            train.load(train.step(plan, number % (train.steps - 1)))

    return {"usual": rate(dataloader, rounds=3, steps=60), "ours": rate(gather, rounds=5, steps=300)}


def show(speeds: dict, parts: dict, paths: dict, limits: dict) -> None:
    """Print the tables: speeds with the parts of a step, the data paths alone, fractions of the machine's ceilings."""
    print(
        f"\n{'':20}{'images/s':>10}{'ratio':>8}{'s/epoch':>9}   | ms: data{'forward':>9}{'backward':>10}{'optimiser':>11}"
    )
    for name, speed in speeds.items():
        p = parts[name]
        left = f"{name:20}{speed:10.0f}{speed / speeds['usual']:8.2f}{50_000 / speed:9.1f}   |"
        print(f"{left}{p['data']:9.2f}{p['forward']:9.1f}{p['backward']:10.1f}{p['optimiser']:11.2f}")
    ratio = paths["ours"] / paths["usual"]
    print(f"\ndata path alone, images/s: usual {paths['usual']:,.0f}, ours {paths['ours']:,.0f}, ratio {ratio:.1f}")
    print(
        "\nFraction of this machine's ceilings (wide convolution; large copy), the least work being 3 x the forward's"
    )
    print("multiply-accumulates and 7 passes over the convolutions' outputs:")
    flops, traffic = 6 * count_macs(network(20), (3, 32, 32)), 7 * activations()
    for name, scale in (("fp32", 1), ("bf16", 2)):
        if f"ours {name}" not in speeds:
            print(f"  ours {name}: not measured, {advice(name, torch.device('cpu'))}")
            continue
        speed = speeds[f"ours {name}"]
        done, moved = speed * flops / 1e9, speed * traffic / scale / 1e9
        arithmetic = f"{done:5.0f} of {limits[name]:5.0f} GFLOP/s ({done / limits[name]:.0%})"
        print(f"  ours {name}: {arithmetic}; {moved:5.1f} of {limits['copy']:5.1f} GB/s ({moved / limits['copy']:.0%})")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--compiled", action="store_true", help="the fp32 step through torch's compiler, too")
    options = parser.parse_args()
    variants = (*VARIANTS, *(["ours fp32 compiled"] if options.compiled else []))
    torch.set_num_threads(options.threads)
    load = ForeignLoad()
    load.start()
    speeds, parts = compared(variants, options.threads, rounds=options.rounds, steps=options.steps)
    load.stop()
    paths, limits, what = data_paths(), ceilings(), cifar10()[2]
    print(f"CIFAR ResNet-20, batch {BATCH}, {what}, {options.threads} threads, torch {torch.__version__}")
    show(speeds, parts, paths, limits)
    print(f"\nBusy cores meanwhile, this benchmark's own processes included: {load.cores:.2f}")


if __name__ == "__main__":
    main()
