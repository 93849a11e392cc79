"""Whether what is made of an image fits into a stated memory."""

from seglight.errors import UserError
from seglight.system.memory import held

TAKES = {
    "image": 23,
    "labels": 2,
    "overlay": 5,
    "cityscapes": 2,
    "ade": 2,
    "csv": 1,
    "coco": 16,
    "coco_polygons": 16,
}
"""Bytes for each pixel that decoding an image, or making an output of it, holds at its worst beside these two."""

OUTLINE = {"coco": 105, "coco_polygons": 650}
"""Bytes beside these for each side of a pixel that two classes meet at."""

FIXED = 24 << 20
"""Bytes beside these for an image of any size."""


class MemoryBudget:
    """What this process may still take.

    Args:
        max_memory: Bytes that it may hold; None: all that there is.
    """

    def __init__(self, max_memory: int | None) -> None:
        self.max_memory = max_memory

    def check(self, kind: str, pixels: int, outline: int = 0) -> None:
        """Hold that there is room for an output.

        Args:
            kind: Of output; predictors look after those that are not in `TAKES`.
            pixels: Of the image.
            outline: Sides of pixels that two classes meet at.

        Raises:
            UserError: There is not.
        """
        if self.max_memory is None or kind not in TAKES:
            return
        takes, before = FIXED + TAKES[kind] * pixels + OUTLINE.get(kind, 0) * outline, held()
        if before + takes > self.max_memory:
            raise UserError(
                f"{kind} of {pixels / 1e6:.1f} megapixels takes {takes / 1e9:.2f} GB beside {before / 1e9:.2f} GB "
                f"that are held, and --max_memory is {self.max_memory / 1e9:.2f} GB: give more, or cut the image"
            )


UNLIMITED = MemoryBudget(None)
