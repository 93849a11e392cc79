"""The folder of a card: new, or that of the same card, which was interrupted. Imports nothing heavy."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seglight.errors import UserError
from seglight.system.atomic import PART, atomic_write

CARD = "card.json"
PAGE = "card.html"
PICTURES = "pictures"
CALIBRATED = "calibrated"

UNFINISHED = "unfinished.json"
"""What a card is made of, and what is finished of it; removed at the end."""


def check_folder(out: Path) -> None:
    """Check that a card may be written to a folder.

    Raises:
        UserError: It holds anything but an unfinished card.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: a file of this name exists: name a new folder")
    there = sorted(name for name in os.listdir(out) if not PART.fullmatch(name)) if out.exists() else []
    if there and UNFINISHED not in there:
        what = "it holds a finished card" if CARD in there else f"it is not empty, {there[0]} is in it"
        raise UserError(f"--out {out}: {what}: name a new folder")


class CardFolder:
    """The folder of a card.

    Args:
        out: Path of the folder.
        identity: What the numbers depend on, as plain values: an unfinished card is continued only if it is the same.

    Attributes:
        finished: Parts of an unfinished card, None if there are none.

    Raises:
        UserError: The folder holds anything but an unfinished card of the same identity.
    """

    def __init__(self, out: Path, identity: Mapping[str, Any]) -> None:
        check_folder(out)
        self.out = out
        self.identity: dict[str, Any] = json.loads(json.dumps(identity))
        self.path = out / UNFINISHED
        self.finished: dict[str, Any] | None = None
        if self.path.exists():
            self.finished = self._read()

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            former = dict(content["identity"])
            finished: dict[str, Any] | None = content["card"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path}: not readable: remove the folder, or name a new one by --out") from error
        changed = sorted(key for key in {**former, **self.identity} if former.get(key) != self.identity.get(key))
        if changed:
            raise UserError(
                f"--out {self.out}: it holds an unfinished card with another {', '.join(changed)}: name a new folder, "
                "or repeat the command of that card"
            )
        return finished

    def keep(self, card: dict[str, Any] | None) -> None:
        """Write what is finished; a card that is interrupted later starts from it."""
        content = {"identity": self.identity, "card": card}
        atomic_write(self.path, json.dumps(content, allow_nan=False) + "\n")

    def finish(self, card: Mapping[str, Any]) -> None:
        """Write card.json, and forget that the card was unfinished."""
        atomic_write(self.out / CARD, json.dumps(card, allow_nan=False, indent=1) + "\n")
        self.path.unlink(missing_ok=True)
