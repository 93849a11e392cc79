"""The folder of a card: new, or that of the same card, which was interrupted. Imports nothing heavy."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seglight.errors import UserError, say
from seglight.system.atomic import PART, atomic_write
from seglight.system.checksums import file_sha256

CARD = "card.json"
PAGE = "card.html"
PICTURES = "pictures"
CALIBRATED = "calibrated"

UNFINISHED = "unfinished.json"
"""What a card is made of, and what is finished of it; removed at the end."""

OWN = re.compile(
    r"unfinished\.json|card\.(json|html)|image_(scores|boundaries)\.npz|calibrated(\.ckpt|/.*)?"
    r"|pictures(/(worst|best)_\d+\.png)?|corruptions(/[\w-]+\.npz)?|attacks(/(clean|\w+_[^/]*)(/\d+\.npz)?)?",
    re.DOTALL,
)
"""Paths in the folder of an unfinished card."""

CONTENT = "content of "
"""Beginning of the entries of an identity that describe files."""

MEASURED = ("image_*.npz", f"{PICTURES}/*.png")
"""Files that are written with what is finished."""


def check_folder(out: Path) -> None:
    """Check that a card may be written to a folder.

    Raises:
        UserError: It holds anything but an unfinished card, or a file beside it that a card has not.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: a file of this name exists: name a new folder")
    paths = [path.relative_to(out) for path in sorted(out.rglob("*"))] if out.exists() else []
    there = [path.as_posix() for path in paths if not any(PART.fullmatch(name) for name in path.parts)]
    if there and UNFINISHED not in there:
        what = "it holds a finished card" if CARD in there else f"it is not empty, {there[0]} is in it"
        raise UserError(f"--out {out}: {what}: name a new folder")
    if foreign := [path for path in there if not OWN.fullmatch(path)]:
        raise UserError(
            f"--out {out}: it holds an unfinished card, and {foreign[0]}, which is no file of a card: move it to "
            "another place, or name a new folder"
        )


LONGEST = 60
"""Characters of a value of an identity that a message names."""


def _other(key: str, former: object, now: object) -> str:
    """What differs between two identities: both values of an option, the name of anything else."""
    if key.startswith(CONTENT):
        return f"another {key}"
    texts = ["none" if value in (None, "None") else str(value) for value in (former, now)]
    if max(map(len, texts)) > LONGEST:
        return f"another {key}"
    return f"{key} {texts[0]} in place of {texts[1]}"


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
            kept = content.get("sha256")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path}: not readable: remove the folder, or name a new one by --out") from error
        changed = sorted(key for key in {**former, **self.identity} if former.get(key) != self.identity.get(key))
        changed = [key for key in changed if not key.startswith(CONTENT)] or changed  # other options, other content
        if changed:
            back = "bring back what was there" if changed[0].startswith(CONTENT) else "repeat the command of that card"
            others = ", ".join(_other(key, former.get(key), self.identity.get(key)) for key in changed)
            raise UserError(
                f"--out {self.out}: it holds an unfinished card with {others}: name a new folder, or {back}"
            )
        if finished is not None and kept != self._digests(finished):
            say(f"{self.out}: what is finished of the card has been changed or removed: the images are measured again")
            return None
        return finished

    def _digests(self, card: Mapping[str, Any] | None) -> dict[str, str]:
        """SHA-256 of what is finished, and of the files that belong to it."""
        paths = sorted(path for pattern in MEASURED for path in self.out.glob(pattern) if not PART.fullmatch(path.name))
        text = json.dumps(card, allow_nan=False)
        digests = {path.relative_to(self.out).as_posix(): file_sha256(path) for path in paths}
        return {"card": hashlib.sha256(text.encode()).hexdigest(), **digests}

    def keep(self, card: dict[str, Any] | None) -> None:
        """Write what is finished; a card that is interrupted later starts from it."""
        content = {"identity": self.identity, "card": card, "sha256": self._digests(card)}
        atomic_write(self.path, json.dumps(content, allow_nan=False) + "\n")

    def finish(self, card: Mapping[str, Any]) -> None:
        """Write card.json, and forget that the card was unfinished."""
        atomic_write(self.out / CARD, json.dumps(card, allow_nan=False, indent=1) + "\n")
        self.path.unlink(missing_ok=True)
