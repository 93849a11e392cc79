"""Reading images, and the codec that turns a label file into class indices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from seglight.data.classes import IGNORE_INDEX
from seglight.errors import UserError


@dataclass(frozen=True)
class LabelCodec:
    """Reads index PNGs (palette PNGs as index, never through their colours) and maps values to class indices.

    Args:
        values: Class index of each value that may stand in a file.
        ignored: Values that stand for no class.
    """

    values: Mapping[int, int]
    ignored: Sequence[int] = ()
    table: NDArray[np.int16] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        table = np.full(256, -1, np.int16)
        table[list(self.values)] = list(self.values.values())
        table[list(self.ignored)] = IGNORE_INDEX
        object.__setattr__(self, "table", table)

    def read(self, path: Path) -> NDArray[np.uint8]:
        """The mask in a file: uint8 (H, W), class index or IGNORE_INDEX.

        Raises:
            UserError: The file is damaged, in colour, or holds a value that is not in the table.
        """
        raw = read_index(path)
        mask = self.table[raw]
        if mask.min(initial=0) < 0:
            raise UserError(self._complaint(path, raw, mask))
        return mask.astype(np.uint8)

    def _complaint(self, path: Path, raw: NDArray[np.uint8], mask: NDArray[np.int16]) -> str:
        values, counts = np.unique(raw[mask < 0], return_counts=True)
        found = ", ".join(f"{value} ({count} pixels)" for value, count in zip(values[:8], counts[:8], strict=True))
        more = f" and {len(values) - 8} further values" if len(values) > 8 else ""
        known = sorted({*self.values, *self.ignored})
        return (
            f"{path}: label value {found}{more} is not in the class table ({_ranges(known)}): "
            "correct the file, or name the value as a class or as ignored"
        )


def read_index(path: Path) -> NDArray[np.uint8]:
    """The values of an 8-bit index PNG, uint8 (H, W).

    Raises:
        UserError: The file is damaged or is no index image.
    """
    with _open(path) as image:
        if image.mode not in ("1", "L", "P"):
            kind = "16-bit or float" if image.mode[0] in "IF" else "colour"
            raise UserError(
                f"{path}: the mask is a {kind} image (mode {image.mode}) where one class index a pixel is due: "
                "write it as an 8-bit index or palette PNG"
            )
        return np.asarray(image).astype(np.uint8)


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file as uint8 (H, W, 3) RGB.

    Raises:
        UserError: The file is damaged or no image.
    """
    with _open(path) as image:
        return np.asarray(image.convert("RGB"))


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(
            f"{path}: not readable as an image ({error}): the file is cut off or damaged, fetch it again"
        ) from error
    return image


def _ranges(values: Sequence[int]) -> str:
    """[0, 1, 2, 255] as '0-2, 255'."""
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)
