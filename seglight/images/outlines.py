"""Outlines of objects along the edges of their pixels."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def outlines(objects: NDArray[np.int32]) -> list[list[int]]:
    """One polygon for each object, which covers exactly its pixels if it is filled by the even-odd rule.

    An object's edges form rings: its outer outline and those of its holes. A polygon follows all of them; the cuts
    between them are followed in both directions and enclose nothing.

    Args:
        objects: Map (H, W) of the object, 1 to N, of each pixel, or 0.

    Returns:
        For each object the corners x, y, x, y, ..., in pixels from the image's upper left corner.
    """
    height, width = objects.shape
    key, ahead, corner = _edges(objects)
    objects_of, places = np.divmod(key, (height + 1) * (width + 1))
    rows, columns = np.divmod(places, width + 1)
    polygons: list[list[int]] = [[] for _ in range(int(objects.max()))]
    follow, corners, owner = ahead.tolist(), corner.tolist(), objects_of.tolist()
    points = np.stack([columns, rows], axis=1).tolist()
    seen = bytearray(len(key))
    for first in range(len(key)):
        ring: list[int] = []
        edge = first
        while not seen[edge]:
            seen[edge] = True
            if corners[edge]:
                ring += points[edge]
            edge = follow[edge]
        if ring:
            polygon = polygons[owner[first] - 1]
            polygon += [*ring, *ring[:2], *polygon[:2]] if polygon else ring + ring[:2]
    return polygons


def _edges(objects: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Pixel edges at the border of an object, clockwise around it, ordered by object.

    Returns:
        The object and the start vertex of each edge, as one number; the index of the next edge; and whether the edge
        has another direction than the one before it.
    """
    height, width = objects.shape
    padded = np.pad(objects, 1)
    starts, ends = [], []
    # of the pixel's neighbour up, right, down, left: where its side to it begins and ends, (y, x) from the pixel
    for (down, across), begin, end in (
        ((-1, 0), (0, 0), (0, 1)),
        ((0, 1), (0, 1), (1, 1)),
        ((1, 0), (1, 1), (1, 0)),
        ((0, -1), (1, 0), (0, 0)),
    ):
        neighbour = padded[1 + down : 1 + down + height, 1 + across : 1 + across + width]
        y, x = ((objects != neighbour) & (objects > 0)).nonzero()
        base = objects[y, x].astype(np.int64) * ((height + 1) * (width + 1))
        starts.append(base + (y + begin[0]) * (width + 1) + x + begin[1])
        ends.append(base + (y + end[0]) * (width + 1) + x + end[1])
    direction = np.repeat(np.arange(4), [len(part) for part in starts])
    start, end_key = np.concatenate(starts), np.concatenate(ends)
    # as many edges of an object end in a vertex as start there: any pairing of them gives rings
    order, arriving = start.argsort(kind="stable"), end_key.argsort(kind="stable")
    rank = np.empty_like(order)
    rank[arriving] = np.arange(len(order))
    ahead = rank[order]
    direction = direction[order]
    corner = np.empty(len(order), bool)
    corner[ahead] = direction[ahead] != direction
    return start[order], ahead, corner


def outline_of(labels: NDArray[np.integer[Any]]) -> int:
    """Number of pixel edges between two classes of a label map (H, W)."""
    return int(np.count_nonzero(labels[1:] != labels[:-1]) + np.count_nonzero(labels[:, 1:] != labels[:, :-1]))
