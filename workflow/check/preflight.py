"""Before anything is downloaded or trained: does torch suit the driver, how is the card set up, is there room on card and disk."""

import shutil
from contextlib import suppress
from pathlib import Path

from workflow.machine import gpus
from workflow.overview.estimates import disk
from workflow.plan.plan import Plan

FREE_SHARE = 0.9  # of a card's memory should be free


def on_the_card() -> list[str]:
    """A sentence for each thing about the GPU in use that would slow jobs down or stop them. UserError where torch cannot use it."""
    gpus.cuda_names()
    found, state = [], gpus.state() or {}
    if str(state.get("compute_mode", "")).startswith("Exclusive"):
        found.append(
            "the card takes one process at a time (compute mode): jobs share it after `nvidia-smi -c DEFAULT`."
        )
    if state.get("compute_mode") == "Prohibited":
        found.append("the card takes no process (compute mode Prohibited): set it by `nvidia-smi -c DEFAULT`.")
    if state.get("mig") == "Enabled":
        found.append(
            "the card is split (MIG): its seconds are those of a part, and not comparable with a whole card's."
        )
    if others := gpus.foreign_processes():
        found.append(f"{others} other processes compute on the GPUs: seconds will be uncertain until they end.")
    with suppress(ValueError):  # some cards have "[N/A]" in place of numbers
        free, whole = map(float, gpus.card("memory.free", "memory.total"))
        if free < FREE_SHARE * whole:
            found.append(f"only {free:,.0f} of {whole:,.0f} MB of the card are free: fewer jobs fit side by side.")
    return found


def on_the_disk(plan: Plan, folder: Path) -> list[str]:
    """A sentence where the disk has no room for the plan's data, results and the checkpoints of two jobs."""
    sizes = disk(plan)
    needed = sizes["data"] + sizes["kept"] + 2 * max(sizes["search"], sizes["train"])
    free = shutil.disk_usage(folder).free
    if free >= needed:
        return []
    return [
        f"preset {plan.preset} takes up to {needed / 1e9:.1f} GB of disk, and {free / 1e9:.1f} GB are free: make room."
    ]
