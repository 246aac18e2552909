"""Checkpoints that survive a kill at any moment: <stage>.pt is replaced as a whole, the one before it stays as <stage>.previous.pt.

A checkpoint is a mapping of tensors and plain values, read back with weights_only, and carries a digest of the code, data and
settings behind it: one with another digest is not used. The checksums of its parts are compared first: torch's reader does not, and
would go on from a checkpoint with a flipped bit. Room on the disk is looked for before a checkpoint is written.
"""

import errno
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch

from workflow.support.errors import UserError

SCHEMA = 1


def _sound(path: Path) -> Path:
    """The path, once every part of the file has its checksum. Raises BadZipFile or what reading a damaged file raises."""
    with zipfile.ZipFile(path) as archive:
        if (damaged := archive.testzip()) is not None:
            raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
    return path


def _size(value: object) -> int:
    """Bytes of all tensors in nested mappings and lists."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return sum(map(_size, parts))


class Checkpoints:
    """The checkpoints of one stage of one run."""

    def __init__(self, directory: Path, stage: str, digest: str, log: Callable[[str], None]):
        self.path, self.previous = directory / f"{stage}.pt", directory / f"{stage}.previous.pt"
        self.digest, self.log = digest, log
        self.seconds = 0.0  # how long the last write took

    def save(self, state: dict, *, final: bool = False) -> None:
        """Write `state`. A final one stands alone: the previous one is removed."""
        started = time.monotonic()
        temporary = None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(_size(state))
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            with os.fdopen(handle, "wb") as file:
                torch.save({"schema": SCHEMA, "digest": self.digest, **state}, file)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            if self.path.exists() and not final:
                os.replace(self.path, self.previous)
            os.replace(temporary, self.path)
            if final:
                self.previous.unlink(missing_ok=True)
        except (OSError, RuntimeError) as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            # torch closes its archive on the way out of an error, and where the disk is full, fails at that once more.
            fault = error if isinstance(error, OSError) else error.__context__
            if not isinstance(fault, OSError):
                raise
            reason = fault.strerror or fault
            raise UserError(
                f"{self.path} cannot be written ({reason}): make room, or choose another folder for results."
            ) from None
        self.seconds = time.monotonic() - started

    def _make_room(self, needed: int) -> None:
        """Give up the older checkpoint where the disk has no room for a third. OSError where there is no room then, either."""
        room = lambda: shutil.disk_usage(self.path.parent).free >= needed
        if not room() and self.path.exists():
            self.previous.unlink(missing_ok=True)
        if not room():
            raise OSError(errno.ENOSPC, f"it takes {needed / 1e9:.2f} GB, and the disk is full")

    def load(self, device: torch.device) -> dict | None:
        """The newest usable checkpoint, None where there is none. Says which one was passed over, and why."""
        for unfinished in self.path.parent.glob(f".{self.path.name}.*"):  # of a process that was killed while it wrote
            unfinished.unlink(missing_ok=True)
        for path, other in ((self.path, f"trying {self.previous.name}"), (self.previous, "starting afresh")):
            if not path.exists():
                continue
            try:
                state = torch.load(_sound(path), map_location=device, weights_only=True)
            except Exception as error:  # a damaged file fails in many ways, and all of them mean: not this one
                self.log(f"checkpoint {path.name} is unreadable ({' '.join(str(error).split())[:120]}): {other}.")
                continue
            if not isinstance(state, dict) or state.get("schema") != SCHEMA:
                self.log(f"checkpoint {path.name} is of another version: {other}.")
            elif state["digest"] != self.digest:
                self.log(f"checkpoint {path.name} was made by other code, data or settings: {other}.")
            else:
                return state
        return None
