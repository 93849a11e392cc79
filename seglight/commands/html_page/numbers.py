"""Numbers as text: scores, shares, counts, intervals; what is not defined is a dash."""

import math
from collections.abc import Sequence
from typing import Any, TypeGuard

NONE = "\N{EN DASH}"
"""Text in place of a number that is not defined."""

STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
"""Units of `short`."""


def defined(value: Any) -> TypeGuard[float]:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def score(value: Any, digits: int = 3) -> str:
    """A score between 0 and 1, such as 0.639."""
    return f"{value:.{digits}f}" if defined(value) else NONE


def signed(value: Any, digits: int = 3) -> str:
    """A difference with its sign, such as +0.012, with a minus sign in place of the hyphen."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "\N{MINUS SIGN}") if defined(value) else NONE


def percent(value: Any) -> str:
    """A share as percentage: 12.3 %, 0.04 %, below 0.01 %."""
    if not defined(value):
        return NONE
    if value and abs(value) < 1e-4:
        return "< 0.01 %"
    return f"{100 * value:.{2 if 0 < abs(value) < 0.01 else 1}f} %"


def count(value: Any) -> str:
    """A number of things, such as 1,234,567."""
    return f"{value:,.0f}" if defined(value) else NONE


def short(value: Any) -> str:
    """A number to three digits: 1.53 M, 12.4 k, 0.0213."""
    if not defined(value):
        return NONE
    for step, unit in STEPS:
        if abs(value) >= 0.9995 * step:
            return f"{value / step:#.3g} {unit}".replace(". ", " ")
    return f"{value:.3g}"


def interval(bounds: Sequence[Any] | None, digits: int = 3) -> str:
    """An interval, such as 0.62 to 0.65; a dash if a bound is not defined."""
    if bounds is None or len(bounds) != 2 or not all(map(defined, bounds)):
        return NONE
    return f"{score(bounds[0], digits)} to {score(bounds[1], digits)}"


def span(low: Any, high: Any) -> str:
    """A range of whole numbers: `below 1,024`, `1,024 to 9,216`, `9,216 and more`."""
    if not defined(high):
        return f"{count(low)} and more"
    return f"below {count(high)}" if not low else f"{count(low)} to {count(high)}"
