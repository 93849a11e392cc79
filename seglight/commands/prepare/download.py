"""An archive from the first mirror that has it, with the right checksum; cut-off downloads go on where they were."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from seglight.commands.prepare.transfer import MirrorError, Part, Report, on_disk, transfer
from seglight.errors import UserError
from seglight.system.checksums import file_sha256


@dataclass(frozen=True)
class Archive:
    """An archive of a data set.

    Args:
        name: Its file name.
        urls: Where it can be had, the best first; none: by hand only.
        size: Bytes, exactly; or at most, without a checksum.
        sha256: Its checksum. Empty if its server packs it anew at each request: then only the contents are known.
        inside: The folder within it that is unpacked; the top if empty.
        keep: The files and folders of that folder that are wanted.
    """

    name: str
    urls: tuple[str, ...]
    size: int
    sha256: str
    inside: str
    keep: tuple[str, ...]


def download(archive: Archive, folder: Path, mirror: str | None, report: Report) -> Path:
    """Fetch an archive, going on where an earlier run was cut off.

    Args:
        archive: What to fetch.
        folder: Where the file goes.
        mirror: A URL of the file, or of the folder that it is in, tried before its own; or None.
        report: Told of the progress.

    Returns:
        The path of the file, whose size and checksum are right.

    Raises:
        UserError: No mirror has it, with the reason of each; or the disk is full.
    """
    path, part = folder / archive.name, Part(folder / archive.name)
    if path.is_file() and not complaint(path, archive):
        return path
    with on_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for url in addresses(archive, mirror):
        try:
            _fetch(url, part, archive, report)
        except MirrorError as error:
            reasons.append(f"{urlsplit(url).netloc} ({error})")
            continue
        with on_disk(path):
            part.path.replace(path)
        part.clear()
        return path
    raise UserError(
        f"{archive.name} could not be had from {', '.join(reasons)}: run this again later to go on, give a --mirror, "
        f"or fetch it in another way and put it into {folder.parent}"
    )


def addresses(archive: Archive, mirror: str | None) -> list[str]:
    """The URLs of an archive in the order of trying.

    Raises:
        UserError: The mirror is no HTTP URL.
    """
    if mirror is None:
        return list(archive.urls)
    split = urlsplit(mirror)
    if split.scheme not in ("http", "https") or not split.netloc:
        raise UserError(f"--mirror {mirror}: not a URL: give one that begins with http:// or https://")
    of_a_file = split.path.endswith((".zip", ".tar", ".gz", ".tgz"))
    return [mirror if of_a_file else f"{mirror.rstrip('/')}/{archive.name}", *archive.urls]


def complaint(path: Path, archive: Archive) -> str:
    """What is wrong with a file that should be the archive; empty if nothing is."""
    size = path.stat().st_size
    if not archive.sha256:
        return f"it has {size} bytes where {archive.size} are the most" if size > archive.size else ""
    if size != archive.size:
        return f"it has {size} bytes where {archive.size} are due"
    digest = file_sha256(path)
    return "" if digest == archive.sha256 else f"its SHA-256 is {digest} where {archive.sha256} is due"


def _fetch(url: str, part: Part, archive: Archive, report: Report) -> None:
    """Bring a part to the whole archive from one URL, and check it."""
    # what an earlier run left may be what is wrong: then once more, all of it from here
    for _ in range(2 if part.size() else 1):
        transfer(url, part, archive.size, bool(archive.sha256), report)
        report(part.size(), "checking")
        wrong = complaint(part.path, archive)
        if not wrong:
            return
        part.clear()
    raise MirrorError(wrong)
