"""The attacks of `--attacks`: which, and how far. Imports no torch."""

import math
import re
from fractions import Fraction
from typing import NamedTuple

from seglight.errors import UserError

KINDS = ("fgsm", "pgd", "pgd_l2", "segpgd", "cospgd", "apgd", "sea")
"""Names of attacks; `pgd_l2` bounds the Euclidean norm, the others the change of each value."""

DEFAULT = "sea:4/255,sea:8/255"
"""The attack and the radii that published results are compared at."""

LONG_EXPONENT = re.compile(r"e[+-]?[\d_]{4}", re.IGNORECASE)

CLEAN = "clean"
"""Name of the row of the images as they are."""

WORST = "worst"
"""Name of the row of the worst case over several attacks."""


class Planned(NamedTuple):
    """An attack that is asked for.

    Attributes:
        name: One of `KINDS`.
        shown: Radius as it was written, such as "4/255".
    """

    name: str
    shown: str

    @property
    def radius(self) -> float:
        """Radius as a share of the range of pixel values."""
        return float(Fraction(self.shown))

    @property
    def norm(self) -> str:
        """The norm that is bounded, "linf" or "l2"."""
        return "l2" if self.name == "pgd_l2" else "linf"

    def steps(self, steps: int) -> int:
        """Number of gradient steps that it takes where `steps` are asked for."""
        return {"fgsm": 1, CLEAN: 0}.get(self.name, steps)


def parse_attacks(text: str) -> tuple[Planned, ...]:
    """Read a list such as `sea:4/255,pgd:0.01`.

    Raises:
        UserError: A name is unknown, a radius is no number above 0, or an attack is listed twice.
    """
    found = tuple(_parsed(part.strip(), text) for part in text.split(","))
    twice = next((one for one in found if found.count(one) > 1), None)
    if twice is not None:
        raise UserError(f"--attacks {text}: {twice.name}:{twice.shown} is listed twice: remove one of them")
    return found


def _parsed(part: str, text: str) -> Planned:
    name, _, shown = part.partition(":")
    if name not in KINDS:
        raise UserError(
            f"--attacks {text}: there is no attack {name!r}: give a list of NAME:RADIUS, such as {DEFAULT}, with names "
            f"from {', '.join(KINDS)}"
        )
    planned = Planned(name, shown.replace(" ", ""))
    most = 1.0 if planned.norm == "linf" else math.inf
    if not 0 < _radius(planned) <= most:
        limits = "above 0 and at most 1" if most == 1 else "above 0"
        raise UserError(
            f"--attacks {text}: the radius of {part!r} is a share of the range of pixel values: give a number "
            f"{limits}, such as {name}:4/255"
        )
    return planned


def _radius(planned: Planned) -> float:
    """The radius; NaN where the text is no number, or one that no float holds."""
    if LONG_EXPONENT.search(planned.shown):  # a fraction of so many digits takes minutes
        return math.nan
    try:
        return planned.radius
    except (ValueError, ZeroDivisionError, OverflowError):
        return math.nan
