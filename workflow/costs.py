"""`snakemake plan`: every run, why it would run, what it would cost, and the sum.

A run's cost is epochs times seconds per epoch. The seconds are the row's own timing record where there is one; else they are
estimated from multiply-accumulates: three times the forward count for a training step, at the rates below.
"""

from functools import cache
from pathlib import Path

from workflow.datasets import DATASETS
from workflow.durations import rounded
from workflow.plan import entry_rows, expected_digests
from workflow.records import BadRecord, read_failure, read_result, read_timing, row_of, run_folder, timing_path

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


def _hashable(arguments: dict) -> tuple:
    return tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in arguments.items())


def _images(plan: dict, run: dict, stage: str) -> int:
    made_up = plan["prepare"][run["data"]]["synthetic"]
    there = made_up["train"] if made_up else DATASETS[run["dataset"]].train_images
    return min(there, run[stage].get("images", there))


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
    parameters, macs = _counts(run["system"], _hashable(run["arguments"]), info.channels, info.classes, info.image_size)
    budgets = run["search"] or next(
        (r["search"] for r in plan["runs"] if r["id"] == run.get("sizes", {}).get("run")), None
    )
    if budgets and budgets["parameters"]:
        macs *= max(1.0, budgets["parameters"] / parameters)  # larger kernels cost in proportion
    elif budgets and budgets["macs"]:
        macs = max(macs, budgets["macs"])
    step = 3 * macs / RATES[run["device"]]  # seconds an image
    total = step * epochs * _images(plan, run, "train")
    if run["search"] and not run["search"]["options"].get("data_free"):  # else no image is looked at
        total += 1.3 * step * search_epochs * _images(plan, run, "search")
    return STARTUP + total, "from MACs"


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
        if row_of(run) in later:
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
        print(f"{rounded(cost):>9}  {run['id']:45} {why} ({basis})")
    planned = sum(row_of(run) not in later for run in plan["runs"])
    print(
        f"{due} of {planned} runs to do on {plan['device']}: about {rounded(total)} one after the other, "
        "without the timing stage."
    )
    missing = {run["id"]: seconds(plan, run, results)[0] for run in plan["runs"] if reason(run, results)}
    for name, entry in ((name, entry) for name, entry in plan["tables"].items() if entry["kind"] == "chapter"):
        own = later & entry_rows(plan, name)
        asked = [run["id"] for run in plan["runs"] if row_of(run) in own]
        to_do = [missing[run] for run in asked if run in missing]
        print(f"snakemake {name}: {len(to_do)} of {len(asked)} runs of its own to do, about {rounded(sum(to_do))}.")
        for cost, asks in sorted(questions(plan, entry, missing)):
            print(f"{rounded(cost) if cost else 'done':>9}  {asks}")
    return 0


def questions(plan: dict, entry: dict, missing: dict[str, float]) -> list[tuple[float, str]]:
    """(seconds, question) of a chapter: those of the missing runs of every row that it compares, shared ones counted for each."""
    found = []
    for question in entry.get("questions", ()):
        rows = {*question["row"], *question["others"]}
        runs = [run["id"] for run in plan["runs"] if run["dataset"] == entry["dataset"] and run["row"] in rows]
        found.append((sum(missing.get(run, 0.0) for run in runs), question["asks"]))
    return found
