"""Options of `init`."""

from dataclasses import dataclass
from pathlib import Path

from seglight.data.layouts.layout import Boxes


@dataclass(frozen=True)
class Options:
    """Options of the command.

    Args:
        data: Folder of the data set.
        out: Folder of the project.
        time: Seconds for the training.
        device: "auto", "cpu", or "gpu" or "cuda".
        memory: Bytes that the training may use, or None for most of the device's.
        folds: Number of folds, or None.
        boxes: Treatment of objects that have a box and no outline.
        explain: Whether only the reasons are shown.
        words: The command, for the head of the recipe.
    """

    data: Path
    out: Path
    time: int
    device: str
    memory: int | None
    folds: int | None
    boxes: Boxes
    explain: bool
    words: str
