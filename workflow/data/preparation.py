"""Any source -> train/ and test/ arrays and a manifest, in one streaming pass; whole or not at all.

OUT/{train,test}/images.npy (uint8, NHWC), labels.npy (int64), OUT/train/mean_image.npy (float32, HWC, pixels in 0..1), and last
OUT/manifest.json. Everything is written beside OUT and moved there at the end; without its manifest a folder counts as not prepared.
"""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from workflow.data.imagefolder import dataset_info
from workflow.data.layouts import Found, find, missing
from workflow.data.prepared import SCHEMA, SPLITS, array_digest, load
from workflow.data.writer import SplitWriter
from workflow.protocol.datasets import DatasetInfo
from workflow.support.errors import UserError
from workflow.support.files import write_json
from workflow.support.locks import locked

SOURCES = ("auto", "disk", "synthetic")
Chunks = Iterator[tuple[np.ndarray, np.ndarray]]


def prepare(dataset: str, *, source: str = "auto", folder: Path, out: Path, synthetic: dict | None = None) -> dict:
    """Prepare a data set into `out` and return its manifest; at once where it is prepared already.

    source: "auto" takes the files under `folder`, else downloads them there; "disk" never downloads; "synthetic" makes images up,
    `synthetic` = {"train": n, "test": n, "seed": 0}. Raises UserError (one sentence; nothing is left behind) for anything missing or
    wrong with the files.
    """
    folder, out = Path(folder), Path(out)
    if source not in SOURCES:
        raise UserError(f"data source '{source}' is unknown: choose one of {', '.join(SOURCES)}.")
    request = _request(dataset, source, synthetic)
    # Before the lock: what is prepared may lie where nothing can be written.
    if (manifest := _current(out, request)) is not None:
        return manifest
    with locked(out.parent / f".{out.name}.lock"):
        if (manifest := _current(out, request)) is not None:
            return manifest
        info = dataset_info(dataset, folder)
        work = out.parent / f".{out.name}.partial"
        shutil.rmtree(work, ignore_errors=True)  # of a killed process: the lock is ours now
        try:
            return _write(info, request, folder, out, work)
        except OSError as error:
            raise UserError(
                f"{out} could not be written ({error.strerror or error}): make room, or choose another folder."
            ) from None
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _request(dataset: str, source: str, synthetic: dict | None) -> dict:
    """What identifies a prepared data set: its name, and for made-up images everything they depend on."""
    if source != "synthetic":
        return {"dataset": dataset, "source": source}
    from workflow.data.synthetic import settings

    return {"dataset": dataset, "source": source, "synthetic": settings(synthetic)}


def _current(out: Path, request: dict) -> dict | None:
    """The manifest of `out` where it holds what is asked for, else None."""
    try:
        manifest = load(out).manifest
    except (UserError, KeyError, TypeError):
        return None
    same = manifest["dataset"] == request["dataset"] and manifest.get("synthetic") == request.get("synthetic")
    return manifest if same else None


def _source(info: DatasetInfo, request: dict, folder: Path) -> Found:
    """The files on disk, downloaded where that is allowed and possible."""
    found, lacking = find(info.name, folder)
    note = ""
    if found is None and request["source"] == "auto":
        from workflow.data.download import download

        note = download(info.name, folder)
        found, _ = find(info.name, folder)
    if found is None:
        raise missing(info, folder, lacking, note)
    found.files.require(names[0] for names in found.layout.files if not any(map(found.files.loose, names)))
    return found


def _write(info: DatasetInfo, request: dict, folder: Path, out: Path, work: Path) -> dict:
    """Stream both splits into `work`, check them, and move them to `out`."""
    if "synthetic" in request:
        from workflow.data import synthetic

        settings = request["synthetic"]
        chunks = {split: synthetic.chunks(info, split, settings) for split in SPLITS}
        where: str | Path = "the generator"
        counts, layout, records = {split: settings[split] for split in SPLITS}, "synthetic", []
    else:
        found = _source(info, request, folder)
        chunks = {split: found.layout.read(found.files, split, info) for split in SPLITS}
        counts, layout, where = {split: info.images(split) for split in SPLITS}, found.layout.title, found.where
        records = found.files.records
    _room(out, sum(counts.values()) * int(np.prod(info.shape)))
    writers, splits = {}, {}
    for split in SPLITS:
        writers[split] = SplitWriter(work / split, shape=info.shape, classes=info.classes, moments=split == "train")
        splits[split] = _stream(writers[split], chunks[split], where, split, counts[split])
    mean, std = writers["train"].channel_moments()
    mean_image = writers["train"].mean_image()
    np.save(work / "train" / "mean_image.npy", mean_image)
    manifest = {
        "schema": SCHEMA,
        "dataset": info.name,
        "source": layout,
        "classes": info.classes,
        "splits": splits,
        "mean": mean,
        "std": std,
        "mean_image": "train/mean_image.npy",
        "sha256_mean_image": array_digest(mean_image),
        "files": records,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if "synthetic" in request:
        manifest["synthetic"] = request["synthetic"]
    _publish(work, out, manifest)
    return manifest


def _stream(writer: SplitWriter, chunks: Chunks, where: object, split: str, count: int) -> dict:
    """Write all chunks of a split; its description. Raises UserError where their number is not `count`."""
    try:
        for images, labels in chunks:
            writer.add(images, labels, where)
            if writer.count > count:
                break
        if writer.count != count:
            more = "more" if writer.count > count else f"{writer.count}"
            raise UserError(
                f"{where} has {more} {split} images where there must be {count}: download the data set again."
            )
        return writer.finish()
    finally:
        writer.close()


def _room(out: Path, size: int) -> None:
    place = next(folder for folder in out.absolute().parents if folder.exists())
    free = shutil.disk_usage(place).free
    if free < size * 1.02 + (1 << 20):
        raise UserError(
            f"{place} has {free / 1e9:.1f} GB free where {out} needs {size / 1e9:.1f} GB: make room or choose another folder."
        )


def _publish(work: Path, out: Path, manifest: dict) -> None:
    """Move the finished files into place. The old manifest goes first and the new one comes last."""
    (out / "manifest.json").unlink(missing_ok=True)
    for split in SPLITS:
        (out / split).mkdir(parents=True, exist_ok=True)
        for path in (work / split).iterdir():
            os.replace(path, out / split / path.name)
    write_json(out / "manifest.json", manifest)
