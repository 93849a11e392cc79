"""Transitions between the areas of a mask: sharp, in ramps as after interpolation, or noisy.

The bounds were found on CamVid's masks: as they are, shrunk sharply to a tenth, and with the values of Cityscapes, VOC
and a random order of classes, ramps are at most 12% of the transitions; after bilinear, area, bicubic and Lanczos
resizing, blurring, and JPEG of quality 50 to 95, at least 17%.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ENOUGH = 20
"""Number of ramps or peaks below which a mask counts as sharp."""

BLOCK = 8
"""Side of JPEG's blocks."""


@dataclass(frozen=True)
class Edges:
    """Counts along the rows and columns of a mask.

    Args:
        pixels: Number of pixels of the mask.
        passes: Number of neighbouring pixels of different values.
        ramps: Number of pixels whose value lies strictly between those of both neighbours.
        others: Number of pixels outside the range of both neighbours, which differ by at least two.
        peaks: Number of pixels above or below both neighbours.
        commonest: Fraction of the most frequent value among the ramps.
        grid: Transitions at the borders of 8x8 blocks, divided by those at the next frequent position in a block.
    """

    pixels: int = 0
    passes: int = 0
    ramps: int = 0
    others: int = 0
    peaks: int = 0
    commonest: float = 1.0
    grid: float = 1.0

    @property
    def smeared(self) -> bool:
        """Whether there are many ramps of many values: a class between two others would be a single value.

        Where nearly all neighbours differ, noise makes ramps of two pixels in five by chance.
        """
        least = 0.36 if self.passes < 1.2 * self.pixels else 0.55
        return (
            self.ramps > max(ENOUGH, 0.15 * self.passes)
            and self.ramps > least * (self.ramps + self.others)
            and self.commonest < 0.8
        )

    @property
    def blocky(self) -> bool:
        """Whether values change most at the borders of JPEG's blocks."""
        return self.grid > 1.2

    @property
    def noisy(self) -> bool:
        """Whether most transitions have another one beside them."""
        return self.ramps + self.peaks > max(ENOUGH, 0.3 * self.passes) and self.peaks > 0.05 * self.passes


def edges(values: NDArray[np.integer]) -> Edges:
    """Count the edges of a map (H, W) of up to 16 bits."""
    passes = ramps = others = peaks = 0
    at = np.zeros(BLOCK, np.int64)
    between = np.zeros(2**16, np.int64)
    for lines in (values, np.ascontiguousarray(values.T)):
        changes = np.count_nonzero(lines[:, 1:] != lines[:, :-1], axis=0)
        passes += int(changes.sum())
        at += [int(changes[start::BLOCK].sum()) for start in range(BLOCK)]
        before, here, after = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
        low, high = np.minimum(before, after), np.maximum(before, after)
        ramp, peak = (low < here) & (here < high), (here < low) | (here > high)
        ramps += int(np.count_nonzero(ramp))
        peaks += int(np.count_nonzero(peak))
        others += int(np.count_nonzero(peak & (high - low >= 2)))
        between += np.bincount(here[ramp], minlength=2**16)
    commonest = float(between.max() / ramps) if ramps else 1.0
    grid = float(at[-1] / max(1, *at[:-1].tolist()))
    return Edges(values.size, passes, ramps, others, peaks, commonest, grid)
