"""The way of every data set: archives fetched, unpacked beside, moved into place by renaming, and looked through.

Archives go to ROOT/downloads and are deleted once the unpacked data set is verified. One that the user put into ROOT is
taken instead of a download, and stays. Unpacking goes to ROOT/.part-<set>, which becomes ROOT/.whole-<set> when nothing
is missing from it; from there it is renamed into place. So a killed run leaves nothing half-written where a training
would look, and the next one goes on: with the bytes that came, and with what was not renamed yet.
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
"""Of an archive: twice what the largest has."""


@dataclass(frozen=True)
class DataSet:
    """A data set: where it comes from, and what it is when it is there.

    Args:
        name: On the command line.
        title: In messages.
        archives: What is fetched.
        gives: What it adds to the root, in the order of being moved there.
        unpacked: Bytes of that, at most.
        images: Images of each split.
        count: Counts the images of each split under a root; raises a UserError if a file is missing.
        fit: The options of `fit` that train on it, but for the root.
        by_hand: Where its archives are fetched by hand, if it is not for anybody to download.
        nested: A folder that is taken for the root if the root has it.
        needs: Raises a UserError if something is missing under the root that must be there before.
        finish: Turns what was unpacked (first argument) into what the data set gives to the root (second).
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
    """Bring a data set to a root, unless it is there.

    Args:
        data: The data set.
        root: Its folder.
        mirror: A URL tried before its own, or None.

    Returns:
        Whether there was anything to do.

    Raises:
        UserError: It can't be fetched, is not what it should be, has no room, or lies there in part from elsewhere.
    """
    whole = root / f".whole-{data.name}"
    there = not whole.is_dir() and any((root / name).exists() for name in data.gives)
    if not there:
        if data.needs:
            data.needs(root)
        if not whole.is_dir():
            _unpack(data, root, mirror, whole)
        with on_disk(root):
            _move(data, whole, root)
    verify(data, root)
    _tidy(data, root / "downloads")
    return not there


def _tidy(data: DataSet, downloads: Path) -> None:
    """Delete the archives that were downloaded, and their folder if nothing else is in it."""
    for archive in data.archives:
        (downloads / archive.name).unlink(missing_ok=True)
    if downloads.is_dir() and not any(downloads.iterdir()):
        downloads.rmdir()


def verify(data: DataSet, root: Path) -> None:
    """Look a data set through.

    Raises:
        UserError: A file is missing, or a split has not as many images as it should have.
    """
    mend = f"move {', '.join(data.gives)} out of {root} and run this again"
    try:
        found = data.count(root)
    except UserError as error:
        raise UserError(f"{data.title} is not whole ({error}): {mend}") from error
    for split, due in data.images.items():
        if found[split] != due:
            raise UserError(f"{data.title} in {root} has {found[split]} images in {split} where {due} are due: {mend}")


def _unpack(data: DataSet, root: Path, mirror: str | None, whole: Path) -> None:
    """Fetch the archives, unpack them, and let the folder become `whole`."""
    part = root / f".part-{data.name}"
    with on_disk(root):
        root.mkdir(parents=True, exist_ok=True)
        if part.exists():
            shutil.rmtree(part)
    _look_for_archives(data, root, mirror)
    _look_for_room(data, root)
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
            # nobody said beforehand what this file should be: the next one may be right
            if isinstance(error, ArchiveError) and not archive.sha256 and path.parent != root:
                path.unlink()
        raise
    with on_disk(part):
        part.rename(whole)


def _look_for_archives(data: DataSet, root: Path, mirror: str | None) -> None:
    missing = [a for a in data.archives if not (a.urls or mirror or (root / a.name).is_file())]
    if missing:
        files = " and ".join(f"{archive.name} ({decimal(archive.size)})" for archive in missing)
        raise UserError(f"{data.title} is fetched by hand: {data.by_hand}; put {files} into {root} and run this again")


def _look_for_room(data: DataSet, root: Path) -> None:
    due = data.unpacked
    for archive in data.archives:
        if not ((root / archive.name).is_file() or (root / "downloads" / archive.name).is_file()):
            due += max(archive.size - Part(root / "downloads" / archive.name).size(), 0)
    free = shutil.disk_usage(root).free
    if free < due:
        raise UserError(
            f"{root}: {data.title} takes up to {decimal(due)} more there and {decimal(free)} are free: "
            "make room, or choose another --root"
        )


def _fetched(archive: Archive, root: Path, mirror: str | None) -> Path:
    """The path of an archive: the user's own, or a download."""
    own = root / archive.name
    with _bar(archive.name, archive.size) as report:
        if not own.is_file():
            return download(archive, root / "downloads", mirror, report)
        report(archive.size, "checking")
        wrong = complaint(own, archive)
    if wrong:
        raise UserError(f"{own}: {wrong}: fetch it again, or take it away")
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
                raise UserError(f"{target}: in the way of {data.title}: move it away and run this again")
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
    shutil.rmtree(whole)


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Report]:
    """A progress bar on stderr, if that is a terminal."""
    console = plain_console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    says = (TextColumn("{task.description}"), TextColumn("{task.fields[note]}", markup=False))
    with Progress(says[0], *columns, says[1], console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total, note="")
        yield lambda done, note: progress.update(task, completed=done, note=note)
