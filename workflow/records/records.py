"""The records that the stages leave behind, read with every check that keeps a bad one out of a table.

A run's folder holds search.json (learned sizes), result.json (accuracy) or failure.json (one sentence); a row's seconds per epoch
are in timings/<dataset>/<row>.json. Each reader returns the record or raises BadRecord with the reason that the report shows. A record
carries a seal over its own content, so that a digit that changed on the disk or in a copy is noticed (no protection from forgery).
"""

import hashlib
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from workflow.plan.names import check_path
from workflow.plan.plan import SCHEMA
from workflow.protocol.runs import Run
from workflow.support.errors import UserError
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
    "timing": {"run": dict, "row": str, "dataset": str, "device": str, "batch_size": int, "segments": list,
               "train_seconds": float, "seconds_per_epoch": float},
}  # fmt: skip


# Of what the reports calculate with or print, where it is there: of which type it is, or the items of a list or mapping are.
_TYPES: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("top5", "loss", "cross_entropy", "search_seconds", "faster_seconds", "weight", "low", "high"), (int, float)),
    **dict.fromkeys(("seconds_per_epoch", "soft_sizes", "rounds"), (int, float)), "sizes": (int, list), "kernel_sizes": (int, list),
    "dilations": (int,),
    **dict.fromkeys(("precision", "layers", "digests", "stage", "position", "uncaptured_reason", "sizes_from"), (str,)),
    **dict.fromkeys(("device", "driver", "cpu", "python", "torch", "platform", "git_commit", "started", "ended"), (str,)),
}  # fmt: skip
STAGES = ("search", "train")  # of which a timing has segments
LARGEST_SIZE = 999  # of a kernel's side
HEADER = 128  # bytes before an array's own in an .npy
NO_FLOAT = re.compile(r"\d{309}")  # digits of a whole number that no float can hold
KERNELS = 1 << 24  # bytes of a network's learned kernels, at most


class BadRecord(Exception):
    """A record that must not enter a table; the text says why."""


@contextmanager
def _refused(path: Path) -> Iterator[None]:
    """Turn whatever a file of another form raises while it is checked into the reason why it is refused."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, UserError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise BadRecord(f"{path} is no sound record ({reason}); delete it and run again") from None


def _seal(record: dict) -> str:
    content = {key: value for key, value in record.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def check_seal(path: Path, record: dict) -> None:
    """Raises BadRecord where a record is not what was sealed; one without a seal passes."""
    if "seal" in record and record["seal"] != _seal(record):
        raise BadRecord(f"{path} has changed since it was written; delete it and run again")


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


def _read(path: Path, kind: str) -> dict:
    try:
        text = path.read_text(encoding="utf-8")
        record = json.loads(text)
        if "\\ud" in text.lower():  # half of a pair is valid JSON, but can be written nowhere
            json.dumps(record, ensure_ascii=False).encode()
    except FileNotFoundError:
        raise BadRecord(f"{path.name} is missing") from None
    except (OSError, RecursionError, ValueError) as error:
        raise BadRecord(f"{path} cannot be read as JSON ({error}); delete it and run again") from None
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        raise BadRecord(f"{path} is not a record of this version (schema {SCHEMA}); delete it and run again")
    check_seal(path, record)
    for field, kind_of in {**_COMMON, **_FIELDS[kind]}.items():
        allowed = (int, float) if kind_of is float else kind_of
        if not isinstance(record.get(field), allowed):
            raise BadRecord(f"{path} lacks a valid '{field}'; delete it and run again")
    if record["status"] != "complete":
        raise BadRecord(f"{path} has status '{record['status']}'")
    try:
        json.dumps(record, allow_nan=False)  # faster than a look at each number: some searches have 40,000
        finite = not NO_FLOAT.search(text)
    except ValueError:
        finite = False
    if not finite:
        raise BadRecord(f"{path} holds a number that is not finite; delete it and run again")
    _check_types(record, {"layers", "sizes", "kernel_sizes", "dilations", "soft_sizes", "seconds_per_epoch"})
    for part in (record["provenance"], *record.get("segments", ())):
        _check_types(part, {"rounds"})
    for size in (*(record.get("sizes") or ()), *(record.get("kernel_sizes") or ())):
        if not all(0 < side <= LARGEST_SIZE for side in (size if isinstance(size, list) else [size])):
            raise ValueError(f"a kernel of size {size}")
    if "run" in record:
        Run.from_json(record["run"])
    return record


def _check_types(values: dict, lists: set[str]) -> None:
    """Raises TypeError where a value, or an item of those that may be lists, is of another type than its name asks for."""
    for field in _TYPES.keys() & values.keys():
        value = values[field]
        items = (
            value.values() if field == "digests" else value if field in lists and isinstance(value, list) else [value]
        )
        if not all(item is None or type(item) in _TYPES[field] for item in items):
            raise TypeError(f"'{field}' is {str(value)[:40]!r}")


def _check_epochs(path: Path, record: dict, planned: int) -> None:
    if record["epochs"] != planned or len(record["seconds_per_epoch"]) != planned:
        done = min(record["epochs"], len(record["seconds_per_epoch"]))
        raise BadRecord(f"{path} has {done} of {planned} epochs")


def read_result(path: Path) -> dict:
    """A finished run's result.json."""
    with _refused(path):
        record = _read(path, "result")
        _check_epochs(path, record, record["run"]["train"]["recipe"]["epochs"])
        if not 0 <= record["correct"] <= record["test_images"]:
            raise BadRecord(f"{path} has {record['correct']} correct of {record['test_images']} test images")
        if abs(100 * record["correct"] / record["test_images"] - record["accuracy"]) > 1e-6:
            raise BadRecord(f"{path}: its accuracy is not its count of correct test images")
        return record


def read_search(path: Path) -> dict:
    """A finished search's search.json."""
    with _refused(path):
        record = _read(path, "search")
        _check_epochs(path, record, record["run"]["search"]["epochs"])
        if not record["sizes"] or len(record["sizes"]) != len(record["layers"]):
            raise BadRecord(f"{path} has {len(record['sizes'])} sizes for {len(record['layers'])} layers")
        dilations = record.get("dilations", [1] * len(record["sizes"]))
        if len(dilations) != len(record["sizes"]) or not all(0 < dilation <= LARGEST_SIZE for dilation in dilations):
            raise BadRecord(f"{path} has no dilation from 1 up for each of its sizes; delete it and run again")
        return record


def _check_segments(path: Path, record: dict) -> None:
    """What the mean over a timing's segments needs: a part of training, weights and seconds above 0. Raises BadRecord."""
    if not any(part["stage"] == "train" for part in record["segments"]):
        raise BadRecord(f"{path} has no timed segment of training; delete it and run again")
    for part in (*record["segments"], *(record.get("faster_segments") or ())):
        rounds = part.get("rounds", [part["seconds_per_epoch"]])
        more = [part[name] for name in ("low", "high", "images_per_second") if name in part]
        numbers = [part["weight"], part["seconds_per_epoch"], *rounds, *more]
        if part["stage"] not in STAGES or not rounds or not all(type(n) in (int, float) and n > 0 for n in numbers):
            raise BadRecord(f"{path} has a segment without a stage, a weight or seconds; delete it and run again")


def read_timing(path: Path) -> dict:
    """A row's timing record."""
    with _refused(path):
        record = _read(path, "timing")
        _check_segments(path, record)
        return record


def read_predictions(path: Path, images: int) -> "tuple[np.ndarray, np.ndarray]":
    """A run's predictions.npz: predicted classes, uint16 [images], and log-probabilities of the true classes, float16 [images]."""
    found = _arrays(path, "predictions", most=4 * images)
    if not {"classes", "log_probability"} <= found.keys():
        raise BadRecord(
            f"{path} cannot be read as predictions (it has {', '.join(found)}); delete the run's folder and run again"
        )
    classes, likely = found["classes"], found["log_probability"]
    if classes.shape != (images,) or likely.shape != (images,) or not (likely <= 0).all():
        raise BadRecord(f"{path} does not hold a class and a log-probability of each of {images} images; run again")
    return classes, likely


def read_kernels(path: Path) -> "list[np.ndarray]":
    """A run's kernels.npz: the trained kernels of each learned layer, in forward order, [..., height, width]."""
    import numpy as np

    found = list(_arrays(path, "kernels", most=KERNELS).values())
    if not all(
        kernel.ndim > 1 and kernel.size and max(kernel.shape[-2:]) <= LARGEST_SIZE and np.isfinite(kernel).all()
        for kernel in found
    ):
        raise BadRecord(f"{path} does not hold finite kernels; delete the run's folder and run again")
    return found


def _arrays(path: Path, what: str, *, most: int) -> "dict[str, np.ndarray]":
    """The arrays of numbers in an .npz of at most so many bytes, unpacked (their headers apart). Raises BadRecord."""
    import numpy as np

    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as packed:
            if sum(member.file_size - HEADER for member in packed.zip.infolist()) > most:
                raise ValueError(f"it unpacks to more than {most:,} bytes")
            found = {name: packed[name] for name in packed.files}
            if strange := [name for name, array in found.items() if array.dtype.kind not in "fiu"]:
                raise ValueError(f"{strange[0]} holds no numbers")
            return found
    except FileNotFoundError:
        raise BadRecord(f"{path.name} is missing") from None
    except (
        OSError, EOFError, AttributeError, MemoryError, NotImplementedError, OverflowError, RuntimeError, SyntaxError, TypeError,
        ValueError, KeyError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        raise BadRecord(f"{path} cannot be read as {what} ({error}); delete the run's folder and run again") from None


def read_failure(path: Path) -> dict | None:
    """A run's failure.json: {"run", "stage", "reason", "epoch", "when"}; None where the run has not failed."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, RecursionError, ValueError):
        record = None
    if not isinstance(record, dict) or not {"stage", "reason"} <= record.keys():
        return {"run": None, "stage": "unknown", "reason": f"{path} cannot be read", "epoch": None, "when": None}
    return {**record, "stage": str(record["stage"]), "reason": str(record["reason"])}


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
