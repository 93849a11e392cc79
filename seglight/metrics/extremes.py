"""Classes that tables name where there are too many to name all."""

import math
from collections.abc import Sequence

WHOLE = 255
"""Largest number of classes of which all are named."""

EACH = 20
"""Number of classes that are named from both ends of others."""


def extremes(values: Sequence[float | None]) -> list[int]:
    """Places of the values that a table shows: all of up to 255, otherwise the 20 lowest and the 20 highest.

    Args:
        values: Score of each class; None or NaN where there is none.

    Returns:
        All places in their order, or those of the extremes, the lowest first.
    """
    if len(values) <= WHOLE:
        return list(range(len(values)))
    known = [(value, place) for place, value in enumerate(values) if value is not None and not math.isnan(value)]
    places = [place for _, place in sorted(known)]
    return places if len(places) <= 2 * EACH else [*places[:EACH], *places[-EACH:]]


def extremes_line(number: int, of: str) -> str:
    """The line that says which classes are shown; empty if all are.

    Args:
        number: Number of classes.
        of: What they are ordered by, such as "IoU".
    """
    if number <= WHOLE:
        return ""
    return f"Of {number} classes, the {EACH} of the lowest and the {EACH} of the highest {of} are shown."
