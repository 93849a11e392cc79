"""Steps of preparing a data set: download, unpack, move into place by renaming, verify.

Archives are written to ROOT/downloads and deleted when the unpacked data set is verified. One that the user put into
ROOT is used in place of a download, and kept. Archives are unpacked to ROOT/.part-<set>, which becomes
ROOT/.whole-<set> when it is complete; from there its content is renamed into place. So a killed run leaves nothing
half-written where a training would find it, and the next one continues with the bytes that were received, and with
what was not renamed yet. The name of .part-<set> is fixed, so that the next run removes it on any machine before it
checks the free space.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from seglight.commands.prepare.download import Archive, complaint, download
from seglight.commands.prepare.extract import ArchiveError, extract
from seglight.commands.prepare.transfer import Part, Report, on_disk
from seglight.errors import UserError
from seglight.system.terminal import plain_console

MAX_MEMBERS = 100_000
"""Largest number of members of an archive: twice what the largest has."""


@dataclass(frozen=True)
class DataSet:
    """A data set: its archives, and what it consists of.

    Args:
        name: Name on the command line.
        title: Name in messages.
        archives: Archives to download.
        gives: Files and folders that it adds to the root, in the order in which they are moved there.
        unpacked: Largest size of these in bytes.
        images: Number of images of each split.
        count: Function that counts the images of each split under a root; raises UserError if a file is missing.
        fit: Options of `fit` that train on it, without the root.
        by_hand: Instructions to fetch the archives by hand, if they can't be downloaded by everybody.
        nested: Name of a folder that is used as the root if the root contains it.
        needs: Function that raises UserError if the root lacks what the data set builds on.
        finish: Function that converts the unpacked files (first argument) for the root (second argument).
    """

    name: str
    title: str
    archives: tuple[Archive, ...]
    gives: tuple[str, ...]
    unpacked: int
    images: Mapping[str, int]
    count: Callable[[Path], Mapping[str, int]]
    fit: str
    by_hand: str = ""
    nested: str = ""
    needs: Callable[[Path], None] | None = None
    finish: Callable[[Path, Path], None] | None = None


def prepared(data: DataSet, root: Path, mirror: str | None) -> bool:
    """Prepare a data set in a folder, unless it is complete.

    Args:
        data: Data set to prepare.
        root: Folder of the data set.
        mirror: URL that is tried before the known ones, or None.

    Returns:
        Whether there was anything to do.

    Raises:
        UserError: It can't be downloaded, fails its checks, needs more space, or is there in part from elsewhere.
    """
    whole = root / f".whole-{data.name}"
    present = not whole.is_dir() and any((root / name).exists() for name in data.gives)
    if not present:
        if data.needs:
            data.needs(root)
        if not whole.is_dir():
            _unpack(data, root, mirror, whole)
        with on_disk(root):
            _move(data, whole, root)
    verify(data, root)
    _tidy(data, root / "downloads")
    return not present


def _tidy(data: DataSet, downloads: Path) -> None:
    """Delete the downloaded archives, and their folder if it is empty then."""
    for archive in data.archives:
        (downloads / archive.name).unlink(missing_ok=True)
    if downloads.is_dir() and not any(downloads.iterdir()):
        downloads.rmdir()


def verify(data: DataSet, root: Path) -> None:
    """Check that a data set is complete.

    Raises:
        UserError: A file is missing, or a split has a wrong number of images.
    """
    remedy = f"move {', '.join(data.gives)} out of {root} and run this again"
    try:
        found = data.count(root)
    except UserError as error:
        raise UserError(f"{data.title} is not complete ({error}): {remedy}") from error
    for split, due in data.images.items():
        if found[split] != due:
            raise UserError(f"{data.title} in {root} has {found[split]} images in {split} in place of {due}: {remedy}")


def _unpack(data: DataSet, root: Path, mirror: str | None, whole: Path) -> None:
    """Download and unpack the archives into the folder `whole`."""
    part = root / f".part-{data.name}"
    with on_disk(root):
        root.mkdir(parents=True, exist_ok=True)
        if part.exists():
            shutil.rmtree(part)
    _check_archives(data, root, mirror)
    _check_space(data, root)
    paths = [_fetched(archive, root, mirror) for archive in data.archives]
    with on_disk(part):
        part.mkdir()
    try:
        _extract(data, paths, part)
        if data.finish:
            data.finish(part, root)
    except UserError as error:
        shutil.rmtree(part)
        for archive, path in zip(data.archives, paths, strict=True):
            # without a checksum the file may be a wrong one, and the next download right
            if isinstance(error, ArchiveError) and not archive.sha256 and path.parent != root:
                path.unlink()
        raise
    with on_disk(part):
        part.rename(whole)


def _check_archives(data: DataSet, root: Path, mirror: str | None) -> None:
    missing = [a for a in data.archives if not (a.urls or mirror or (root / a.name).is_file())]
    if missing:
        files = " and ".join(f"{archive.name} ({decimal(archive.size)})" for archive in missing)
        raise UserError(f"{data.title} is fetched by hand: {data.by_hand}; put {files} into {root} and run this again")


def _check_space(data: DataSet, root: Path) -> None:
    due = data.unpacked
    for archive in data.archives:
        if not ((root / archive.name).is_file() or (root / "downloads" / archive.name).is_file()):
            due += max(archive.size - Part(root / "downloads" / archive.name).size(), 0)
    free = shutil.disk_usage(root).free
    if free < due:
        raise UserError(
            f"{root}: {data.title} takes up to {decimal(due)} more there and {decimal(free)} are free: "
            "free some space, or choose another --root"
        )


def _fetched(archive: Archive, root: Path, mirror: str | None) -> Path:
    """Path of an archive: the user's own file, or a download."""
    own = root / archive.name
    with _bar(archive.name, archive.size) as report:
        if not own.is_file():
            return download(archive, root / "downloads", mirror, report)
        report(archive.size, "checking")
        wrong = complaint(own, archive)
    if wrong:
        raise UserError(f"{own}: {wrong}: fetch it again, or remove it")
    return own


def _extract(data: DataSet, paths: list[Path], part: Path) -> None:
    written = 0
    for archive, path in zip(data.archives, paths, strict=True):
        with _bar(f"unpack {archive.name}", None) as report:
            left = data.unpacked - written
            written += extract(path, part, archive.inside, archive.keep, MAX_MEMBERS, left, report)


def _move(data: DataSet, whole: Path, root: Path) -> None:
    for name in data.gives:
        source, target = whole / name, root / name
        if source.exists():  # a run that was killed here may have moved it
            if target.exists():
                raise UserError(f"{target} is in the way of {data.title}: move it away and run this again")
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
    shutil.rmtree(whole)


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Report]:
    """Show a progress bar on stderr, if that is a terminal."""
    console = plain_console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    says = (TextColumn("{task.description}"), TextColumn("{task.fields[note]}", markup=False))
    with Progress(says[0], *columns, says[1], console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total, note="")
        yield lambda done, note: progress.update(task, completed=done, note=note)
