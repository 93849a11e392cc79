"""Safe extraction of untrusted tar and zip archives: regular files and folders below one folder, within bounds."""

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

from seglight.commands.prepare.transfer import CHUNK
from seglight.errors import UserError

DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, ValueError,
    NotImplementedError, RuntimeError,
)  # fmt: skip
"""Errors that tarfile and zipfile raise for archives that are damaged, encrypted or of an unknown compression."""

Member = tuple[str, str, Callable[[], IO[bytes]]]
"""Name in the archive; its type, such as "file" or "folder"; function that opens it."""


class ArchiveError(UserError):
    """The archive itself is wrong: unpacked again, it would fail again."""


def extract(
    archive: Path,
    into: Path,
    inside: str,
    keep: Sequence[str],
    max_members: int,
    max_bytes: int,
    report: Callable[[int, str], None],
) -> int:
    """Unpack a part of an archive into a folder. Owners, times and permissions in the archive are not applied.

    Args:
        archive: Path of a .zip, or of a tar of any compression.
        into: Folder that no other process writes to.
        inside: Folder within the archive that is unpacked, or "" for the top.
        keep: Files and folders of that folder that are unpacked; of other members only the names are checked.
        max_members: Largest number of members, and of files and folders that are created.
        max_bytes: Largest number of bytes, counted as they are written and not taken from headers.
        report: Function called with the number of bytes written.

    Returns:
        The number of bytes written.

    Raises:
        ArchiveError: A name leads out of the folder or occurs twice, a member to unpack is a link or a device, a bound
            is exceeded, or the archive is damaged.
        UserError: The disk is full.
    """
    tree = _Tree(archive, into, max_bytes, report)
    try:
        for count, (name, kind, opened) in enumerate(_members(archive), 1):
            if max(count, len(tree.files) + len(tree.folders)) > max_members:
                raise ArchiveError(
                    f"{archive}: more than {max_members} members: this is not the archive of this data set"
                )
            path = _within(_parts(archive, name), inside, keep)
            if not path:
                continue
            if kind == "folder":
                tree.add_folder(path)
            elif kind == "file":
                with opened() as source:
                    tree.add_file(path, source)
            else:
                raise ArchiveError(f"{archive}: {name!r} is a {kind}: this is not the archive of this data set")
    except DAMAGE as error:
        raise ArchiveError(f"{archive}: damaged ({error}): remove it and run this again to fetch it again") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"{into}: {reason} while unpacking {archive.name}: free some space and run this again"
        ) from error
    return tree.written


class _Tree:
    """Files and folders created so far, by names that differ on every file system: in one case and one Unicode form."""

    def __init__(self, archive: Path, into: Path, max_bytes: int, report: Callable[[int, str], None]) -> None:
        self.archive = archive
        self.into = into
        self.max_bytes = max_bytes
        self.report = report
        self.files: set[tuple[str, ...]] = set()
        self.folders: set[tuple[str, ...]] = set()
        self.written = 0

    def add_folder(self, path: tuple[str, ...]) -> None:
        key = _folded(path)
        above = {key[:depth] for depth in range(1, len(key) + 1)}
        if above & self.files:
            raise ArchiveError(f"{self.archive}: {'/'.join(path)!r} uses as a folder what is a file already")
        self.folders |= above
        self.into.joinpath(*path).mkdir(parents=True, exist_ok=True)

    def add_file(self, path: tuple[str, ...], source: IO[bytes]) -> None:
        self.add_folder(path[:-1])
        key = _folded(path)
        if key in self.files or key in self.folders:
            raise ArchiveError(f"{self.archive}: {'/'.join(path)!r} occurs twice, or differs only in case")
        self.files.add(key)
        with self.into.joinpath(*path).open("xb") as target:
            while chunk := source.read(CHUNK):
                self.written += len(chunk)
                if self.written > self.max_bytes:
                    raise ArchiveError(
                        f"{self.archive}: more than {self.max_bytes} bytes in it: not the archive of this data set"
                    )
                target.write(chunk)
                self.report(self.written, "")


def _folded(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", name).casefold() for name in path)


def _parts(archive: Path, name: str) -> tuple[str, ...]:
    """Path components of a member's name, which must lead downwards."""
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if name.startswith("/") or ".." in parts or "\\" in name or PureWindowsPath(name).drive:
        raise ArchiveError(
            f"{archive}: the member {name!r} leads out of its folder: this is not the archive of this data set"
        )
    return parts


def _within(parts: tuple[str, ...], inside: str, keep: Sequence[str]) -> tuple[str, ...]:
    """Path below `inside`, or () for members that are not unpacked."""
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
