"""Whether an output of an image fits into a memory limit."""

from seglight.errors import UserError
from seglight.system.memory import resident_bytes

BYTES_PER_PIXEL = {
    "image": 23,
    "labels": 2,
    "overlay": 5,
    "cityscapes": 2,
    "ade": 2,
    "csv": 1,
    "coco": 16,
    "coco_polygons": 16,
}
"""Peak bytes per pixel of decoding an image, or of making an output: measured by
`pytest tests/commands/predict/test_memory_budget.py`, as the two below."""

BYTES_PER_EDGE = {"coco": 105, "coco_polygons": 650}
"""Further bytes per pixel edge between two classes."""

FIXED_BYTES = 24 << 20
"""Further bytes for an image of any size."""


class MemoryBudget:
    """Memory limit of this process.

    Args:
        max_memory: Largest number of bytes, or None for no limit.
    """

    def __init__(self, max_memory: int | None) -> None:
        self.max_memory = max_memory

    def check(self, kind: str, pixels: int, outline: int = 0) -> None:
        """Check that an output fits into the limit.

        Args:
            kind: Kind of output; predictors check those that are not in `BYTES_PER_PIXEL`.
            pixels: Number of pixels of the image.
            outline: Number of pixel edges between two classes.

        Raises:
            UserError: It does not fit.
        """
        if self.max_memory is None or kind not in BYTES_PER_PIXEL:
            return
        takes, before = (
            FIXED_BYTES + BYTES_PER_PIXEL[kind] * pixels + BYTES_PER_EDGE.get(kind, 0) * outline,
            resident_bytes(),
        )
        if before + takes > self.max_memory:
            raise UserError(
                f"{kind} of {pixels / 1e6:.1f} megapixels takes {takes / 1e9:.2f} GB beside {before / 1e9:.2f} GB in "
                f"use, and --max_memory is {self.max_memory / 1e9:.2f} GB: raise it, or cut the image"
            )


UNLIMITED = MemoryBudget(None)
