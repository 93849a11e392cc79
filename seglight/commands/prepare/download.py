"""Download an archive from the first mirror that has it, with its checksum; interrupted downloads are resumed."""

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
        name: Name of the file.
        urls: URLs of its mirrors, the best first; empty if it has to be fetched by hand.
        size: Exact number of bytes, or the largest one if there is no checksum.
        sha256: SHA-256 of the file, or "" if its server packs it at each request and only the contents are known.
        inside: Folder within the archive that is unpacked, or "" for the top.
        keep: Files and folders of that folder that are unpacked.
    """

    name: str
    urls: tuple[str, ...]
    size: int
    sha256: str
    inside: str
    keep: tuple[str, ...]


def download(archive: Archive, folder: Path, mirror: str | None, report: Report) -> Path:
    """Download an archive, resuming where an earlier run was interrupted.

    Args:
        archive: Archive to download.
        folder: Folder that the file is written to.
        mirror: URL of the file, or of the folder that contains it, tried before the known ones; or None.
        report: Function called with the progress.

    Returns:
        The path of the file, whose size and checksum are verified.

    Raises:
        UserError: No mirror has the file, with the reason for each; or the disk is full.
    """
    path = folder / archive.name
    part = Part(path)
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
        f"{archive.name} could not be downloaded from {', '.join(reasons)}: run this again later to resume, give a "
        f"--mirror, or fetch it in another way and put it into {folder.parent}"
    )


def addresses(archive: Archive, mirror: str | None) -> list[str]:
    """URLs of an archive, in the order in which they are tried.

    Raises:
        UserError: The mirror is not an HTTP URL.
    """
    if mirror is None:
        return list(archive.urls)
    split = urlsplit(mirror)
    if split.scheme not in ("http", "https") or not split.netloc:
        raise UserError(f"--mirror {mirror} is not a URL: give one that begins with http:// or https://")
    of_a_file = split.path.endswith((".zip", ".tar", ".gz", ".tgz"))
    return [mirror if of_a_file else f"{mirror.rstrip('/')}/{archive.name}", *archive.urls]


def complaint(path: Path, archive: Archive) -> str:
    """Why a file is not the archive, or "" if it is."""
    size = path.stat().st_size
    if not archive.sha256:
        return f"it has {size} bytes, more than {archive.size}" if size > archive.size else ""
    if size != archive.size:
        return f"it has {size} bytes in place of {archive.size}"
    digest = file_sha256(path)
    return "" if digest == archive.sha256 else f"its SHA-256 is {digest} in place of {archive.sha256}"


def _fetch(url: str, part: Part, archive: Archive, report: Report) -> None:
    """Complete a partial file from one URL, and check it."""
    # bytes of an earlier run may be wrong: in that case fetch all of it from this URL
    for _ in range(2 if part.size() else 1):
        transfer(url, part, archive.size, bool(archive.sha256), report)
        report(part.size(), "checking")
        wrong = complaint(part.path, archive)
        if not wrong:
            return
        part.clear()
    raise MirrorError(wrong)
