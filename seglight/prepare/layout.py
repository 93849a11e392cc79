"""Looking a folder through without reading its images."""

from collections.abc import Sequence
from pathlib import Path

from seglight.errors import UserError


def names_in(listing: Path) -> list[str]:
    """The first word of each line of a list.

    Raises:
        UserError: The list is missing.
    """
    if not listing.is_file():
        raise UserError(f"{listing}: the list is missing")
    return [line.split()[0] for line in listing.read_text().splitlines() if line.strip()]


def counted(images: Sequence[Path], masks: Sequence[Path]) -> int:
    """How many images there are with their masks.

    Raises:
        UserError: A file is missing; says which and how many.
    """
    missing = [path for path in (*images, *masks) if not path.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{missing[0]}{more}: missing")
    return len(images)
