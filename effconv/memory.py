"""Whether the kernel predictors fit into memory. The literal one grows with the fourth power of a network's width."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch

from effconv.kernel_predictor import predictor_parameters
from effconv.options import SearchOptions

BYTES_A_PARAMETER = 16  # float32 weight, gradient, and AdamW's two moments


def predictor_memory(shapes: Sequence[tuple[int, int]], options: SearchOptions) -> int:
    """Bytes that the kernel predictors of these layers (in channels a group, out channels) take while AdamW trains them."""
    return BYTES_A_PARAMETER * predictor_parameters(shapes, options.kernel_predictor, options.hidden)


def machine_memory(device: torch.device) -> int:
    """Bytes that a process may use on the device: the card's, or the computer's (a container's limit where it is lower)."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    allowed = limit.read_text().strip() if limit.exists() else "max"
    return min(installed, int(allowed)) if allowed.isdigit() else installed


def check_memory(shapes: Sequence[tuple[int, int]], options: SearchOptions, device: torch.device) -> None:
    """ValueError, saying how much is needed and what to do, where the predictors do not fit."""
    needed, there = predictor_memory(shapes, options), machine_memory(device)
    if needed > there:
        raise ValueError(
            f"The {options.kernel_predictor} kernel predictor of this network needs {needed / 1e9:,.1f} GB to train and {device} has "
            f"{there / 1e9:,.1f} GB: set kernel_predictor='projected' with a small hidden width, or learn fewer layers."
        )
