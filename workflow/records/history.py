"""A run's history: one line of JSON an epoch."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

from workflow.records.records import BadRecord


def last_epoch(folder: Path) -> dict | None:
    """The last whole line of a run's history."""
    try:
        lines = (folder / "history.jsonl").read_text().splitlines()
    except OSError:
        return None
    for line in reversed(lines):
        try:
            return json.loads(line)
        except ValueError:
            continue
    return None


@cache
def _cached(reader: Callable[[Path], dict], path: Path, modified: int, size: int) -> dict | str:
    try:
        return reader(path)
    except BadRecord as error:
        return str(error)


def _read(reader: Callable[[Path], dict], path: Path) -> dict | str | None:
    """The record, or the reason why it is refused, or None where there is no file. Read once a process unless it changes."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _cached(reader, path, status.st_mtime_ns, status.st_size)


def _lines(path: Path) -> dict:
    epochs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a process that was killed while it wrote
            continue
        if isinstance(entry, dict) and {"stage", "epoch"} <= entry.keys():
            epochs.append(entry)
    return {"epochs": epochs}


def read_history(folder: Path) -> list[dict]:
    """The epochs recorded in a run's folder; an epoch done twice (a killed process) counts as done last."""
    found = _read(_lines, folder / "history.jsonl")
    latest = {(entry["stage"], entry["epoch"]): entry for entry in (found["epochs"] if isinstance(found, dict) else [])}
    return [latest[key] for key in sorted(latest, key=lambda key: (key[0] != "search", key[1]))]
