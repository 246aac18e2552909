"""By which protocol a record was made, and what of it may stand beside the paper's figures. Pure functions over a run's description.

Four bases, each with a condition of its own. counts: always. seconds: the recipe's batch size on whole epochs, the row alone on a
named device; the pixels do not matter. sizes: the paper's search. accuracy: the whole protocol of the row. Searches of the short
protocol are the paper's, so that only accuracy knows it.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from workflow.protocol.datasets import DATASETS
from workflow.protocol.recipes import Recipe, recipe
from workflow.report.stats import Interval
from workflow.support.errors import UserError
from workflow.support.known import known

PAPER, SHORT, OTHER = PROTOCOLS = ("paper", "short", "other")  # best first
COUNTS, SECONDS, SIZES, ACCURACY = "counts", "seconds", "sizes", "accuracy"
SEARCH_EPOCHS = {"imagenet32": 5}  # everywhere else 10: the paper's settings
# What the paper prints of its search; what it leaves open is an option with a name, and free (config/protocol.yaml).
PRINTED = {
    "lam": 2.0, "k": 3.0, "tau": 3.0, "b": -0.35, "lr_size_predictor": 1e-4, "lr_network": 1e-4, "lr_kernel_predictor": 1e-3,
    "weight_decay": 1e-3,
}  # fmt: skip
WHOLE = 0.1  # how far the images of a timed epoch may be off the data set's: batches that are not full, images kept for validation

Run = Mapping[str, Any]


def search_epochs(dataset: str) -> int:
    """The paper's epochs of size learning."""
    return SEARCH_EPOCHS.get(dataset, 10)


def train_epochs(rule: Recipe) -> int:
    """The epochs that a recipe has of its own."""
    return rule.epochs


def own_recipe(run: Run) -> Recipe | None:
    """The recipe that a run names; None where there is none of that name any more."""
    try:
        return recipe(run["train"]["recipe"]["name"], run["dataset"])
    except UserError:
        return None


def whole_data(run: Run, stage: str) -> bool:
    """Whether a stage saw the real images, all of them."""
    return not Path(run["data"]).name.startswith("synthetic-") and run[stage].get("images") is None


def paper_search(run: Run) -> bool:
    """Whether a run's search is the paper's: its epochs, all real images, options as printed or such as the paper leaves open."""
    search, rule = run["search"], own_recipe(run)
    return (
        rule is not None
        and search["epochs"] == search_epochs(run["dataset"])
        and search["recipe"]["batch_size"] == rule.batch_size
        and whole_data(run, "search")
        and all(search["options"].get(name, value) == value for name, value in PRINTED.items())
    )


def protocol_of(run: Run) -> str:
    """paper | short | other: the protocol of a run's accuracy, its arithmetic and its search included."""
    plain = run["precision"] == "fp32" and not run.get("compile")
    return training_of(run) if plain and (not run["search"] or paper_search(run)) else OTHER


def training_of(run: Run) -> str:
    """paper | short | other: the protocol of a run's training alone. Chapters vary arithmetic and searches on purpose."""
    train, rule = run["train"], own_recipe(run)
    if rule is None or not whole_data(run, "train"):
        return OTHER
    if train.get("protocol", PAPER) != PAPER:
        return SHORT if train["protocol"] == SHORT else OTHER
    made = train["recipe"]
    whole = made["epochs"] == train_epochs(rule) and made["batch_size"] == rule.batch_size
    return PAPER if whole else OTHER


def paper_sizes(run: Run) -> bool:
    """Whether the kernel sizes of a run may be compared: those of its search, or those that its training ends with."""
    return paper_search(run) if run["search"] else protocol_of(run) == PAPER


def device_of(record: Mapping) -> str | None:
    """The name of the device behind a record: the GPU's, or the processor's."""
    source = record.get("provenance", {})
    device = record.get("device") or source.get("device")
    return source.get("cpu") if device in (None, "cpu") else device


def alone(timing: Mapping) -> bool:
    """Whether nothing is known to have run beside a timing. Both clocks of a GPU include what other processes do there."""
    return timing.get("clocks_agree") is not False and not timing.get("foreign_gpu_processes")


def why_not_timed_alike(run: Run, timing: Mapping) -> str | None:
    """Why a row's seconds may not stand beside others; None where they may."""
    rule = own_recipe(run)
    if rule is None or timing["batch_size"] != rule.batch_size:
        return "timed at another batch size than its recipe's"
    if not device_of(timing):
        return "timed on a device without a name"
    if timing.get("clocks_agree") is False:
        return "timed while something else ran"
    # Seconds are of one pass over the images, also where an epoch of the recipe shows each of them twice.
    images = DATASETS[run["dataset"]].train_images
    for part in timing["segments"]:
        shown = part["seconds_per_epoch"] * part.get("images_per_second", images / part["seconds_per_epoch"])
        if abs(shown / images - 1) > WHOLE:
            return "timed on epochs of another number of images than the data set has"
    return None


def rounds_of(timing: Mapping) -> int:
    """In how many rounds a row was timed."""
    return min(len(part.get("rounds", [None])) for part in timing["segments"])


def by_round(run: Run, timing: Mapping) -> list[float]:
    """Seconds per epoch in each of the rounds in which a row was timed; one where there was one."""
    own = lambda part: part.get("rounds", [part["seconds_per_epoch"]])
    of_round = lambda number: [{**part, "seconds_per_epoch": own(part)[number]} for part in timing["segments"]]
    return [seconds_of(run, {"segments": of_round(number)}).value for number in range(rounds_of(timing))]


def mean_of(segments: Iterable[Mapping], stage: str, end: str = "seconds_per_epoch") -> float | None:
    """The weighed mean of a stage's segments; None where it has none. `end`: or their `low`, or `high`."""
    parts = [part for part in segments if part["stage"] == stage]
    weights = sum(part["weight"] for part in parts)
    return (
        sum(part["weight"] * part.get(end, part["seconds_per_epoch"]) for part in parts) / weights if weights else None
    )


def seconds_of(run: Run, timing: Mapping) -> Interval:
    """Seconds per epoch with the range of the timed slices, the mean over the epochs that the paper's protocol gives each stage."""
    epochs = {
        "search": search_epochs(run["dataset"]) if run["search"] else 0,
        "train": train_epochs(known(own_recipe(run))),
    }
    sums, total = {"seconds_per_epoch": 0.0, "low": 0.0, "high": 0.0}, 0
    for stage, count in epochs.items():
        if not count or mean_of(timing["segments"], stage) is None:
            continue
        total += count
        for end in sums:
            sums[end] += count * known(mean_of(timing["segments"], stage, end))
    return Interval(*(value / total for value in sums.values()))
