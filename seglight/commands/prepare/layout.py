"""Lists of the images of a split."""

from pathlib import Path

from seglight.errors import UserError


def names_in(listing: Path) -> list[str]:
    """The first word of each line of a list.

    Raises:
        UserError: The list is missing.
    """
    if not listing.is_file():
        raise UserError(f"{listing}: the list is missing: unpack the data set again")
    return [line.split()[0] for line in listing.read_text(encoding="utf-8").splitlines() if line.strip()]
