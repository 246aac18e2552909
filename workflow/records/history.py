"""A run's history: history.jsonl, a line of JSON an epoch."""

import json
from pathlib import Path

from workflow.records.records import read_cached


def _lines(path: Path) -> dict:
    epochs = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except (RecursionError, ValueError):  # the last line of a process that was killed while it wrote
            continue
        if isinstance(entry, dict) and isinstance(entry.get("stage"), str) and isinstance(entry.get("epoch"), int):
            epochs.append(entry)
    return {"epochs": epochs}


def read_history(folder: Path) -> list[dict]:
    """The epochs recorded in a run's folder, search before train; an epoch done twice (a killed process) counts as done last."""
    found = read_cached(_lines, folder / "history.jsonl")
    latest = {(entry["stage"], entry["epoch"]): entry for entry in (found["epochs"] if isinstance(found, dict) else [])}
    return [latest[key] for key in sorted(latest, key=lambda key: (key[0] != "search", key[1]))]


def last_epoch(folder: Path) -> dict | None:
    """The last recorded epoch of a run; None before the first."""
    return next(reversed(read_history(folder)), None)
