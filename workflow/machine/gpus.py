"""The visible CUDA devices, without importing torch."""

import os
import shutil
import subprocess


def cuda_names() -> list[str]:
    """Names of the visible CUDA devices, asked of the driver's own tool, since importing torch costs seconds."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    tool = shutil.which("nvidia-smi")
    if tool is None or visible in ("", "-1"):
        return []
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")] if listed.returncode == 0 else []
    names = [line.partition(": ")[2].partition(" (UUID")[0] for line in lines]
    if not visible:
        return names
    wanted = [part.strip() for part in visible.split(",")]
    if all(part.isdigit() and int(part) < len(names) for part in wanted):
        return [names[int(part)] for part in wanted]
    return names[: len(wanted)]  # by UUID, or more than there are


def cuda_devices() -> int:
    """How many CUDA devices are visible."""
    return len(cuda_names())
