"""How many search and training jobs share a GPU where `per_gpu` is not given: what was measured on a card of that name. Torch-free.

`python -m workflow packing` measures and writes results/packing.json; results/recorded/packing.json holds cards that were measured
before and is kept in git. A card that neither knows gets one job.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from workflow.support.errors import UserError
from workflow.support.files import ROOT, write_json

HERE = Path("results/packing.json")
RECORDED = ROOT / "results" / "recorded" / "packing.json"
COUNTS = (1, 2, 3, 4, 6, 8)  # jobs on one GPU that are tried
MOST = 16  # as of `per_gpu`
ENOUGH = 0.95  # of the most images per second: with fewer jobs each ends sooner


def best(speeds: Mapping[int, float]) -> int:
    """The fewest jobs side by side that reach nearly the most images per second in total. `speeds`: jobs -> images per second."""
    return min(count for count, speed in speeds.items() if speed >= ENOUGH * max(speeds.values()))


def read(path: Path) -> dict[str, dict]:
    """Card name -> what was measured on it, with `side_by_side`; nothing where there is no file."""
    try:
        found = json.loads(path.read_text())
        if all(record["side_by_side"] in range(1, MOST + 1) for record in found.values()):
            return found
        reason = f"side_by_side must be 1 to {MOST}"
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}"
    raise UserError(f"{path} is damaged ({reason}): remove it, and measure again with `python -m workflow packing`.")


def known(files: Sequence[Path] = (HERE, RECORDED)) -> dict[str, dict]:
    """Every card that was measured; the first file wins."""
    return {name: record for path in reversed(files) for name, record in read(path).items()}


def per_gpu(cards: Iterable[str], files: Sequence[Path] = (HERE, RECORDED)) -> int:
    """Jobs for each of these cards: the fewest that is best for one of them."""
    found = known(files)
    return min((found[card]["side_by_side"] if card in found else 1 for card in cards), default=1)


def keep(card: str, record: dict, path: Path = HERE) -> None:
    """Add a card to a file, in place of what it said of that card."""
    write_json(path, {**read(path), card: record})
