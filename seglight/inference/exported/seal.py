"""A checksum within the file that it checks, so that a single file can be moved. Imports no torch.

For the checksum its own 64 digits count as zeros. ONNX and OpenVINO files have one; the entries of a .pt2, a zip, have
theirs.
"""

import hashlib
from pathlib import Path

from seglight.errors import UserError

KEY = "seglight_checksum"
"""Key of the checksum: in metadata_props of ONNX, in rt_info of OpenVINO."""

MARK = b"SHA-256 of all bytes: "
ZEROS = b"0" * 64

EMPTY = (MARK + ZEROS).decode()
"""Value with which a file is written before `seal`."""


def seal(path: Path) -> None:
    """Write the checksum of a file into it; that of OpenVINO's .xml covers its .bin, too.

    Raises:
        UserError: The file contains neither `EMPTY` nor an earlier checksum.
    """
    place, _, digest = _read(path)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(digest)


def check_seal(path: Path) -> None:
    """Check a file, and the .bin of an .xml, by its checksum.

    Raises:
        UserError: The file was changed, was written by another program, or can't be read.
    """
    _, found, digest = _read(path)
    if found != digest:
        weights = ", or its .bin is that of another export" if path.suffix == ".xml" else ""
        raise UserError(f"{path}: its checksum does not match, it is damaged or was changed{weights}: export it again")


def _read(path: Path) -> tuple[int, bytes, bytes]:
    """Position of a file's checksum, the checksum it has, and the one it should have."""
    files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    try:
        first, *further = (file.read_bytes() for file in files)
    except OSError as error:
        beside = f", and {path} has its weights there" if len(files) > 1 else ""
        raise UserError(f"{error.filename}: not readable: {error.strerror}{beside}: copy it again") from error
    mark = first.find(MARK)
    if mark < 0:
        raise UserError(f"{path}: not readable, it is cut off or not a file of `seglight export`")
    place = mark + len(MARK)
    end = place + len(ZEROS)
    digest = hashlib.sha256(first[:place] + ZEROS + first[end:])
    for content in further:
        digest.update(content)
    return place, first[place:end], digest.hexdigest().encode()
