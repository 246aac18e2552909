"""Whether the kernel predictors fit into memory. The literal one grows with the fourth power of a network's width."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from effconv.kernel_predictor import predictor_parameters
from effconv.options import SearchOptions

WIDTHS = (64, 32, 16, 8, 4)  # of the projected predictor's hidden state
SHARE = 0.5  # of the memory, which the network and its activations need as well
BYTES_A_PARAMETER = 16  # float32 weight, gradient, and AdamW's two moments


def predictor_memory(shapes: Sequence[tuple[int, int]], options: SearchOptions) -> int:
    """Bytes that the kernel predictors of these layers (in channels a group, out channels) take while AdamW trains them."""
    return BYTES_A_PARAMETER * predictor_parameters(shapes, options.kernel_predictor, options.hidden)


def machine_memory(device: torch.device) -> int:
    """Bytes that a process may use on the device: the card's, or the computer's (a container's limit where it is lower)."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    if not hasattr(os, "sysconf"):
        return sys.maxsize  # Windows does not say
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.exists() else "max"
    return min(installed, int(allowed)) if allowed.isdigit() else installed


def fitting_options(shapes: Sequence[tuple[int, int]], options: SearchOptions, device: torch.device) -> SearchOptions:
    """The options with a width of the projected predictor, where they leave it open: the greatest of `WIDTHS` that fits well.

    ValueError, saying how much is needed and what to do, where the predictors do not fit into the device's memory.
    """
    there = machine_memory(device)
    if options.kernel_predictor == "projected" and not options.hidden:
        candidates = [replace(options, hidden=width) for width in WIDTHS]
        fitting = (choice for choice in candidates if predictor_memory(shapes, choice) <= SHARE * there)
        options = next(fitting, candidates[-1])
    if (needed := predictor_memory(shapes, options)) > there:
        remedy = "learn fewer layers"
        if options.kernel_predictor == "literal":
            remedy = f"leave kernel_predictor out, or {remedy}"
        elif options.hidden > WIDTHS[-1]:
            remedy = f"give a smaller hidden, or {remedy}"
        raise ValueError(
            f"The {options.kernel_predictor} kernel predictor of this network needs {needed / 1e9:,.1f} GB to train and {device} has "
            f"{there / 1e9:,.1f} GB: {remedy}."
        )
    return options
