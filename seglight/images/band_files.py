"""Files of an image that has one file a band."""

import re
from pathlib import Path

from seglight.errors import UserError
from seglight.images.bands import Bands


def band_files(path: Path, bands: Bands) -> list[Path]:
    """Paths of the files of an image, in the order of the bands.

    Args:
        path: Path of the file of the first band.
        bands: Description with `files`, a pattern such as "{name}_{band}.tif" or "{band}/{name}.tif".

    Raises:
        UserError: The path does not fit the pattern, or a file is missing.
    """
    name = image_name(path, bands)
    if name is None:
        first = bands.files.replace("{band}", bands.names[0])
        raise UserError(f"{path}: no file of the first band, {first}: see `bands.files` ({bands.files})")
    root = path.parents[bands.files.count("/")]
    files = [root / bands.files.replace("{band}", band).replace("{name}", name) for band in bands.names]
    missing = [file for file in files[1:] if not file.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{missing[0]}{more}: missing beside {path}: each band of `bands.names` needs a file {bands.files}"
        )
    return files


def image_name(path: Path, bands: Bands) -> str | None:
    """Name of an image by the path of the file of its first band; None for the path of another file."""
    length = bands.files.count("/") + 1
    if len(path.parts) < length:
        return None
    found = _pattern(bands).fullmatch("/".join(path.parts[-length:]))
    return found["name"] if found else None


def _pattern(bands: Bands) -> re.Pattern[str]:
    parts = re.split(r"(\{name\}|\{band\})", bands.files)
    named = False
    pattern = ""
    for part in parts:
        if part == "{name}":
            pattern += "(?P=name)" if named else "(?P<name>[^/]+)"
            named = True
        else:
            pattern += re.escape(bands.names[0] if part == "{band}" else part)
    return re.compile(pattern)
