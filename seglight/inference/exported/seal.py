"""A checksum that stands within the file that it is of, so that one file can be moved alone. Imports no torch.

Its own 64 digits count as zeros. ONNX and OpenVINO files have one; a .pt2 is a zip, whose entries have theirs.
"""

import hashlib
from pathlib import Path

from seglight.errors import UserError

KEY = "seglight_checksum"
"""Where a file keeps its seal: metadata_props of ONNX, rt_info of OpenVINO."""

MARK = b"SHA-256 of all bytes: "
ZEROS = b"0" * 64

EMPTY = (MARK + ZEROS).decode()
"""What a file is written with before `seal`."""


def seal(path: Path) -> None:
    """Write the checksum of a file into it; OpenVINO's .xml has that of its .bin, too.

    Raises:
        UserError: It holds no `EMPTY`, nor an older seal.
    """
    place, _, digest = _read(path)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(digest)


def check_seal(path: Path) -> None:
    """Hold a file, and the .bin of an .xml, to its checksum.

    Raises:
        UserError: A byte is another than was written, the file is of another program, or it is not to be read.
    """
    _, said, digest = _read(path)
    if said != digest:
        weights = ", or its .bin is that of another export" if path.suffix == ".xml" else ""
        raise UserError(f"{path}: its checksum does not fit, it is damaged or was changed{weights}: export it anew")


def _read(path: Path) -> tuple[int, bytes, bytes]:
    """Where a file's checksum stands, what it is, and what it should be."""
    files = [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]
    try:
        first, *further = (file.read_bytes() for file in files)
    except OSError as error:
        beside = f", and {path} has its weights there" if len(files) > 1 else ""
        raise UserError(f"{error.filename}: not readable: {error.strerror}{beside}: copy it anew") from error
    mark = first.find(MARK)
    if mark < 0:
        raise UserError(f"{path}: not readable, it is cut off or not a file of `seglight export`")
    place = mark + len(MARK)
    end = place + len(ZEROS)
    digest = hashlib.sha256(first[:place] + ZEROS + first[end:])
    for content in further:
        digest.update(content)
    return place, first[place:end], digest.hexdigest().encode()
