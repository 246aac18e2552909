"""`snakemake plan`: every run, why it would run, what it would cost, and the sum.

A run's cost is epochs times seconds per epoch. The seconds are the row's own timing record where there is one; else they are
estimated from multiply-accumulates: three times the forward count for a training step, at the rates below.
"""

from functools import cache
from pathlib import Path

from workflow.datasets import DATASETS
from workflow.plan import entry_rows, expected_digests
from workflow.records import BadRecord, read_failure, read_result, read_timing, run_folder, timing_path
from workflow.status import clock

# Multiply-accumulates a second in training, by device. cpu: CIFAR ResNet-20, fp32, channels-last, one core of a server of 2025
# (measured: 580 images/s). cuda: a guess at small batches on a data-centre card, to be replaced by the first timing record.
RATES = {"cpu": 7.0e10, "cuda": 5.0e12}
STARTUP = 5.0  # seconds to start a process and load the data


@cache
def _counts(system: str, arguments: tuple, channels: int, classes: int, size: int) -> tuple[int, int]:
    """(parameters, multiply-accumulates an image) of a system as it starts out."""
    import torch

    import baselines
    from effconv import count_macs, count_parameters

    with torch.device("meta"):
        model = baselines.build(system, in_channels=channels, num_classes=classes, image_size=size, **dict(arguments))
    return count_parameters(model), count_macs(model, (channels, size, size))


def _images(plan: dict, dataset: str) -> int:
    return (
        (plan["synthetic"] or {}).get(dataset, {}).get("train", 0)
        if plan["source"] == "synthetic"
        else DATASETS[dataset].train_images
    )


def seconds(plan: dict, run: dict, results: Path) -> tuple[float, str]:
    """Estimated seconds of one run, both stages, and what the estimate rests on ("timed" or "from MACs")."""
    search_epochs = run["search"]["epochs"] if run["search"] else 0
    epochs = run["train"]["epochs"]
    try:
        timing = read_timing(timing_path(results, run["dataset"], run["row"]))
    except BadRecord:
        pass
    else:
        return STARTUP + epochs * timing["train_seconds"] + search_epochs * (timing.get("search_seconds") or 0), "timed"
    info = DATASETS[run["dataset"]]
    parameters, macs = _counts(
        run["system"], tuple(run["arguments"].items()), info.channels, info.classes, info.image_size
    )
    if run["search"] and run["search"]["parameters"]:
        macs *= max(1.0, run["search"]["parameters"] / parameters)  # larger kernels cost in proportion
    epoch = 3 * macs * _images(plan, run["dataset"]) / RATES[run["device"]]
    return STARTUP + (epochs + 1.3 * search_epochs) * epoch, "from MACs"


def reason(run: dict, results: Path) -> str | None:
    """Why a run would run, None where its result is there and current."""
    folder = run_folder(results, run["id"])
    try:
        record = read_result(folder / "result.json")
    except BadRecord as error:
        failure = read_failure(folder / "failure.json")
        if failure:
            return f"failed before: {failure['reason']}"
        return "interrupted" if any(folder.glob("*.pt")) else "no result yet" if "missing" in str(error) else str(error)
    changed = [
        f"{name} {record['digests'].get(name, 'new')} -> {digest}"
        for name, digest in expected_digests(run, "train").items()
        if record["digests"].get(name) != digest
    ]
    return "changed: " + ", ".join(changed) if changed else None


def print_plan(plan: dict, results: Path) -> int:
    """Print a line a run and the sums; exit status 0."""
    due, total, later = 0, 0.0, set(plan["on_demand"])
    print(plan["banner"])
    for run in plan["runs"]:
        if f"{run['dataset']}/{run['row']}" in later:
            continue
        why = reason(run, results)
        if why is None:
            print(f"{'done':>9}  {run['id']}")
            continue
        if run["dataset"] in plan["unavailable"]:
            print(f"{'waits':>9}  {run['id']:45} {plan['unavailable'][run['dataset']]}")
            continue
        cost, basis = seconds(plan, run, results)
        due, total = due + 1, total + cost
        print(f"{clock(cost):>9}  {run['id']:45} {why} ({basis})")
    planned = sum(f"{run['dataset']}/{run['row']}" not in later for run in plan["runs"])
    print(
        f"{due} of {planned} runs to do on {plan['device']}: about {clock(total)} one after the other, "
        "without the timing stage."
    )
    for name in (name for name, entry in plan["tables"].items() if entry["kind"] == "chapter"):
        asked = [run for run in plan["runs"] if f"{run['dataset']}/{run['row']}" in later & entry_rows(plan, name)]
        missing = [run for run in asked if reason(run, results)]
        cost = clock(sum(seconds(plan, run, results)[0] for run in missing))
        print(f"snakemake {name}: {len(missing)} of {len(asked)} runs of its own to do, about {cost}.")
    return 0
