"""Named files of a data set, lying in folders or inside archives: found by their base names, checksummed, never unpacked.

Nothing is ever extracted to disk, so a member's path cannot lead anywhere; an archive with a path that climbs out is refused all
the same, since no official one has any.
"""

import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

from workflow.data.checksums import check
from workflow.data.pickles import UnsafePickle
from workflow.support.errors import UserError

# What the readers of the standard library and NumPy raise on broken files.
DAMAGE = (
    EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error, tarfile.TarError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


def shown(text: object, length: int = 160) -> str:
    """Text from a foreign file as it may be printed: one line, no control characters, cut to a length."""
    line = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:length]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever a broken file raises while it is read into one sentence."""
    try:
        yield
    except UnsafePickle as error:
        raise UserError(
            f"{path} holds more than data ({shown(error)}), and none of it was run: "
            "delete it and fetch the file from its official page."
        ) from None
    except DAMAGE as error:
        reason = shown(error).rstrip(".") or type(error).__name__
        raise UserError(f"{path} is damaged or incomplete ({reason}): delete it and download it again.") from None


def _climbs(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return name.startswith(("/", "\\")) or ".." in parts or (bool(parts) and parts[0].endswith(":"))


class Archive:
    """A zip or tar file. A compressed tar is read forwards, and from its start again where an earlier member is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.quick = path.suffix in (".zip", ".tar")  # listing it costs nothing
        self._names: set[str] | None = None

    def _handle(self) -> tarfile.TarFile | zipfile.ZipFile:
        if self.path.suffix == ".zip":
            return zipfile.ZipFile(self.path)
        try:
            return tarfile.open(self.path, "r:*")
        except tarfile.ReadError:  # its text lists every compression that it tried
            raise ValueError("it is no tar archive, compressed or not") from None

    def _entries(self, handle: tarfile.TarFile | zipfile.ZipFile) -> Iterator[tuple[str, Any]]:
        """(base name, entry) of the regular files, in the archive's order."""
        for entry in handle.infolist() if isinstance(handle, zipfile.ZipFile) else handle:
            name = entry.filename if isinstance(entry, zipfile.ZipInfo) else entry.name
            if _climbs(name):
                raise UserError(
                    f"{self.path} was refused, because its member '{shown(name, 80)}' climbs out of the folder: "
                    "delete it and fetch the file from its official page."
                )
            regular = not entry.is_dir() if isinstance(entry, zipfile.ZipInfo) else entry.isreg()
            if regular:
                yield PurePosixPath(name).name, entry

    def names(self) -> set[str]:
        """Base names of the regular files inside."""
        if self._names is None:
            with readable(self.path), self._handle() as handle:
                self._names = {name for name, _ in self._entries(handle)}
        return self._names

    @contextmanager
    def open(self, wanted: str) -> Iterator[BinaryIO]:
        """The member with this base name, as a stream."""
        with readable(self.path), self._handle() as handle:
            for name, entry in self._entries(handle):
                if name == wanted:
                    opened = handle.open(entry) if isinstance(handle, zipfile.ZipFile) else handle.extractfile(entry)
                    with cast(BinaryIO, opened) as stream:  # of a regular file, which can be opened
                        yield stream
                    return
            raise ValueError(f"it has no member {wanted}")


class Files:
    """The files of one data set by base name: loose ones in some folders, or the members of some archives.

    `records` lists every file on disk that was opened, with its checksum and whether that is the published one.
    """

    def __init__(self, dataset: str, *, folders: Iterable[Path] = (), archives: Iterable[Path] = ()) -> None:
        self.dataset = dataset
        self.folders = tuple(folders)
        self.archives = tuple(Archive(path) for path in archives)
        self.records: list[dict] = []

    def loose(self, name: str) -> Path | None:
        """The file of this name in one of the folders."""
        return next((folder / name for folder in self.folders if (folder / name).is_file()), None)

    def require(self, names: Iterable[str]) -> None:
        """Check that all files are there, before the first is read. Raises UserError naming those that are not."""
        missing = [name for name in names if self.loose(name) is None]
        if len(self.archives) == 1 and not self.archives[0].quick:
            return  # opening will tell; listing would decompress it to the end
        if missing := [name for name in missing if self._archive(name) is None]:
            places = ", ".join(str(archive.path) for archive in self.archives) or ", ".join(map(str, self.folders))
            raise UserError(
                f"{', '.join(missing)} missing from {places}: download the part that holds it into the same folder."
            )

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """A stream of the named file. Its checksum, or its archive's, is compared before the first byte is used."""
        if path := self.loose(name):
            self.check(path)
            with readable(path), open(path, "rb") as stream:
                yield stream
            return
        archive = self.archives[0] if len(self.archives) == 1 else self._archive(name)
        if archive is None:
            raise UserError(f"{name} is not in {', '.join(map(str, self.folders))}: download it into that folder.")
        self.check(archive.path)
        with archive.open(name) as stream:
            yield stream

    def check(self, path: Path) -> None:
        """Compare a file's checksum, once, and record it."""
        if not any(record["path"] == str(path) for record in self.records):
            with readable(path):
                self.records.append(check(self.dataset, path))

    def _archive(self, name: str) -> Archive | None:
        for archive in self.archives:
            self.check(archive.path)
            if name in archive.names():
                return archive
        return None
