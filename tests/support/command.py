"""What a command gave back."""

from typing import NamedTuple


class Ran(NamedTuple):
    """What a command gave back."""

    rc: int
    out: str
    err: str
