"""Findings of the doctor: a rule, and the files that break it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Level = Literal["mistake", "hint"]
"""Level of a rule: a mistake makes the exit code 1, a hint does not."""


@dataclass(frozen=True)
class Rule:
    """A defect that the doctor finds.

    Args:
        slug: Stable name.
        level: "mistake" if the files are certainly wrong, else "hint".
        what: Sentence that describes the defect.
        fix: Sentence that describes what to do.
    """

    slug: str
    level: Level
    what: str
    fix: str


@dataclass(frozen=True)
class Case:
    """One file, and a note about it."""

    file: str
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """A rule and the files that break it.

    Args:
        rule: Rule that is broken.
        split: Name of the split, or "" if the finding concerns several splits.
        cases: Files; none if the finding is about classes.
        note: Note about all of the files.
    """

    rule: Rule
    split: str
    cases: Sequence[Case] = ()
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain values for JSON."""
        return {
            "level": self.rule.level,
            "slug": self.rule.slug,
            "split": self.split,
            "what": self.rule.what,
            "note": self.note,
            "mend": self.rule.fix,
            "count": len(self.cases),
            "files": [{"file": case.file, "note": case.note} for case in self.cases],
        }


@dataclass
class Fixed:
    """Repairs in a copy of the data set.

    Args:
        repaired: Pairs of file and slug that were repaired.
        left: Pairs of file and slug that were not, because the right values are not certain.
    """

    repaired: list[tuple[str, str]] = field(default_factory=list)
    left: list[tuple[str, str]] = field(default_factory=list)
