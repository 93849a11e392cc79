"""Segments of images with outlines in COCO's format: the background, and each object."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.data.layouts.coco_file import OutlinedImages
from seglight.data.layouts.outlines import paint
from seglight.data.segments import NONE, Segments
from seglight.errors import UserError
from seglight.images.bands import Bands


@dataclass(frozen=True)
class SegmentedOutlines:
    """Images and outlines, with a segment for each object.

    Objects cover each other as in the mask, smaller ones on top. What is ignored in the mask, such as crowds, is of no
    segment.

    Args:
        outlined: The images and outlines.
    """

    outlined: OutlinedImages

    def __len__(self) -> int:
        return len(self.outlined)

    @property
    def fingerprint(self) -> str:
        """That of the images without segments: image and mask are the same."""
        return self.outlined.fingerprint

    def with_bands(self, bands: Bands) -> "SegmentedOutlines":
        """The same images with other bands."""
        return SegmentedOutlines(self.outlined.with_bands(bands))

    def sources(self, index: int) -> tuple[Path, ...]:
        """The files of a sample."""
        return self.outlined.sources(index)

    def read(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str]:
        """Image, mask and name of a sample."""
        return self.outlined.read(index)

    def read_segments(self, index: int) -> tuple[NDArray[Any], NDArray[Any], str, Segments]:
        """Image, mask and name as by `read`, and the segments: the background, then the objects in their order.

        Raises:
            UserError: An outline can't be painted, or there are more objects than can be numbered.
        """
        image, mask, name = self.read(index)
        outlines: list[tuple[int, Any]] = json.loads(self.outlined.outlines[index])
        objects = [value for value, _ in outlines if value > 0]
        if len(objects) >= NONE - 1:
            raise UserError(f"{self.outlined.path}: {len(objects)} objects in {name}: at most {NONE - 2} are read")
        numbers = iter(range(1, len(objects) + 1))
        numbered = [(next(numbers) if value > 0 else value, outline) for value, outline in outlines]
        ids = paint(numbered, self.outlined.sizes[index], NONE).astype(np.uint16, copy=False)
        return image, mask, name, Segments(ids, np.array([0, *objects], np.int64), np.zeros(1 + len(objects), bool))
