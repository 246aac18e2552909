"""The records that the stages leave behind, read with every check that keeps a bad one out of a table.

A run's folder holds search.json (learned sizes), result.json (accuracy) or failure.json (one sentence); a row's seconds per epoch
are in timings/<dataset>/<row>.json. Each reader returns the record or raises BadRecord with the reason that the report shows. A record
carries a seal over its own content, so that a digit that changed on the disk or in a copy is noticed (no protection from forgery).
"""

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from workflow.plan.names import check_path
from workflow.plan.plan import SCHEMA
from workflow.support.files import write_json

if TYPE_CHECKING:
    import numpy as np

_COMMON = {"schema": int, "status": str, "digests": dict, "provenance": dict}
_FIELDS = {
    "result": {"run": dict, "accuracy": float, "correct": int, "test_images": int,
               "best_accuracy": float, "best_epoch": int,
               "parameters": int, "macs": int, "epochs": int, "seconds_per_epoch": list},
    "search": {"run": dict, "layers": list, "sizes": list, "soft_sizes": list, "parameters": int, "macs": int, "epochs": int,
               "seconds_per_epoch": list, "trajectory": dict},
    "timing": {"row": str, "dataset": str, "device": str, "segments": list, "train_seconds": float, "seconds_per_epoch": float},
}  # fmt: skip


class BadRecord(Exception):
    """A record that must not enter a table; the text says why."""


def _seal(record: dict) -> str:
    content = {key: value for key, value in record.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def write_record(path: Path, record: dict) -> None:
    """Write a record with its seal."""
    plain = json.loads(json.dumps(record))  # as it will be read back
    write_json(path, {**plain, "seal": _seal(plain)})


def run_folder(results: Path, run_id: str) -> Path:
    """Where everything of one run lies."""
    return results / "runs" / check_path(run_id)


def timing_path(results: Path, dataset: str, row: str) -> Path:
    """Where the seconds per epoch of one row lie."""
    return results / "timings" / check_path(f"{dataset}/{row}.json")


def _numbers(value: object) -> Iterable[float]:
    """Every number inside a JSON value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, float):
        yield value


def _read(path: Path, kind: str) -> dict:
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        raise BadRecord(f"{path.name} is missing") from None
    except (OSError, ValueError) as error:
        raise BadRecord(f"{path} cannot be read as JSON ({error}); delete it and run again") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise BadRecord(f"{path} is not a record of this version (schema {SCHEMA}); delete it and run again")
    if "seal" in record and record["seal"] != _seal(record):
        raise BadRecord(f"{path} has changed since it was written; delete it and run again")
    for field, kind_of in {**_COMMON, **_FIELDS[kind]}.items():
        allowed = (int, float) if kind_of is float else kind_of
        if not isinstance(record.get(field), allowed):
            raise BadRecord(f"{path} lacks a valid '{field}'; delete it and run again")
    if record["status"] != "complete":
        raise BadRecord(f"{path} has status '{record['status']}'")
    if not all(math.isfinite(number) for number in _numbers(record)):
        raise BadRecord(f"{path} holds a number that is not finite")
    return record


def _check_epochs(path: Path, record: dict, planned: int) -> None:
    if record["epochs"] != planned or len(record["seconds_per_epoch"]) != planned:
        done = min(record["epochs"], len(record["seconds_per_epoch"]))
        raise BadRecord(f"{path} has {done} of {planned} epochs")


def read_result(path: Path) -> dict:
    """A finished run's result.json."""
    record = _read(path, "result")
    _check_epochs(path, record, record["run"]["train"]["recipe"]["epochs"])
    if not 0 <= record["correct"] <= record["test_images"]:
        raise BadRecord(f"{path} has {record['correct']} correct of {record['test_images']} test images")
    if abs(100 * record["correct"] / record["test_images"] - record["accuracy"]) > 1e-6:
        raise BadRecord(f"{path}: its accuracy is not its count of correct test images")
    return record


def read_search(path: Path) -> dict:
    """A finished search's search.json."""
    record = _read(path, "search")
    _check_epochs(path, record, record["run"]["search"]["epochs"])
    if not record["sizes"] or len(record["sizes"]) != len(record["layers"]):
        raise BadRecord(f"{path} has {len(record['sizes'])} sizes for {len(record['layers'])} layers")
    return record


def read_timing(path: Path) -> dict:
    """A row's timing record."""
    return _read(path, "timing")


def read_predictions(path: Path, images: int) -> "tuple[np.ndarray, np.ndarray]":
    """A run's predictions.npz: predicted classes, uint16 [images], and log-probabilities of the true classes, float16 [images]."""
    import numpy as np

    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as packed:
            classes, likely = packed["classes"], packed["log_probability"]
    except FileNotFoundError:
        raise BadRecord(f"{path.name} is missing") from None
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise BadRecord(
            f"{path} cannot be read as predictions ({error}); delete the run's folder and run again"
        ) from None
    if classes.shape != (images,) or likely.shape != (images,) or not (likely <= 0).all():
        raise BadRecord(f"{path} does not hold a class and a log-probability of each of {images} images; run again")
    return classes, likely


def read_failure(path: Path) -> dict | None:
    """A run's failure.json: {"run", "stage", "reason", "epoch", "when"}; None where the run has not failed."""
    try:
        record = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {"run": None, "stage": "unknown", "reason": f"{path} cannot be read", "epoch": None, "when": None}
    return record


@cache
def _cached(read: Callable[[Path], dict], path: Path, modified: int, size: int) -> dict | str:
    try:
        return read(path)
    except BadRecord as error:
        return str(error)


def read_cached(read: Callable[[Path], dict], path: Path) -> dict | str | None:
    """The record, or the reason why it is refused, or None where there is no file. Read once a process unless it changes."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _cached(read, path, status.st_mtime_ns, status.st_size)
