"""One process at a time on a data set that is prepared, a run or a folder of timings; on one machine, or a shared file system with
working locks."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workflow.support.errors import UserError


def _acquire(path: Path) -> int:
    """A locked descriptor of the lock file. It may have been removed by its last holder while we waited: then try again."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # the folder went away between the two calls
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that holds {path}", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.fstat(handle).st_ino == os.stat(path).st_ino:
                return handle
        os.close(handle)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; it is gone afterwards, and so are the folders that were made for it, if empty."""
    try:
        made = [folder for folder in path.parents if not folder.exists()]
        handle = _acquire(path)
    except OSError as error:
        raise UserError(
            f"{path.parent} cannot be written ({error.strerror}): free the folder, or choose another."
        ) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
        for folder in made:
            with suppress(OSError):  # not empty: something was prepared
                folder.rmdir()
