"""`python -m workflow campaign --collect DIR`: a campaign's results, checked again and filed under results/recorded/NAME.

DIR was copied from another machine, so nothing in it is taken on trust. A record is filed if it is sound, if its run is the plan's,
word for word (of a search that was taken over: in what its sizes depend on), if its digests are those of this code, if its data has
the checksums of the data sets' manifests (and of the data here, where they are prepared), and if it agrees with the run's history and
learned sizes. A campaign may be collected while it goes on: of each run, the stages that have ended are filed, the others later. What
is already filed is never replaced.
"""

import json
import re
from pathlib import Path

from workflow.data.files import shown
from workflow.machine import gpu_pool
from workflow.plan.digests import expected_digests
from workflow.plan.plan import read_plan
from workflow.plan.row_sizes import from_search
from workflow.protocol.runs import Run
from workflow.records.kernels import Kernels, as_text, kernels_of
from workflow.records.records import (
    BadRecord,
    read_kernels,
    read_predictions,
    read_result,
    read_search,
    read_timing,
    run_folder,
    timing_path,
)
from workflow.records.state import changed_digests
from workflow.support.errors import UserError
from workflow.support.files import read_json, write_bytes

NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
ROUNDING = 1e-3  # log-probabilities are kept as half floats
# Of each stage, its record first.
STAGE_FILES = {"search": ("search.json",), "train": ("result.json", "kernels.npz", "predictions.npz")}
HISTORY = "history.jsonl"
RUN_FILES = ("run.json", HISTORY, *STAGE_FILES["search"], *STAGE_FILES["train"])


class Collection:
    """The checks of one campaign's folder. `other_code`: records of other code are filed too."""

    def __init__(self, folder: Path, *, other_code: bool = False):
        self.folder, self.other_code = folder, other_code
        try:
            self.plan = read_plan(folder / "plan.json")
            self.runs = self.plan.by_id
            for run in self.runs.values():
                parts = (run.dataset, run.row)
                if run.id != f"{'/'.join(parts)}/seed{run.seed}" or not all(map(NAME.fullmatch, parts)):
                    raise BadRecord(f"{folder / 'plan.json'} has a run with the name {run.id!r}")
            self.sums = {data: self._sums(data) for data in {run.data for run in self.runs.values()}}
        except (UserError, BadRecord, KeyError, RecursionError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder} cannot be collected ({shown(error, 400)}): copy the campaign's whole folder again."
            ) from None

    def _sums(self, prepared: str) -> dict[str, str] | None:
        """Checksums of both splits of prepared data by the campaign's manifest, which must be those of the data here."""
        path, here = self.folder / "data" / Path(prepared).name / "manifest.json", Path(prepared) / "manifest.json"
        if not path.exists():
            return None
        splits = read_json(path, "copy it again")["splits"]
        sums = {split: splits[split]["sha256_images"] for split in ("train", "test")}
        if here.exists():
            ours = read_json(here, "prepare that data set again")["splits"]
            if sums != {split: ours[split]["sha256_images"] for split in ("train", "test")}:
                raise BadRecord(f"the data of {path} is not the data of {here}")
        return sums

    def _check(self, record: dict, run: Run, stage: str, extra: dict[str, str]) -> None:
        """What holds for every record of a run on a data set. Raises BadRecord."""
        if self.sums[run.data] is None:
            raise BadRecord(f"the campaign has no data/{Path(run.data).name}/manifest.json: copy it from {run.data}")
        self._check_code(record, run, stage, extra)
        if record["provenance"].get("data") != self.sums[run.data]:
            raise BadRecord("its data is not that of the campaign's manifest")

    def _check_code(self, record: dict, run: Run, stage: str, extra: dict[str, str]) -> None:
        """Whether a record is of this run and this code. Raises BadRecord."""
        if stage != "time" and not _is_of(record, run, stage):
            raise BadRecord("its run is not the plan's")
        expected = {**expected_digests(run, stage), **extra}
        changed = changed_digests(record, expected)
        if {"run", *extra} & set(changed):
            raise BadRecord(f"its digests do not fit its {', '.join(sorted({'run', *extra} & set(changed)))}")
        if changed and not self.other_code:
            raise BadRecord(f"it was made by other code ({', '.join(changed[:3])}): add --other-code to file it")

    def _history(self, folder: Path, stage: str, record: dict) -> None:
        """The history has every epoch, and its last row is the record's. Raises BadRecord."""
        rows = {}
        try:
            for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines():
                row = json.loads(line)
                if row["stage"] == stage:
                    rows[row["epoch"]] = row
        except (OSError, RecursionError, ValueError, KeyError, TypeError) as error:
            raise BadRecord(f"its history cannot be read ({error})") from None
        if sorted(rows) != list(range(1, record["epochs"] + 1)):
            raise BadRecord(f"its history has {len(rows)} of {record['epochs']} epochs")
        if stage == "train" and rows[record["epochs"]].get("correct") != record["correct"]:
            raise BadRecord("its history ends with another accuracy")

    def _predictions(self, folder: Path, result: dict) -> None:
        """The answers to the test images, where they are there, have the result's cross-entropy. Raises BadRecord."""
        if not (folder / "predictions.npz").exists():
            return
        _, likely = read_predictions(folder / "predictions.npz", result["test_images"])
        if abs(-likely.astype(float).mean() - result["cross_entropy"]) > ROUNDING * (1 + result["cross_entropy"]):
            raise BadRecord("its predictions are not those of its cross-entropy")

    def run(self, run: Run) -> str | None:
        """Check a run; what is to be filed of it in words, None where it has nothing yet. Raises BadRecord."""
        folder, found, kernels = run_folder(self.folder, run.id), [], None
        for path in (folder / name for name in RUN_FILES):
            self._plain(path)
        if (folder / "run.json").exists() and read_json(
            folder / "run.json", "copy it again.", BadRecord
        ) != run.to_json():
            raise BadRecord("its run.json is not the plan's")
        if (folder / "kernels.npz").exists():
            read_kernels(folder / "kernels.npz")
        train = (self.sums[run.data] or {}).get("train", "")[:12]
        if run.search and (folder / "search.json").exists():
            search = read_search(folder / "search.json")
            self._check(search, run, "search", {"data": train})
            self._history(folder, "search", search)
            kernels = kernels_of(search)
            if search.get("taken_from") and not (folder / "result.json").exists():
                return None  # it stands where it was taken from
            found.append("sizes " + as_text(kernels))
        if (folder / "result.json").exists():
            result = read_result(folder / "result.json")
            if run.search and kernels is None:
                raise BadRecord("it has an accuracy, but no learned sizes")
            kernels = kernels or self._ruled(run)
            self._check(result, run, "train", {"data": train, "sizes": as_text(kernels)})
            self._history(folder, "train", result)
            self._predictions(folder, result)
            found.append(f"{result['accuracy']:.2f} % after {result['epochs']} epochs")
        return ", ".join(found) or None

    def _plain(self, path: Path) -> None:
        """Raises BadRecord where a path is anything but a file in the campaign's folder: what a link points to is not filed."""
        if path.exists() and (
            not path.is_file() or path.resolve() != self.folder.resolve() / path.relative_to(self.folder)
        ):
            raise BadRecord(f"{path.name} is a link or no file: copy the campaign's folder with its files")

    def _ruled(self, run: Run) -> Kernels:
        """The sizes of a run whose rule starts from another run's search, which must be here; nothing for one without a rule."""
        if run.sizes is None:
            return {}
        other = run_folder(self.folder, self.runs[run.sizes.run].id)
        return {"kernel_sizes": from_search(run, run.sizes, read_search(other / "search.json")["sizes"])}

    def timing(self, run: Run) -> str | None:
        """Check the seconds per epoch of a run's row; the same."""
        path = timing_path(self.folder, run.dataset, run.row)
        if not path.exists():
            return None
        self._plain(path)
        record = read_timing(path)
        said = f"{record['seconds_per_epoch']:.3g} s per epoch on {record['provenance']['device']}"
        # Of `python -m workflow times`: no data, and sizes from wherever they were known.
        if record.get("made_up_pixels"):
            self._check_code(record, run, "time", {"sizes": record["digests"].get("sizes", "")})
            return f"{said}, pixels made up"
        kernels = self._ruled(run)
        if run.search:
            kernels = kernels_of(read_search(run_folder(self.folder, run.id) / "search.json"))
        self._check(record, run, "time", {"sizes": as_text(kernels)})
        return said


def _is_of(record: dict, run: Run, stage: str) -> bool:
    """Whether a record's run is the given one, word for word; of a search that was taken over, in all that its sizes depend on."""
    if stage == "search" and record.get("taken_from"):
        other = Run.from_json(record["run"])
        return (other.id, other.numbers(stage)) == (run.id, run.numbers(stage))
    return record["run"] == run.to_json()


def _file(content: bytes, target: Path) -> None:
    """Write a file whole. Raises BadRecord where another one is filed already; a history may have grown by a stage."""
    if target.exists() and (filed := target.read_bytes()) != content:
        shorter, longer = sorted((filed, content), key=len)
        if target.name != HISTORY or not longer.startswith(shorter):
            raise BadRecord(f"{target} holds another one already: delete that first")
        content = longer
    write_bytes(target, content)


def _ended(folder: Path, target: Path) -> dict[str, bytes]:
    """The files of a run's stages that have ended, by name; of its history, these stages' lines.

    A search that was taken from `target`, the folder of recorded results in which it is to be filed, stands there already.
    """
    stages = [stage for stage, (record, *_) in STAGE_FILES.items() if (folder / record).exists()]
    names = ["run.json", *(name for stage in stages for name in STAGE_FILES[stage])]
    found = {name: (folder / name).read_bytes() for name in names if (folder / name).exists()}
    if str(json.loads(found.get("search.json", b"{}")).get("taken_from")).startswith(f"{target.name}/"):
        del found["search.json"]
    lines = (folder / HISTORY).read_bytes().splitlines(keepends=True)
    return {**found, HISTORY: b"".join(line for line in lines if json.loads(line)["stage"] in stages)}


def collect(folder: Path, recorded: Path, name: str, *, other_code: bool = False) -> int:
    """Check and file a campaign's folder under `recorded`/`name`; prints a line a record. 1 where one was refused, else 0."""
    if not NAME.fullmatch(name):
        raise UserError(f"--name '{name}' must be of small letters, digits, dots and dashes: choose another.")
    collection, target = Collection(folder, other_code=other_code), recorded / name
    filed, refused, timed = set(), 0, set()
    for run in collection.runs.values():
        row, first = run.place, (run.dataset, run.row) not in timed
        timed.add((run.dataset, run.row))
        for what in ("run", "timing") if first else ("run",):
            try:
                found = getattr(collection, what)(run)
                if found is None:
                    continue
                if what == "run":
                    for file, content in _ended(run_folder(folder, run.id), target).items():
                        _file(content, run_folder(target, run.id) / file)
                else:
                    source, place = (timing_path(base, run.dataset, run.row) for base in (folder, target))
                    _file(source.read_bytes(), place)
            except (
                BadRecord, UserError, ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError,
            ) as error:  # fmt: skip
                refused += 1
                plain = isinstance(error, BadRecord | UserError)
                reason = error if plain else f"it is no sound record ({type(error).__name__}: {error})"
                print(f"REFUSED  {run.id if what == 'run' else row}: {shown(reason, 400)}")
            else:
                filed.add(run.id)
                print(f"filed    {run.id if what == 'run' else row}: {shown(found, 400)}")
    print(f"{len(filed)} runs filed under {target}, {refused} refused.")
    return int(refused > 0)


def collect_all(folder: Path, recorded: Path, name: str, *, other_code: bool = False) -> int:
    """Check and file a campaign: its folders one by one, as `recorded`/`name`-short and so on, and what is known of cards."""
    parts, checked = sorted(path.parent for path in folder.glob("*/plan.json")), folder / gpu_pool.HERE.name
    if not parts:
        raise UserError(f"{folder} holds no campaign: give the folder that was its --out.")
    for path in (*parts, *(part / "plan.json" for part in parts), checked):
        if path.is_symlink() or path.exists() and not (path in parts or path.is_file()):
            raise UserError(f"{path} is a link or no file: copy the campaign's folder with its files.")
    refused = [collect(part, recorded, f"{name}-{part.name}", other_code=other_code) for part in parts]
    for card, found in gpu_pool.read(checked).items():
        if card not in gpu_pool.read(path := recorded / gpu_pool.HERE.name):
            gpu_pool.keep(card, found, path)
            print(f"filed    the self-check of {shown(card)}")
    return max(refused)
