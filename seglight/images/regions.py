"""Connected regions of a label map that comes a few rows at a time, with their outlines along the edges of pixels.

A pixel is connected to its four neighbours, so that outlines are valid polygons (OGC Simple Features): regions that
touch in a corner only are two. Memory holds the outlines of the regions that reach the last row, and a few rows.

A region's outline is kept as its corners. Each has a vertical and a horizontal edge: along a column, corners from the
top are the ends of vertical edges in pairs, and along a row, corners from the left those of horizontal edges.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from seglight.images.types import LabelMap

Ints = NDArray[np.int64]

NONE = -1
"""Label of pixels without data, and outside of the image; and number of their region."""

DOWN, RIGHT = 1, 2
"""Whether the vertical edge of a corner goes down from it, and the horizontal edge to the right."""

CORNERS = 1 << 20
"""Number of corners beyond which finished regions are handed out."""


class Outlines(NamedTuple):
    """Some regions, in the order of their uppermost and then leftmost pixels among those that are finished together.

    Args:
        labels: Class index of each region (N,).
        areas: Sum of the areas of each region's pixels (N,).
        rings: Number of rings of each region (N,): its outer outline, then those of its holes.
        lengths: Number of corners of each ring (R,).
        corners: Column and row of the corners (P, 2) of all rings, int64. Where rows go down, outer outlines go
            counterclockwise and those of holes clockwise. The first corner isn't repeated.
    """

    labels: Ints
    areas: NDArray[np.float64]
    rings: Ints
    lengths: Ints
    corners: Ints


def outlined(
    bands: Iterable[LabelMap], width: int, classes: int, areas: NDArray[np.float64], check: Callable[[int], None]
) -> Iterator[Outlines]:
    """Yield the regions of a label map, some at a time, as they are finished.

    Args:
        bands: Rows (h, W) of the label map from the top.
        width: Its width.
        classes: Number of classes: pixels of larger labels, such as that of no data, are of no region.
        areas: Area (H,) of a pixel in each row.
        check: Function that is called with the number of corners in memory, and raises an error if they are too many.
    """
    regions = _Regions(width)
    top = 0
    for band in bands:
        labels = band.astype(np.int32)
        labels[labels >= classes] = NONE
        regions.add(labels, areas[top : top + len(band)])
        top += len(band)
        if regions.is_full:
            check(regions.pending)
            yield from regions.finished()
    regions.add(np.full((1, width), NONE, np.int32), np.zeros(1))
    check(regions.pending)
    yield from regions.finished()


class _Regions:
    """Regions of the rows so far.

    Attributes:
        pending: Number of corners in memory.
    """

    def __init__(self, width: int) -> None:
        self.pending = 0
        self._kept = 0
        self._top = 0
        self._last = np.full(width, NONE, np.int32)  # labels of the last row
        self._numbers = np.full(width, NONE, np.int64)  # regions of the last row
        self._merged: Ints = np.empty(0, np.int64)  # number of the region, or of one it has turned out to be part of
        self._labels: Ints = np.empty(0, np.int64)
        self._areas = np.empty(0, np.float64)
        self._corners: list[Ints] = []  # number, row, column and edges (4, N)

    @property
    def is_full(self) -> bool:
        """Whether finished regions should be handed out: seldom enough that sorting out the others costs little."""
        return self.pending >= max(CORNERS, 2 * self._kept)

    def add(self, labels: NDArray[np.int32], areas: NDArray[np.float64]) -> None:
        """Add rows (h, W), with the area of a pixel in each."""
        starts = np.ones(labels.shape, np.bool_)
        starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
        first = np.flatnonzero(starts)
        runs = (np.cumsum(starts.ravel(), dtype=np.int32) - 1).reshape(labels.shape)
        numbers = self._numbered(labels, starts, runs, labels.ravel()[first])
        sizes = np.diff(first, append=labels.size) * areas[first // labels.shape[1]]
        known = numbers >= 0
        self._areas += np.bincount(numbers[known], sizes[known], len(self._areas))
        self._corners.append(self._corners_of(labels, runs, numbers))
        self.pending += self._corners[-1].shape[1]
        self._top += len(labels)
        self._last = labels[-1].copy()
        self._numbers = numbers[runs[-1]]

    def _numbered(
        self,
        labels: NDArray[np.int32],
        starts: NDArray[np.bool_],
        runs: NDArray[np.int32],
        run_labels: NDArray[np.int32],
    ) -> Ints:
        """Number of the region of each run of pixels of one label in a row."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        former = np.unique(self._numbers[self._numbers >= 0])
        begins = starts[0].copy()
        begins[1:] |= self._last[1:] != self._last[:-1]
        above = np.flatnonzero(begins & (self._last == labels[0]) & (labels[0] >= 0))
        same = (labels[1:] == labels[:-1]) & (starts[1:] | starts[:-1]) & (labels[1:] >= 0)
        count = len(former) + len(run_labels)
        upper = np.concatenate([former.searchsorted(self._numbers[above]), len(former) + runs[:-1][same]])
        lower = len(former) + np.concatenate([runs[0][above], runs[1:][same]])
        graph = coo_array((np.ones(len(upper), np.bool_), (upper, lower)), shape=(count, count))
        parts, part = connected_components(graph, directed=False)
        number = np.full(parts, NONE, np.int64)
        number[part[: len(former)][::-1]] = former[::-1]  # the least of the regions that meet
        self._merged[former] = number[part[: len(former)]]
        label = np.full(parts, NONE, np.int64)
        label[part[len(former) :]] = run_labels
        new = (number < 0) & (label >= 0)
        number[new] = len(self._merged) + np.arange(np.count_nonzero(new))
        self._merged = np.concatenate([self._merged, number[new]])
        self._labels = np.concatenate([self._labels, label[new]])
        self._areas = np.concatenate([self._areas, np.zeros(np.count_nonzero(new))])
        return np.asarray(number[part[len(former) :]])

    def _corners_of(self, labels: NDArray[np.int32], runs: NDArray[np.int32], numbers: Ints) -> Ints:
        """Corners at the upper ends of rows."""
        around = np.pad(np.concatenate([self._last[None], labels]), ((0, 0), (1, 1)), constant_values=NONE)
        across, down = around[:, 1:] == around[:, :-1], around[1:] == around[:-1]
        rows, columns = (~((across[:-1] & across[1:]) | (down[:, :-1] & down[:, 1:]))).nonzero()
        values = [around[rows + (quarter >> 1), columns + (quarter & 1)] for quarter in range(4)]
        found = []
        for quarter, value in enumerate(values):  # upper left, upper right, lower left, lower right
            beside, over = values[quarter ^ 1] == value, values[quarter ^ 2] == value
            inner = beside & over & (values[quarter ^ 3] != value)
            at = np.flatnonzero((value >= 0) & (inner | ~(beside | over)))
            # an outer corner's edges go along its pixel, an inner one's along the pixel opposite
            edges = np.where(inner[at], 3 - quarter_edges(quarter), quarter_edges(quarter))
            row, column = rows[at] + (quarter >> 1) - 1, columns[at] + (quarter & 1) - 1
            owner = np.where(row < 0, self._numbers[column], numbers[runs[row, column]])
            found.append(np.stack([owner, rows[at] + self._top, columns[at], edges]))
        return np.concatenate(found, axis=1)

    def finished(self) -> Iterator[Outlines]:
        """Hand out the regions that do not reach the last row, and forget them."""
        merged = self._merged
        while not np.array_equal(further := merged[merged], merged):
            merged = further
        corners = np.concatenate(self._corners, axis=1)
        corners[0] = merged[corners[0]]
        areas = np.bincount(merged, self._areas, len(merged)).astype(np.float64)
        open_regions = np.zeros(len(merged), np.bool_)
        open_regions[self._numbers[self._numbers >= 0]] = True
        is_open = open_regions[corners[0]]
        done, kept = corners[:, ~is_open], corners[:, is_open]
        labels = self._labels
        renumbered = np.cumsum(open_regions) - 1
        kept[0] = renumbered[kept[0]]
        known = self._numbers >= 0
        self._numbers[known] = renumbered[self._numbers[known]]
        self._corners = [kept]
        self._kept = self.pending = kept.shape[1]
        self._labels = labels[open_regions]
        self._areas = areas[open_regions]
        self._merged = np.arange(len(self._labels))
        if done.shape[1]:
            yield _joined(done, labels, areas)


def quarter_edges(quarter: int) -> int:
    """Edges of the corner of a pixel that lies in a quarter around it: those of the lower right one go down, right."""
    return (DOWN if quarter & 2 else 0) | (RIGHT if quarter & 1 else 0)


def _joined(corners: Ints, labels: Ints, areas: NDArray[np.float64]) -> Outlines:
    """Join the corners (4, N) of whole regions to rings."""
    number, row, column, edges = corners[:, np.lexsort((corners[3] & DOWN, corners[1], corners[2], corners[0]))]
    # two pixels of a region that touch in this corner: it is a corner of two rings, which both touch it
    double = np.flatnonzero((number[1:] == number[:-1]) & (row[1:] == row[:-1]) & (column[1:] == column[:-1]))
    edges[double] ^= RIGHT
    edges[double + 1] ^= RIGHT
    order = np.lexsort((edges & RIGHT, column, row, number))
    partner = np.empty_like(order)
    partner[order] = order.reshape(-1, 2)[:, ::-1].ravel()
    places, starts = _rings(order.tolist(), partner.tolist(), number.tolist())
    lengths = np.diff(starts, append=len(places))
    walked = np.array(places, np.int64)
    regions, rings = np.unique(number[walked[starts]], return_counts=True)
    return Outlines(labels[regions], areas[regions], rings, lengths, np.stack([column[walked], row[walked]], axis=1))


def _rings(order: list[int], partner: list[int], number: list[int]) -> tuple[list[int], list[int]]:
    """Follow the edges of corners.

    Args:
        order: Corners by region, row and column.
        partner: Corner at the other end of the horizontal edge of each; that of the vertical edge is its neighbour.
        number: Region of each corner.

    Returns:
        Corners, ring by ring; and where each ring begins in this list.
    """
    places: list[int] = []
    starts: list[int] = []
    seen = bytearray(len(order))
    region: Any = None
    for start in order:
        if seen[start]:
            continue
        starts.append(len(places))
        # the first ring of a region is its outer outline, which goes down first; those of holes go to the right first
        corner = start if number[start] != region else partner[start]
        region = number[start]
        first = corner
        while not seen[corner]:
            seen[corner] = seen[corner ^ 1] = 1
            places += (corner, corner ^ 1)
            corner = partner[corner ^ 1]
        assert corner == first
    return places, starts
