"""How many search and training jobs share a GPU where `per_gpu` is not given: what was measured on a card of that name. Torch-free.

`python -m workflow check` measures and writes results/selfcheck.json; results/recorded/selfcheck.json holds cards that were checked
before and is kept in git. A card that neither knows gets one job.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from workflow.protocol.runs import Run
from workflow.support.errors import UserError
from workflow.support.files import ROOT, write_json

HERE = Path("results/selfcheck.json")
RECORDED = ROOT / "results" / "recorded" / "selfcheck.json"
FILES = (HERE, RECORDED)
MOST = 16  # as of `per_gpu`
ENOUGH = 0.95  # of the most images per second: with fewer jobs each ends sooner
ROOM = 0.9  # of a card's memory is given out
ALONE = {"literal"}  # kinds that `per_gpu` does not look at: a job of them has a whole card where it is not known


def best(speeds: Mapping[int, float]) -> int:
    """The fewest jobs side by side that reach nearly the most images per second in total. `speeds`: jobs -> images per second."""
    return min(count for count, speed in speeds.items() if speed >= ENOUGH * max(speeds.values()))


def fitting(speeds: Mapping[int, float], memory_mb: float, card_mb: float) -> int:
    """The best number of those that the card has room for, at least 1."""
    room = max(1, int(ROOM * card_mb / memory_mb)) if memory_mb else MOST
    return best({count: speed for count, speed in speeds.items() if count <= room} or {1: 1.0})


def read(path: Path) -> dict[str, dict]:
    """Device's name -> what was found of it, with `side_by_side` by kind of job; nothing where there is no file."""
    try:
        found = json.loads(path.read_text())
        numbers = [number for record in found.values() for number in record["side_by_side"].values()]
        rates = [rate for record in found.values() for rate in record.get("macs_per_second", {}).values()]
        json.dumps(found, allow_nan=False)  # it is written again when another card is kept
        if all(number in range(1, MOST + 1) for number in numbers) and all(0 < rate < float("inf") for rate in rates):
            return found
        reason = f"side_by_side must be 1 to {MOST}, and rates above 0"
    except FileNotFoundError:
        return {}
    except (OSError, RecursionError, ValueError, AttributeError, TypeError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise UserError(f"{path} is damaged ({reason}): remove it, and run `python -m workflow check` again.")


def known(files: Sequence[Path] = FILES) -> dict[str, dict]:
    """Every card that was checked; the first file wins."""
    return {name: record for path in reversed(files) for name, record in read(path).items()}


def side_by_side(cards: Iterable[str], kind: str, found: Mapping[str, dict]) -> int:
    """Jobs of a kind on each of these cards: the fewest that is best for one of them. `found`: what `known` gives."""
    return min((found[card]["side_by_side"].get(kind, 1) if card in found else 1 for card in cards), default=1)


def per_gpu(cards: Sequence[str], files: Sequence[Path] = FILES) -> int:
    """Jobs of any usual kind on each of these cards."""
    found = known(files)
    kinds = {kind for card in cards if card in found for kind in found[card]["side_by_side"]} - ALONE
    return min((side_by_side(cards, kind, found) for kind in kinds), default=1)


def kind_of(run: Run, stage: str, *, grows: bool = False) -> str:
    """What kind of job a stage of a run is on a GPU. `grows`: whether the run's kernels grow in training."""
    if stage == "search" and run.search:
        return "literal" if run.search.options.get("kernel_predictor") == "literal" else "search"
    return "growing" if grows else "train"


def keep(card: str, record: dict, path: Path = HERE) -> None:
    """Add a card to a file, in place of what it said of that card."""
    write_json(path, {**read(path), card: record})
