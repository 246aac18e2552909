"""What a step of the plan will cost: seconds on a named device, and bytes on disk.

Seconds are epochs times seconds per epoch. These are the row's own where it has been timed on a device of that name, in the results at
hand, by `python -m workflow times` beside them, or in those kept under results/recorded/. Else they follow from multiply-accumulates,
three times the forward count for a training step, at the median rate of the rows of the same kind of job that were timed, at the rate
that `python -m workflow check` measured on such a device, or at a guess. Where nothing at all is known of the device, timings of
others of its kind (cpu, cuda) are taken. A run that was interrupted costs what is left of it.
"""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from workflow.machine import gpu_pool
from workflow.plan.plan import Plan
from workflow.plan.steps import Step
from workflow.protocol.datasets import DATASETS
from workflow.protocol.runs import Run
from workflow.protocol.search_methods import DILATING
from workflow.records.history import last_epoch
from workflow.records.provenance import device_name
from workflow.records.records import BadRecord, read_timing, run_folder, timing_path
from workflow.records.state import recorded_folders
from workflow.support.errors import UserError, one_line
from workflow.support.files import ROOT

RECORDED = ROOT / "results" / "recorded"
# Multiply-accumulates a second in training, by kind of device, where nothing measured says better. cpu: CIFAR ResNet-20, fp32,
# channels-last, one core of a server of 2025 (measured: 580 images/s). cuda: not measured; a quarter of an H100's best in
# fp32 (33e12).
RATES = {"cpu": 7.0e10, "cuda": 7.5e12}
SOURCES = {
    "timed": "the median of those that were timed", "checked": "measured by the self-check of this device",
    "guessed": "a guess, perhaps wrong by a factor of several",
}  # fmt: skip
STARTUP = 5.0  # seconds to start a process and load the data
SEARCH_FACTOR = 1.3  # a search epoch in epochs of training, where neither is timed
CHECKPOINTS = 3  # at once: the last, the one before it, and the one being written


class Network(NamedTuple):
    """What is known of a system before it runs.

    `layers`: (in, out) channels of those whose sizes can be learned; `grows`: kernels grow in training; `backends`: how
    many convolutions it is timed with; `faster`: it trains with another one than the published; `training`: MACs of one
    image, the mean over its training, with the convolution that it trains with; `dilates`: kernels may be dilated.
    """

    parameters: int
    macs: int  # of one image, with the kernels that it starts with
    layers: tuple[tuple[int, int], ...]
    grows: bool
    backends: int
    faster: bool
    training: float
    dilates: bool


@cache
def _network(system: str, arguments: str, channels: int, classes: int, size: int) -> Network:
    import torch

    import baselines
    from effconv import count_macs, count_parameters
    from workflow.overview.generated_kernels import GeneratedKernels, training_macs, without_normalisation

    def build() -> Any:
        return baselines.build(
            system, in_channels=channels, num_classes=classes, image_size=size, **json.loads(arguments)
        )

    with torch.device("meta"):
        model = build()
    parameters = count_parameters(model)
    layers = tuple((c.weight.shape[1], c.weight.shape[0]) for c in getattr(model, "sized_convolutions", ()))
    grows, backends = hasattr(model, "pretend_sizes"), getattr(model, "timed_backends", ())
    faster = getattr(model, "backend", "direct") != "direct"
    if isinstance(model, GeneratedKernels):
        macs, training = training_macs(build, (channels, size, size))
    else:
        # A solver's steps depend on values, which tensors of the device "meta" do not have.
        solves = any(hasattr(module, "evaluations") for module in model.modules())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            macs = count_macs(build() if solves else without_normalisation(model), (channels, size, size))
        training = float(macs)
    return Network(
        parameters, macs, layers, grows, max(1, len(backends)), faster, training, hasattr(model, "dilations")
    )


def network(run: Run) -> Network:
    """The network of a run, as it starts out."""
    info = run.constants
    arguments = json.dumps(dict(run.arguments), sort_keys=True)
    try:
        found = _network(run.system, arguments, info.channels, info.classes, info.image_size)
    except Exception as error:  # whatever a system's own code raises
        reason = one_line(error)
        raise UserError(
            f"{run.place}: system '{run.system}' cannot be built ({reason}): correct it or its row."
        ) from error
    if run.search and not found.layers:
        raise UserError(
            f"{run.place}: system '{run.system}' has no kernel sizes to learn, the argument `kernel_sizes`: take 'learn' out."
        )
    if run.search and run.search.method in DILATING and not found.dilates:
        raise UserError(
            f"{run.place}: method '{run.search.method}' finds dilations, which system '{run.system}' does not take: choose "
            "system 'dilated_resnet20', or another method."
        )
    return found


def segments(run: Run) -> int:
    """How many segments the timing of a row has: both ends of a search, the positions of kernels that grow, each way to convolve."""
    known = network(run)
    return (2 if run.search else 0) + (3 if known.grows else 1) * known.backends


def deployed(run: Run, runs: Mapping[str, Run]) -> tuple[int, int]:
    """(parameters, MACs an image) once sizes are learned, larger kernels costing in proportion. `runs`: the plan's by id."""
    parameters, macs = network(run)[:2]
    search = run.search or (runs[run.sizes.run].search if run.sizes else None)
    if search and search.macs:
        return parameters, max(macs, search.macs)
    wanted = (search and search.parameters) or parameters
    return wanted, round(macs * max(1.0, wanted / parameters))


def _seconds(run: Run, record: Mapping) -> float:
    """Seconds of one epoch of training with the convolution that the run trains with. `record`: a timing, which is of one pass."""
    faster = record.get("faster_seconds")
    return run.train.recipe.passes * (faster if faster and network(run).faster else record["train_seconds"])


def step_macs(system: str, position: str, *, backend: str | None = None, budget: int | None = None) -> float:
    """Multiply-accumulates of one CIFAR-10 image's training step: what a rate is counted in.

    `position`: of training, where kernels grow; `backend`: how these are convolved; `budget`: of parameters, for a step of the
    search under it.
    """
    import baselines
    from baselines.growing import GrowingKernels
    from workflow.overview.generated_kernels import training_macs

    arguments = {"backend": backend} if backend else {}
    build: Callable[[], Any] = lambda: baselines.build(
        system, in_channels=3, num_classes=10, image_size=32, **arguments
    )
    if isinstance(build(), GrowingKernels):
        return 3 * training_macs(build, (3, 32, 32), {position: 1.0})[1]
    found = _network(system, json.dumps(arguments), 3, 10, 32)
    return 3 * found.macs * (SEARCH_FACTOR * budget / found.parameters if budget else 1.0)


def _kind(record: Mapping) -> str:
    return "cpu" if record["device"] == "cpu" else "cuda"


def _name(record: Mapping) -> str:
    return record["provenance"].get("device") or record["device"]


class Rate(NamedTuple):
    """Multiply-accumulates a second. `source`: timed, checked or guessed."""

    macs: float
    source: str


class Estimates:
    """Seconds of steps. `device`: a part of the name of the device that is asked about; None: this machine's, as the plan has it."""

    def __init__(self, plan: Plan, results: Path, *, recorded: Path = RECORDED, device: str | None = None):
        self.plan, self.results, self.device = plan, results, device
        self.name = device or device_name(plan.device)
        # A name that no timing has is taken for a GPU's, whatever this machine has: that is what one asks for beforehand.
        self.kind = plan.device if device is None else "cuda"
        self.first: dict[str, Run] = {}
        for run in plan.runs:
            self.first.setdefault(run.place, run)
        folders = [results.parent / "times", *recorded_folders(recorded)]
        known = gpu_pool.known([base / gpu_pool.HERE.name for base in (results.parent, recorded)])
        self._checked: dict[str, float] = next(
            (found.get("macs_per_second", {}) for card, found in known.items() if self._is_it(card)), {}
        )
        self.timings = self._timings(folders, lambda record: self._is_it(_name(record)))
        if device is None and not (self.timings or self._checked):
            self.timings = self._timings(folders, lambda record: _kind(record) == plan.device)
        if device is not None and self.timings:
            self.kind = "cpu" if all(_kind(record) == "cpu" for record, _ in self.timings.values()) else "cuda"

    def _is_it(self, name: str) -> bool:
        """Whether this is the name of the device that is asked about."""
        return name == self.name if self.device is None else self.device.lower() in name.lower()

    def _timings(self, folders: Sequence[Path], applies: Callable[[Mapping], bool]) -> dict[str, tuple[dict, str]]:
        """Row -> its timing, of the results at hand or one that applies, and where it is from."""
        found = {}
        for row, run in self.first.items():
            for folder in (self.results, *folders):
                try:
                    record = read_timing(timing_path(folder, run.dataset, run.row))
                except BadRecord:
                    continue
                same = record.get("precision") == run.precision and record.get("batch_size") == run.train.batch_size
                if folder is self.results and self.device is None:
                    found[row] = record, "timed"
                elif same and self.plan.source == "real" and applies(record):
                    found[row] = record, f"timed on {_name(record)}"
                else:
                    continue
                break
        return found

    @cached_property
    def _timed(self) -> dict[str, float]:
        """Kind of job -> the median rate of the rows that were timed; made when another row asks: counting networks takes seconds."""
        rates: dict[str, list[float]] = {}
        for row, (record, _) in self.timings.items():
            run = self.first[row]
            for stage, seconds in (("train", _seconds(run, record)), ("search", record.get("search_seconds"))):
                if seconds and (work := self._work(run, stage)):
                    rates.setdefault(self._kinds(run, stage)[0], []).append(work / seconds)
        return {kind: statistics.median(found) for kind, found in rates.items()}

    def _kinds(self, run: Run, stage: str) -> list[str]:
        """The kind of job that a stage of a run is, and those to go by where it is not known."""
        kind = gpu_pool.kind_of(run, stage, grows=network(run).grows)
        return [*([] if run.precision == "fp32" else [f"{kind}, {run.precision}"]), kind, "train"]

    def rate(self, run: Run, stage: str = "train") -> Rate:
        """How fast a stage of a run is on the device."""
        for kind in self._kinds(run, stage):
            for source, rates in (("timed", self._timed), ("checked", self._checked)):
                if kind in rates:
                    return Rate(rates[kind], source)
        return Rate(RATES[self.kind], "guessed")

    def images(self, run: Run, stage: str) -> int:
        """Training images that a stage of a run sees in an epoch, each as often as its recipe shows it."""
        made_up = self.plan.prepare[run.data]["synthetic"]
        there = made_up["train"] if made_up else run.constants.train_images
        if stage == "search" and run.search:
            return 0 if run.search.image_free else min(there, run.search.images or there)
        return run.train.recipe.passes * min(there, run.train.images or there)

    def _work(self, run: Run, stage: str = "train") -> float:
        """Multiply-accumulates of one epoch of a stage."""
        factor = SEARCH_FACTOR if stage == "search" else network(run).training / network(run).macs
        return factor * 3.0 * deployed(run, self.plan.by_id)[1] * self.images(run, stage)

    def step_seconds(self, run: Run) -> float:
        """Seconds of one training step of a run, from its MACs."""
        return self._work(run) / self.rate(run).macs * run.train.batch_size / self.images(run, "train")

    def seconds(self, step: Step) -> tuple[float, str]:
        """Estimated seconds of a step, and what the estimate rests on."""
        row = step.member if step.stage == "time" else step.member.rpartition("/")[0]
        run = self.first[row] if step.stage == "time" else self.plan.by_id[step.member]
        if step.stage == "time":
            timing = self.plan.timing
            return STARTUP + segments(run) * (timing["slices"] + 1) * timing["slice_seconds"], "its slices"
        planned = run.search if step.stage == "search" and run.search else run.train
        epochs = planned.epochs * self._left(run, step.stage)
        if row in self.timings:
            record, basis = self.timings[row]
            each = record.get("search_seconds") or 0.0 if step.stage == "search" else _seconds(run, record)
            return STARTUP + epochs * each, basis
        rate = self.rate(run, step.stage)
        return STARTUP + epochs * self._work(run, step.stage) / rate.macs, f"from MACs, rate {rate.source}"

    def _left(self, run: Run, stage: str) -> float:
        """The share of a stage's epochs that is still to do."""
        folder = run_folder(self.results, run.id)
        line = last_epoch(folder) if (folder / f"{stage}.pt").exists() else None
        if line is None or line["stage"] != stage:
            return 1.0
        return max(0.0, 1 - line["epoch"] / line["epochs"])

    def basis(self) -> str:
        """One sentence on what all of it rests on."""
        where = f"a device named '{self.device}'" if self.device else self.name or f"a {self.kind} device"
        said = f"No row has been timed on {where}"
        if self.timings:
            found = sorted({basis for _, basis in self.timings.values()})
            said = f"{len(self.timings)} of {len(self.first)} rows have been timed ({', '.join(found)})"
        kinds: dict[Rate, set[str]] = {}
        for run in (run for row, run in self.first.items() if row not in self.timings):
            for stage in ("search", "train") if run.search else ("train",):
                kinds.setdefault(self.rate(run, stage), set()).add(self._kinds(run, stage)[0].replace(", ", " in "))
        if not kinds:
            return f"{said}."
        rates = [
            f"{rate.macs:.1e} a second ({SOURCES[rate.source]}) for {', '.join(sorted(kinds[rate]))}"
            for rate in sorted(kinds)
        ]
        return f"{said}; {'the others' if self.timings else 'hours'} follow from MACs at {'; '.join(rates)}."


def disk(plan: Plan) -> dict[str, int]:
    """Bytes: `data` prepared, `kept` of results when all is done, `search` and `train`, the most that one job's checkpoints take."""
    from effconv.kernel_predictor import predictor_parameters

    sizes = {"data": 0, "kept": 0, "search": 0, "train": 0}
    for entry in plan.prepare.values():
        info, counts = DATASETS[entry["dataset"]], entry["synthetic"]
        images = counts["train"] + counts["test"] if counts else info.train_images + info.test_images
        height, width, channels = info.shape
        sizes["data"] += images * (height * width * channels + 8)
    for run in plan.runs:
        parameters, layers = deployed(run, plan.by_id)[0], network(run).layers
        sizes["kept"] += 4 * parameters + 50_000
        sizes["train"] = max(sizes["train"], CHECKPOINTS * 12 * parameters)  # weights and up to two moments, float32
        if run.search:
            options = run.search.options
            variant, hidden = str(options.get("kernel_predictor", "projected")), int(str(options.get("hidden") or 64))
            predictors = predictor_parameters(layers, variant, hidden)
            sizes["search"] = max(sizes["search"], CHECKPOINTS * 12 * (predictors + parameters))
    return sizes
