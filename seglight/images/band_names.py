"""Names of bands: which are red, green and blue, and which of two images are the same."""

from collections import Counter
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
    """Each name as `plain_name` gives it, but those that it would make equal: bands are the same where these are."""
    given = tuple(names)
    plain = tuple(map(plain_name, given))
    counts = Counter(plain)
    return tuple(one if counts[one] == 1 else name for name, one in zip(given, plain, strict=True))
