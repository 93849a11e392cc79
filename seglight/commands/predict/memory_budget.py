"""Whether an output of an image fits into a memory limit."""

from seglight.errors import UserError
from seglight.system.memory import resident_bytes

BYTES_PER_PIXEL = {
    "image": 23,
    "labels": 2,
    "overlay": 5,
    "cityscapes": 2,
    "ade": 2,
    "csv": 0,
    "coco": 16,
    "coco_polygons": 16,
}
"""Peak bytes per pixel of decoding an image, or of making an output: measured by
`pytest tests/commands/predict/test_memory_budget.py`, as the two below."""

BYTES_PER_EDGE = {"coco": 105, "coco_polygons": 650}
"""Further bytes per pixel edge between two classes."""

BYTES_PER_CORNER = {"polygons": 230, "geojson": 650}
"""Bytes per corner of the outlines that are in memory."""

RGB_BYTES = 3
"""Bytes of a pixel of an image in 8-bit RGB, for which `BYTES_PER_PIXEL` is measured."""

FIXED_BYTES = 24 << 20
"""Further bytes for an image of any size."""


class MemoryBudget:
    """Memory limit of this process.

    Args:
        max_memory: Largest number of bytes, or None for no limit.
        pixel: Bytes of a pixel of an image: 3 in 8-bit RGB.
    """

    def __init__(self, max_memory: int | None, pixel: int = RGB_BYTES) -> None:
        self.max_memory = max_memory
        self.pixel = pixel

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
        # an image is held as it is decoded, turned, and passed on
        each = BYTES_PER_PIXEL[kind] + (3 * (self.pixel - RGB_BYTES) if kind == "image" else 0)
        takes = FIXED_BYTES + each * pixels + BYTES_PER_EDGE.get(kind, 0) * outline
        self.check_bytes(f"{kind} of {pixels / 1e6:.1f} megapixels", takes)

    def check_corners(self, kind: str, corners: int) -> None:
        """Check that the corners of the outlines that are in memory fit into the limit.

        Args:
            kind: Kind of output.
            corners: Number of corners.

        Raises:
            UserError: They do not fit.
        """
        takes = FIXED_BYTES + BYTES_PER_CORNER[kind] * corners
        self.check_bytes(f"{kind}: the outlines of regions with {corners / 1e6:.1f} million corners", takes)

    def check_bytes(self, what: str, takes: int) -> None:
        """Check that something fits into the limit.

        Args:
            what: What it is, as the beginning of the message.
            takes: Bytes that it takes.

        Raises:
            UserError: It does not fit.
        """
        if self.max_memory is None:
            return
        before = resident_bytes()
        if before + takes > self.max_memory:
            raise UserError(
                f"{what} takes {takes / 1e9:.2f} GB beside {before / 1e9:.2f} GB in use, and --max_memory is "
                f"{self.max_memory / 1e9:.2f} GB: raise it, or cut the image"
            )


UNLIMITED = MemoryBudget(None)
