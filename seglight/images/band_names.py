"""Names of bands: which are red, green and blue, and which of two images are the same."""

from collections.abc import Iterable

COLORS = ("red", "green", "blue")

OTHER_NAMES = (("r", "g", "b"), ("b04", "b03", "b02"), ("b4", "b3", "b2"))
"""Other names, in lower case, of the bands of these colours."""

_COLOR = {name: color for names in OTHER_NAMES for name, color in zip(names, COLORS, strict=True)}


def plain_name(name: str) -> str:
    """A name in lower case; "red", "green" or "blue" for another name of such a band, as "B04"."""
    lower = name.lower()
    return _COLOR.get(lower, lower)


def plain_names(names: Iterable[str]) -> tuple[str, ...]:
    """Each name as `plain_name` gives it: bands are the same where these are equal."""
    return tuple(map(plain_name, names))
