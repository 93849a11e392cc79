"""Areas of a scene, and random windows within them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]
"""First row, first column, row behind the last, column behind the last."""

Edges = NDArray[np.int64]
"""First row or column of each cell, ascending from 0, and the length of the image at the end."""


@dataclass(frozen=True)
class Area:
    """Cells of a scene, some of which belong to the area; windows lie in it if they touch no other cell.

    Args:
        rows: Edges of the cells from top to bottom.
        columns: Edges of the cells from left to right.
        inside: Whether each cell belongs to the area, (rows, columns).
    """

    rows: Edges
    columns: Edges
    inside: NDArray[np.bool_]
    latest: dict[tuple[int, int], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def whole(cls, size: tuple[int, ...]) -> "Area":
        """All of a scene of a size (H, W)."""
        return cls(np.array([0, size[0]]), np.array([0, size[1]]), np.ones((1, 1), np.bool_))

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return int((np.diff(self.rows)[:, None] * np.diff(self.columns) * self.inside).sum())

    def boxes(self) -> list[Box]:
        """The cells of the area, row by row."""
        return [
            (int(self.rows[y]), int(self.columns[x]), int(self.rows[y + 1]), int(self.columns[x + 1]))
            for y, x in np.argwhere(self.inside)
        ]

    def fits(self, height: int, width: int) -> bool:
        """Whether a window of a size lies anywhere in the area."""
        return self._positions(height, width)[2].size > 0 and bool(self._positions(height, width)[2][-1])

    def draw(self, rng: np.random.Generator, height: int, width: int) -> tuple[int, int]:
        """First row and column of a window: each position at which it lies in the area is equally likely.

        Args:
            rng: Generator, from which one number is drawn.
            height: Height of the window.
            width: Width of the window.
        """
        rows, columns, sums = self._positions(height, width)
        number = int(rng.integers(sums[-1]))
        chosen = int(np.searchsorted(sums, number, "right"))
        y, x = divmod(chosen, len(columns) - 1)
        below, right = divmod(number - (int(sums[chosen - 1]) if chosen else 0), int(columns[x + 1] - columns[x]))
        return int(rows[y]) + below, int(columns[x]) + right

    def _positions(self, height: int, width: int) -> tuple[Edges, Edges, NDArray[np.int64]]:
        """Ranges of first rows and columns over which a window touches the same cells, and sums of the positions.

        The sums run over the ranges of rows times those of columns, and count the positions that lie in the area.
        """
        found = self.latest.get((height, width))
        if found is None:
            ranges = [_ranges(edges, length) for edges, length in ((self.rows, height), (self.columns, width))]
            (rows, top, bottom), (columns, left, right) = ranges
            outside = np.pad(np.cumsum(np.cumsum(~self.inside, 0), 1), ((1, 0), (1, 0)))
            first, last = outside[top], outside[bottom]
            touched = last[:, right] - last[:, left] - first[:, right] + first[:, left]
            positions = np.diff(rows)[:, None] * np.diff(columns) * (touched == 0)
            found = rows, columns, np.cumsum(positions.ravel())
            self.latest.clear()
            self.latest[height, width] = found
        return found


def _ranges(edges: Edges, length: int) -> tuple[Edges, Edges, Edges]:
    """Ranges of first positions of a window over which it touches the same cells, and these cells as slices."""
    end = int(edges[-1]) - length + 1
    if end < 1:
        return np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts = np.unique(np.concatenate([edges[:-1], edges[:-1] - length + 1]))
    starts = starts[(starts >= 0) & (starts < end)]
    first = np.searchsorted(edges, starts, "right") - 1
    last = np.searchsorted(edges, starts + length - 1, "right")
    return np.append(starts, end), first, last


def tiles(box: Box, size: int) -> list[Box]:
    """Divide a box into tiles of about equal sizes of at most `size` pixels a side, row by row."""
    top, left, bottom, right = box
    rows, columns = (
        np.linspace(start, stop, -(-(stop - start) // size) + 1).round().astype(int).tolist()
        for start, stop in ((top, bottom), (left, right))
    )
    return [
        (rows[y], columns[x], rows[y + 1], columns[x + 1])
        for y in range(len(rows) - 1)
        for x in range(len(columns) - 1)
    ]
