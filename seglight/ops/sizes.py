"""Sizes of images that every stride of a net divides. Imports no torch: exported files are run without it."""

DIVISOR = 32
"""Images are padded to a multiple of this, the coarsest stride of the usual encoders."""


def round_up(length: int, divisor: int) -> int:
    """The next multiple of `divisor`, or `length` itself."""
    return -(-length // divisor) * divisor
