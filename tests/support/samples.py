"""Real files of unusual kinds, with their right readings by other libraries."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest


def samples() -> Path:
    """Their folder."""
    root = os.environ.get("SAMPLES_ROOT")
    if not root:
        pytest.skip("SAMPLES_ROOT is not set: it names the folder of unusual files")
    return Path(root)


@cache
def readings(root: Path) -> dict[str, Any]:
    """What other libraries read, by folder and file."""
    found: dict[str, Any] = json.loads((root / "readings.json").read_text())
    return found
