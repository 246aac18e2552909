"""ImageNet-32 at full size: archives in the official format are generated, prepared and read in random order.

    python benchmarks/data_imagenet32_full.py [FOLDER] [--fraction 1.0] [--loose]

Needs some 8 GB below FOLDER (default: a temporary folder) and removes it again. Prints the time, the peak memory of the
preparing process (file pages included) and the peak disk of preparing; then the rate of whole shuffled epochs in batches
of 128 from the memory map, beside a set of CIFAR-10's size: gathered and no more (random access to 3.9 GB misses the
processor's caches, and 0.15 GB does not), and as the training engine makes its batches, which is what the limit is for.
"""

import argparse
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import count, islice
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
BATCHES = {
    **{f"train_data_batch_{k}": 128_116 for k in range(1, 10)},
    "train_data_batch_10": 128_123,
    "val_data": 50_000,
}
LIMIT_GB, LIMIT_RATE, BATCH = 1.5, 0.8, 128


def counts(fraction: float) -> dict[str, int]:
    """Images a batch file."""
    return {name: max(1, int(number * fraction)) for name, number in BATCHES.items()}


def generate(folder: Path, fraction: float, loose: bool) -> None:
    """Write random images with labels 1..1000, batch by batch."""
    random = np.random.default_rng(0)
    with ExitStack() as stack:
        archives = {
            part: None
            if loose
            else stack.enter_context(zipfile.ZipFile(folder / f"Imagenet32_{part}.zip", "w", zipfile.ZIP_STORED))
            for part in ("train", "val")
        }
        for name, number in counts(fraction).items():
            batch = {
                "data": random.integers(0, 256, (number, 3072), np.uint8),
                "labels": random.integers(1, 1001, number).tolist(),
                "mean": np.zeros(3072),
            }
            archive = archives["val" if name == "val_data" else "train"]
            with open(folder / name, "wb") if loose else archive.open(name, "w", force_zip64=True) as file:
                pickle.dump(batch, file, protocol=4)


def used(folder: Path) -> int:
    """Bytes on disk below a folder, files that go away meanwhile not counted."""
    total = 0
    for base, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(base, name)).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


def prepare_child(folder: Path, out: Path, fraction: float) -> None:
    """What the measured process does."""
    from workflow.data import prepare
    from workflow.protocol import datasets

    number = counts(fraction)
    test = number.pop("val_data")
    datasets.DATASETS["imagenet32"] = replace(
        datasets.DATASETS["imagenet32"], train_images=sum(number.values()), test_images=test
    )
    prepare("imagenet32", source="disk", folder=folder, out=out)


def measure_prepare(folder: Path, out: Path, fraction: float) -> None:
    """Prepare in a process of its own, watching the disk."""
    peak, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            peak[0] = max(peak[0], used(out.parent))

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, __file__, str(folder), "--child", str(out), "--fraction", str(fraction)], check=True
    )
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    memory, processor = usage.ru_maxrss * 1024 / 1e9, usage.ru_utime + usage.ru_stime
    final = used(out.parent)
    print(f"prepare: {seconds:.1f} s, {processor:.1f} s of processor time, {sum(counts(fraction).values())} images")
    print(f"         peak memory {memory:.2f} GB (limit {LIMIT_GB})")
    print(f"         disk {max(peak[0], final) / 1e9:.2f} GB at most, {final / 1e9:.2f} GB in the end", flush=True)
    if memory > LIMIT_GB:
        sys.exit(f"peak memory {memory:.2f} GB is above {LIMIT_GB} GB")


def gathered(data: object) -> Iterator[int]:
    """Whole shuffled epochs without end, gathered in batches of 128 and no more; the size of each batch."""
    images = data.train.images
    for epoch in count():
        order = np.random.default_rng(epoch).permutation(len(images))
        for first in range(0, len(order), BATCH):
            yield len(images[order[first : first + BATCH]])


def trained(data: object) -> Iterator[int]:
    """The same as the training engine makes its batches: cropped, mirrored, normalised, float32."""
    import torch

    from workflow.engine.normalisation import Normalisation
    from workflow.engine.pixels import TrainingImages

    torch.set_num_threads(1)
    images = TrainingImages(
        data.train.images,
        data.train.labels,
        normalisation=Normalisation(torch.full((3,), 0.017), torch.full((3,), -2.0)),
        device=torch.device("cpu"),
        batch_size=BATCH,
        seed=0,
        stage="train",
        pad=4,
        pad_mode="zero",
        flip="random",
    )
    for epoch in count(1):
        plan = images.epoch(epoch)
        for step in range(images.steps):
            yield len(images.load(images.step(plan, step))[1])


def compare(title: str, big: Iterator[int], small: Iterator[int], images: int, clock: Callable[[], float]) -> float:
    """One epoch of `big`, 100 batches of each in turn; prints both rates and returns their ratio."""
    next(big), next(small)  # what is done once
    seen, seconds = [0, 0], [0.0, 0.0]
    while seen[0] < images - BATCH:
        for k, source in enumerate((big, small)):
            start = clock()
            seen[k] += sum(islice(source, 100 if k else min(100, -(-(images - BATCH - seen[0]) // BATCH))))
            seconds[k] += clock() - start
    rates = [a / b for a, b in zip(seen, seconds, strict=True)]
    result = rates[0] / rates[1]
    print(f"{title}: ImageNet-32 {rates[0]:,.0f}, CIFAR-10 {rates[1]:,.0f} images/s: {100 * result:.0f} %", flush=True)
    return result


def measure_reading(base: Path, out: Path) -> None:
    """Rates of ImageNet-32 and of CIFAR-10's size, in turn. Processor time where nothing waits, since others may use the machine."""
    from workflow.data import load, prepare

    prepare("cifar10", source="synthetic", folder=base, out=base / "cifar10", synthetic={"train": 50_000, "test": 1})
    for folder in (out, base / "cifar10"):  # drop the pages of these files only
        with open(folder / "train" / "images.npy", "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    big, small = load(out), load(base / "cifar10")
    images = len(big.train.images)
    for title, clock in (
        ("gathered, nothing cached (wall clock)", time.perf_counter),
        ("gathered, cached", time.process_time),
    ):
        compare(title, gathered(big), gathered(small), images, clock)
    share = compare("training batches, cached", trained(big), trained(small), images, time.process_time)
    if share < LIMIT_RATE:
        sys.exit(f"training reads ImageNet-32 at less than {100 * LIMIT_RATE:.0f} % of CIFAR-10's rate")


def main() -> None:
    """Generate, prepare, read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--loose", action="store_true", help="batch files in a folder instead of zip archives")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        prepare_child(options.folder, options.child, options.fraction)
        return
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="imagenet32-") as name:
        raw, out = Path(name) / "raw" / "imagenet32", Path(name) / "prepared" / "imagenet32"
        raw.mkdir(parents=True)
        out.parent.mkdir()
        start = time.perf_counter()
        generate(raw, options.fraction, options.loose)
        print(f"generated {used(raw) / 1e9:.2f} GB in {time.perf_counter() - start:.1f} s", flush=True)
        measure_prepare(raw.parent, out, options.fraction)
        measure_reading(Path(name), out)


if __name__ == "__main__":
    main()
