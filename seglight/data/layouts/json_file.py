"""JSON files of labelling tools."""

from pathlib import Path
from typing import Any

from seglight.errors import UserError
from seglight.system.nested import parse_json


def read_json(path: Path) -> Any:
    """Parse a file.

    Args:
        path: Path of the file, with or without a byte order mark.

    Raises:
        UserError: It can't be read, or is not JSON.
    """
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not readable as JSON ({error}): export it again") from error
