"""`python -m workflow data`: each data set, found or not, where, how big, verified or not, what to do."""

from pathlib import Path

from workflow.data.checksums import check, expected
from workflow.data.download import DOWNLOADABLE
from workflow.data.files import readable
from workflow.data.layouts import ADVICE, IMAGES, Found, find
from workflow.data.prepared import load
from workflow.protocol.datasets import DATASETS
from workflow.support.errors import UserError


def size(count: int) -> str:
    """Bytes as people say them."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _raw(dataset: str, found: Found) -> tuple[int, str]:
    """(bytes, how far the files are verified). Raises UserError where a checksum is wrong."""
    if found.layout is IMAGES:
        return sum(path.stat().st_size for path in found.where.rglob("*") if path.is_file()), "no published checksum"
    paths = found.paths()
    known = []
    for path in paths:
        with readable(path):
            known.append(expected(dataset, path) is not None and check(dataset, path)["verified"])
    return sum(path.stat().st_size for path in paths), (
        "verified" if all(known) else "partly verified" if any(known) else "no published checksum"
    )


def rows(folder: Path) -> list[tuple[str, ...]]:
    """(data set, found, where, size, verified, what to do) of each data set under `folder`."""
    table: list[tuple[str, ...]] = []
    for name, info in DATASETS.items():
        found, lacking = find(name, folder)
        prepared = folder / "prepared" / name
        try:
            manifest = load(prepared).manifest
            done = f"nothing: prepared in {prepared} on {manifest['created'][:10]}"
        except (UserError, KeyError, TypeError):
            done = ""
        if found:
            try:
                count, verified = _raw(name, found)
                todo = done or f"nothing: `python -m workflow prepare {name}`, or a run, prepares it"
            except UserError as error:
                count, verified, todo = 0, "WRONG", str(error)
            table.append((info.title, f"yes, {found.layout.title}", str(found.where), size(count), verified, todo))
            continue
        what = "nothing: downloaded when needed, or put " if name in DOWNLOADABLE else "put "
        there = f"incomplete, without {', '.join(lacking)}" if lacking else "prepared only" if done else "no"
        table.append((info.title, there, str(folder / name), "-", "-", done or f"{what}{ADVICE[name]} there"))
    return table


def main(folder: Path) -> int:
    """Print the table. Exit status 0: a data set that is not there is no failure."""
    heads = ("data set", "found", "where", "size", "checksum")
    table = rows(Path(folder))
    widths = [max(len(head), *(len(row[k]) for row in table)) for k, head in enumerate(heads)]
    print("  ".join(head.ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip())
    for row in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip())
        print(f"    to do: {row[-1]}")
    return 0
