"""A connected region whose labels a net contradicts."""

import zlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Box(NamedTuple):
    """A rectangle of an image, in pixels from its upper left corner."""

    x: int
    y: int
    width: int
    height: int

    def of(self, full: NDArray[Any]) -> NDArray[Any]:
        """The part of a map (H, W, ...) within it."""
        return full[self.y : self.y + self.height, self.x : self.x + self.width]

    def grown(self, margin: int, size: tuple[int, int]) -> "Box":
        """The rectangle with a margin, as far as it is within an image of a height and width."""
        left, top = max(0, self.x - margin), max(0, self.y - margin)
        right, bottom = min(size[1], self.x + self.width + margin), min(size[0], self.y + self.height + margin)
        return Box(left, top, right - left, bottom - top)


@dataclass(frozen=True)
class Region:
    """A connected region of one label in which the net finds one other class.

    Args:
        index: Index of the image in the split.
        image: Name of the image.
        size: Height and width of the image.
        label: Class that the pixels are labelled as.
        suggested: Class that they should have according to the net.
        pixels: Number of pixels.
        box: Box around them.
        score: Regions are ranked by it, see `find_regions`; it is no probability.
        confidence: Mean probability of the suggested class.
        label_probability: Mean probability of the label.
        packed: Pixels within the box, see `inside`.
        seen: Box of what is shown of the image.
        says: Most probable classes in that box, see `predicted`.
    """

    index: int
    image: str
    size: tuple[int, int]
    label: int
    suggested: int
    pixels: int
    box: Box
    score: float
    confidence: float
    label_probability: float
    packed: bytes
    seen: Box
    says: bytes

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Pixels of the region within its box, bool (height, width)."""
        bits = np.frombuffer(zlib.decompress(self.packed), np.uint8)
        area = self.box.width * self.box.height
        return np.unpackbits(bits, count=area).reshape(self.box.height, self.box.width).view(np.bool_)

    @property
    def at_border(self) -> bool:
        """Whether the region touches the border of the image."""
        x, y, width, height = self.box
        return x == 0 or y == 0 or y + height == self.size[0] or x + width == self.size[1]

    @property
    def predicted(self) -> NDArray[np.uint8]:
        """Most probable class of each pixel of the box `seen`, uint8 (height, width)."""
        return np.frombuffer(zlib.decompress(self.says), np.uint8).reshape(self.seen.height, self.seen.width)


def packed(inside: NDArray[np.bool_]) -> bytes:
    """Pixels of a region, compressed: regions are kept until all images are judged."""
    return zlib.compress(np.packbits(inside).tobytes())


def packed_labels(labels: NDArray[np.uint8]) -> bytes:
    """A label map, compressed."""
    return zlib.compress(labels.tobytes())
