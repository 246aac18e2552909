"""history.jsonl: a line an epoch, of both stages of a run. Checkpoints hold the rows too, and a resumed stage writes its own again."""

import json
from pathlib import Path

from workflow.support.errors import UserError
from workflow.support.files import write_text


def _line(row: dict) -> str:
    return json.dumps(row, allow_nan=False) + "\n"


def reset(path: Path, stage: str, rows: list[dict]) -> None:
    """Make `rows` the stage's rows in the file; the rows of other stages stay in front of them. Makes the folder."""
    kept = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue  # a line cut short by a kill
            if isinstance(row, dict) and row.get("stage") != stage:
                kept.append(row)
    write_text(path, "".join(_line(row) for row in (*kept, *rows)))


def append(path: Path, row: dict) -> None:
    """Add one row. Raises UserError where the disk is full or the file cannot be written."""
    try:
        with path.open("a") as file:
            file.write(_line(row))
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): make room, or free the file.") from None
