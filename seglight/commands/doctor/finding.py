"""What the doctor says: a finding is a kind, and the files it is about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["mistake", "hint"]
"""A mistake makes the exit code 1; a hint is worth a look."""


@dataclass(frozen=True)
class Kind:
    """What can be found.

    Args:
        slug: A name that stays.
        level: Whether it is certainly wrong.
        what: What is wrong, in a sentence.
        mend: What to do, in a sentence.
    """

    slug: str
    level: Level
    what: str
    mend: str


@dataclass(frozen=True)
class Case:
    """One file, and what is to be said of it alone."""

    file: str
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """A kind with its cases.

    Args:
        kind: What was found.
        split: Where; "" where several splits are concerned.
        cases: The files; none where it is about classes.
        note: What is to be said of all of them.
    """

    kind: Kind
    split: str
    cases: Sequence[Case] = ()
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "level": self.kind.level,
            "slug": self.kind.slug,
            "split": self.split,
            "what": self.kind.what,
            "note": self.note,
            "mend": self.kind.mend,
            "count": len(self.cases),
            "files": [{"file": case.file, "note": case.note} for case in self.cases],
        }


@dataclass
class Fixed:
    """What became of the mistakes in a repaired copy.

    Args:
        repaired: File and slug of what was set right.
        left: What was not, as it is not certain what is right.
    """

    repaired: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
