"""How the values of a mask pass from one area to the next: sharply, in ramps as after interpolation, or in noise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ENOUGH = 20
"""Fewer passes than this tell nothing."""


@dataclass(frozen=True)
class Edges:
    """What lies along the rows and columns of a mask.

    Args:
        passes: Neighbouring pixels of different value.
        ramps: Pixels strictly between the values of both neighbours.
        peaks: Pixels above or below both neighbours.
        commonest: Share of the ramps' most frequent value among them.
    """

    passes: int = 0
    ramps: int = 0
    peaks: int = 0
    commonest: float = 1.0

    @property
    def interpolated(self) -> bool:
        """Ramps everywhere, of many values: a class that always lies between two others is one value alone."""
        return (
            self.ramps > ENOUGH
            and self.ramps > 0.25 * self.passes
            and self.peaks < 0.12 * self.passes
            and self.commonest < 0.8
        )

    @property
    def noisy(self) -> bool:
        """Hardly a pass without a further one beside it."""
        return self.ramps + self.peaks > max(ENOUGH, 0.3 * self.passes) and self.peaks > 0.05 * self.passes


def edges(values: NDArray[np.integer]) -> Edges:
    """The edges of a map (H, W) of up to 16 bits."""
    passes = ramps = peaks = 0
    between = np.zeros(2**16, np.int64)
    for lines in (values, values.T):
        if lines.shape[1] < 3:
            continue
        passes += int(np.count_nonzero(lines[:, 1:] != lines[:, :-1]))
        before, here, after = lines[:, :-2], lines[:, 1:-1], lines[:, 2:]
        above, below = here > before, here < before
        ramp = (above & (after > here)) | (below & (after < here))
        ramps += int(np.count_nonzero(ramp))
        peaks += int(np.count_nonzero((above & (after < here)) | (below & (after > here))))
        between += np.bincount(here[ramp], minlength=2**16)
    return Edges(passes, ramps, peaks, float(between.max() / ramps) if ramps else 1.0)
