"""Tar and zip archives that nobody need trust: plain files and folders under one folder, within bounds, or an error."""

import gzip
import lzma
import stat
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import IO

from seglight.errors import UserError

CHUNK = 1 << 20
DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, ValueError,
    NotImplementedError, RuntimeError,
)  # fmt: skip
"""What tarfile and zipfile raise over an archive that is damaged, encrypted, or packed in a way they do not know."""

Member = tuple[str, str, Callable[[], IO[bytes]]]
"""Name in the archive; "file", "folder", or what else it is; what opens it."""


class ArchiveError(UserError):
    """The archive is at fault: unpacked again, it would fail again."""


def extract(
    archive: Path,
    into: Path,
    inside: str,
    keep: Sequence[str],
    max_members: int,
    max_bytes: int,
    report: Callable[[int, str], None],
) -> int:
    """Unpack a part of an archive into a folder. Owners, times and permissions that it names are left behind.

    Args:
        archive: A .zip, or a tar of any compression.
        into: A folder that nobody else writes to.
        inside: The folder within the archive that is unpacked; the top if empty.
        keep: The files and folders of that folder that are wanted; of other members only the names are looked at.
        max_members: Members of the archive, and files and folders made, at most.
        max_bytes: Bytes written, at most; counted as they are written, not believed from headers.
        report: Told how many bytes are written, and nothing else.

    Returns:
        How many bytes were written.

    Raises:
        ArchiveError: A name leads out of the folder or comes twice, a wanted member is a link or a device, a bound is
            passed, or the archive is damaged.
        UserError: The disk is full.
    """
    tree = _Tree(archive, into, max_bytes, report)
    try:
        for count, (name, kind, opened) in enumerate(_members(archive), 1):
            if max(count, len(tree.files) + len(tree.folders)) > max_members:
                raise ArchiveError(f"{archive}: more than {max_members} members: not the archive of this data set")
            path = _within(_parts(archive, name), inside, keep)
            if not path:
                continue
            if kind == "folder":
                tree.add_folder(path)
            elif kind == "file":
                with opened() as source:
                    tree.add_file(path, source)
            else:
                raise ArchiveError(f"{archive}: {name!r} is a {kind}: not the archive of this data set")
    except DAMAGE as error:
        raise ArchiveError(f"{archive}: damaged ({error}): take it away and run this again to fetch it anew") from error
    except OSError as error:
        says = error.strerror or str(error)
        raise UserError(f"{into}: {says} while unpacking {archive.name}: make room and run this again") from error
    return tree.written


class _Tree:
    """What has been made so far, by names as file systems see them that take upper and lower case for the same."""

    def __init__(self, archive: Path, into: Path, max_bytes: int, report: Callable[[int, str], None]) -> None:
        self.archive, self.into, self.max_bytes, self.report = archive, into, max_bytes, report
        self.files: set[tuple[str, ...]] = set()
        self.folders: set[tuple[str, ...]] = set()
        self.written = 0

    def add_folder(self, path: tuple[str, ...]) -> None:
        key = _folded(path)
        above = {key[:depth] for depth in range(1, len(key) + 1)}
        if above & self.files:
            raise ArchiveError(f"{self.archive}: {'/'.join(path)!r} takes for a folder what is a file already")
        self.folders |= above
        self.into.joinpath(*path).mkdir(parents=True, exist_ok=True)

    def add_file(self, path: tuple[str, ...], source: IO[bytes]) -> None:
        self.add_folder(path[:-1])
        key = _folded(path)
        if key in self.files or key in self.folders:
            raise ArchiveError(f"{self.archive}: {'/'.join(path)!r} comes twice, or differs in case alone")
        self.files.add(key)
        with self.into.joinpath(*path).open("xb") as target:
            while chunk := source.read(CHUNK):
                self.written += len(chunk)
                if self.written > self.max_bytes:
                    raise ArchiveError(f"{self.archive}: more than {self.max_bytes} bytes in it: not this data set's")
                target.write(chunk)
                self.report(self.written, "")


def _folded(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", name).casefold() for name in path)


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    """A member's name as path components, none of which leads anywhere but down."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or "\\" in name or PureWindowsPath(name).drive:
        raise ArchiveError(f"{archive}: the member {name!r} leads out of its folder: not the archive of this data set")
    return parts


def _within(parts: tuple[str, ...], inside: str, keep: Sequence[str]) -> tuple[str, ...]:
    """The path below `inside`; empty if it is not one of those to keep."""
    top = tuple(inside.split("/")) if inside else ()
    rest = parts[len(top) :]
    return rest if parts[: len(top)] == top and rest and rest[0] in keep else ()


def _members(archive: Path) -> Iterator[Member]:
    return _zip_members(archive) if archive.suffix == ".zip" else _tar_members(archive)


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive) as tar:
        for info in tar:
            if info.isreg() or info.isdir():
                kind = "folder" if info.isdir() else "file"
            else:
                kind = "link" if info.issym() or info.islnk() else "device"
            yield info.name, kind, partial(_open_in_tar, tar, info)


def _open_in_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(info)
    assert stream is not None, "a regular file has bytes"
    return stream


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            form = stat.S_IFMT(info.external_attr >> 16)  # 0 where the archive was not packed on Unix
            if form in (0, stat.S_IFREG, stat.S_IFDIR):
                kind = "folder" if info.is_dir() else "file"
            else:
                kind = "link" if form == stat.S_IFLNK else "device"
            yield info.filename, kind, partial(packed.open, info)
