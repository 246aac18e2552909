"""Where a result came from: versions, machine, code, data and times, as every record stores them."""

import datetime
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from functools import cache

from workflow.machine import gpus
from workflow.support.files import ROOT

PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "torchdiffeq", "snakemake")


def now() -> str:
    """The time in UTC, to the second, ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _output(*command: str) -> str | None:
    """First line a command prints; None where it is not there or fails."""
    tool = shutil.which(command[0])
    if tool is None:
        return None
    try:
        done = subprocess.run([tool, *command[1:]], capture_output=True, text=True, timeout=30, cwd=ROOT)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else ""


@cache
def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@cache
def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


@cache
def _driver() -> str | None:
    """Version of the NVIDIA driver, of which a machine has one."""
    return _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader") or None


def device_name(kind: str) -> str | None:
    """The name of this machine's device: of the GPU in use for cuda, None where there is none; of the processor for cpu."""
    return gpus.card_name() if kind == "cuda" else _processor()


@cache
def _commit() -> tuple[str | None, bool | None]:
    """Git commit of the code and whether tracked files differ from it; None outside a checkout."""
    commit = _output("git", "rev-parse", "HEAD")
    dirty = _output("git", "status", "--porcelain", "--untracked-files=no") if commit else None
    return commit or None, None if dirty is None else bool(dirty)


@cache
def _arithmetic() -> dict[str, str] | None:
    """What the processor's arithmetic goes by: its instruction set and oneDNN's version; None where torch is not imported."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    found = re.search(r"(?:oneDNN|MKL-DNN) v([\w.]+)", torch.__config__.show())
    return {"instructions": torch.backends.cpu.get_cpu_capability(), "onednn": found[1] if found else "none"}


def provenance(*, device: str, threads: int, started: str, data: dict) -> dict:
    """The record's `provenance`. `device`: cpu or cuda; `data`: checksums of the data set used."""
    graphics, driver = (gpus.card_name(), _driver()) if device == "cuda" else (None, None)
    commit, dirty = _commit()
    return {
        "python": sys.version.split()[0], "torch": _versions().get("torch"), "packages": _versions(),
        "platform": platform.platform(), "device": graphics or _processor(), "driver": driver,
        "gpu": gpus.state() if device == "cuda" else None, "arithmetic": _arithmetic(),
        "cpu": _processor(), "cores": os.cpu_count(), "threads": threads, "git_commit": commit, "git_dirty": dirty,
        "started": started, "ended": now(), "data": data,
    }  # fmt: skip
