"""The visible CUDA devices, without importing torch here: torch itself is asked once, in a process of its own, what it can use.

The driver's tool lists GPUs that torch may be unable to use, and a slim container has GPUs and no such tool.
"""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

from workflow.support.errors import UserError

DRIVER = Path("/proc/driver/nvidia")
ASK = """
import json, torch
found = {"torch": torch.__version__, "cuda": torch.version.cuda, "names": [], "reason": None}
try:
    found["names"] = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    if not found["names"]:
        torch.cuda.init()
except Exception as error:
    found["names"], found["reason"] = [], " ".join(str(error).split())[:200]
print(json.dumps(found))
"""
FIELDS = {
    "compute_mode": "compute_mode", "mig": "mig.mode.current", "power_limit_w": "power.limit", "clock_mhz": "clocks.sm",
    "clock_most_mhz": "clocks.max.sm", "slowed_by": "clocks_throttle_reasons.active",
}  # fmt: skip


def smi(*arguments: str) -> list[str]:
    """Lines that nvidia-smi prints; none where it is not there or fails."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _driver() -> str | None:
    """Version of the NVIDIA driver where a GPU is here; None where there is none."""
    if versions := [
        line.strip() for line in smi("--query-gpu=driver_version", "--format=csv,noheader") if line.strip()
    ]:
        return versions[0]
    return "of unknown version" if any(DRIVER.glob("gpus/*")) else None


@cache
def _usable(visible: str | None) -> tuple[str, ...]:
    """Names of the devices that torch can use. UserError where it can use none of those that are here."""
    if visible in ("", "-1") or (driver := _driver()) is None:
        return ()
    try:
        done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, timeout=180)
        answer = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return ()  # no torch: whatever needs it says so
    if answer["names"]:
        return tuple(answer["names"])
    built = f"for CUDA {answer['cuda']}" if answer["cuda"] else "without CUDA"
    raise UserError(
        f"A GPU is here (driver {driver}), but torch {answer['torch']}, built {built}, cannot use it "
        f"({answer['reason'] or 'it finds no device'}): install a torch for this driver, or go on without it by device=cpu."
    )


def cuda_names() -> list[str]:
    """Names of the visible CUDA devices. UserError where a GPU is here and torch cannot use it."""
    return list(_usable(os.environ.get("CUDA_VISIBLE_DEVICES")))


def cuda_devices() -> int:
    """How many CUDA devices are visible."""
    return len(cuda_names())


def _in_use() -> str | None:
    """What nvidia-smi calls the GPU that this process computes on, or the first that it may use; None: the first of all.

    Numbers are CUDA's, which are nvidia-smi's where the cards are of one kind; once torch has a card, its own identifier counts.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
    return os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip() or None


def card(*fields: str) -> list[str]:
    """What nvidia-smi, which heeds no list of visible GPUs, says of the one in use: a text a field; nothing where it is not told."""
    query, name = (f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"), _in_use()
    lines = smi(*query, "-i", name) if name else smi(*query)[:1]
    if name and not lines:
        # It does not know parts of a card (MIG) by their names: they are of the only card, or it is not known which.
        lines = smi(*query)
    return [part.strip() for part in lines[0].split(",")] if len(lines) == 1 else []


def card_name() -> str | None:
    """The name of the GPU that this process computes on; before it has one, of the first that it may use. None where there is none."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return str(torch.cuda.get_device_name(torch.cuda.current_device()))
    with suppress(UserError):  # torch cannot use it, and it has a name all the same
        if names := cuda_names():
            return names[0]
    return next(iter(card("name")), None)


def state() -> dict[str, object] | None:
    """How the GPU in use is set up, and its clocks now; MPS is CUDA's Multi-Process Service. None where it is not told."""
    told = card(*FIELDS.values())
    if not told:
        return None
    found: dict[str, object] = dict(zip(FIELDS, told, strict=False))
    pipe = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"))  # NVIDIA's own default
    return {**found, "mps": (pipe / "control").exists()}


def foreign_processes() -> int | None:
    """Other processes that compute on the machine's GPUs, by nvidia-smi, which does not heed CUDA_VISIBLE_DEVICES; None: unknown."""
    if shutil.which("nvidia-smi") is None or not smi("-L"):
        return None
    pids = [line.strip() for line in smi("--query-compute-apps=pid", "--format=csv,noheader")]
    return sum(pid.isdigit() and int(pid) != os.getpid() for pid in pids)
