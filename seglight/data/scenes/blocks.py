"""Splits by place: blocks of the ground, each of which belongs to the training or to the validation."""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.data.scenes.area import Area, Edges
from seglight.errors import UserError
from seglight.images.placement import Placement

TOLERANCE = 1e-3
"""Part of a pixel by which sides of pixels and blocks may differ and still be the same."""

VAL_FRACTION = 0.2
"""Fraction of the pixels in validation blocks where neither `val_fraction` nor `folds` is given."""

Block = tuple[str, int, int]
"""Grid, row and column of a block."""

Cells = list[tuple[int, int, int]]
"""First pixel of ranges of pixels, and the first and the last block that its pixels lie in."""


@dataclass(frozen=True)
class Ground:
    """A scene as far as its place is concerned.

    Args:
        name: Name of the scene.
        size: Height and width in pixels.
        placement: Position on the ground, or None.
    """

    name: str
    size: tuple[int, ...]
    placement: Placement | None


@dataclass(frozen=True)
class Blocks:
    """Division of the ground into square blocks, of which some are for the validation, chosen by a seed.

    Scenes of one coordinate reference system share the grid of blocks, which begins at the corner of the scene with the
    smallest pixels (the first one of several), so that overlapping scenes have every place in the same split. A scene
    without a georeference has a grid of its own. Pixels that a border of blocks crosses, as where scenes are shifted by
    parts of a pixel, are in no tile of the validation, and in training windows only between training blocks.

    Args:
        block_size: Side of a block in pixels, of the smallest pixels among the scenes that share the grid.
        val_fraction: Fraction of the pixels whose blocks are for the validation; 0.2 by default.
        folds: Number of parts for cross-validation, in place of `val_fraction`: each block is in the validation of one.
        fold: Number of the part that is for the validation, from 1.
        seed: Seed of the choice.

    Raises:
        UserError: A number is out of range, or both `val_fraction` and `folds` are given.
    """

    block_size: int
    val_fraction: float | None = None
    folds: int | None = None
    fold: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.block_size < 1:
            raise UserError(f"data.blocks.block_size {self.block_size}: give a number of pixels from 1")
        if self.val_fraction is not None and not 0 < self.val_fraction < 1:
            raise UserError(f"data.blocks.val_fraction {self.val_fraction}: give a fraction between 0 and 1")
        if self.folds is not None and self.val_fraction is not None:
            raise UserError("data.blocks: give val_fraction or folds, not both")
        if self.folds is not None and self.folds < 2:
            raise UserError(f"data.blocks.folds {self.folds}: give a whole number from 2")
        if not 1 <= self.fold <= (self.folds or 1):
            raise UserError(f"data.blocks.fold {self.fold}: give a whole number from 1 to the number of folds")

    def areas(self, scenes: Sequence[Ground]) -> dict[str, list[Area]]:
        """Training and validation area of each scene: {"train": areas, "val": areas}.

        The cells of a validation area are blocks, or the parts of blocks that a scene shows.

        Raises:
            UserError: A scene is rotated, or there are too few blocks for two splits.
        """
        grids = _grids(scenes, self.block_size)
        layouts = [
            (grid, [_cells(start, stop, size) for (start, stop), size in zip(spans, scene.size, strict=False)])
            for scene, (grid, spans) in zip(scenes, grids, strict=True)
        ]
        weights: dict[Block, int] = defaultdict(int)
        for scene, (grid, cells) in zip(scenes, layouts, strict=True):
            heights, widths = (_lengths(axis, size) for axis, size in zip(cells, scene.size, strict=False))
            for row, height in heights.items():
                for column, width in widths.items():
                    weights[grid, row, column] += height * width
        chosen = self._validation(weights)
        return {
            "train": [
                _area(scene.size, *layout, chosen, train=True) for scene, layout in zip(scenes, layouts, strict=True)
            ],
            "val": [
                _area(scene.size, *layout, chosen, train=False) for scene, layout in zip(scenes, layouts, strict=True)
            ],
        }

    def _validation(self, weights: Mapping[Block, int]) -> set[Block]:
        """The blocks of the validation, of all blocks with their numbers of pixels."""
        order = sorted(weights, key=lambda block: hashlib.sha256(repr((self.seed, block)).encode()).digest())
        if len(order) < max(2, self.folds or 0):
            raise UserError(
                f"data.blocks.block_size {self.block_size}: the scenes have {len(order)} "
                f"block{'s' * (len(order) != 1)}, too few for {f'{self.folds} folds' if self.folds else 'two splits'}: "
                "lower it"
            )
        if self.folds is not None:
            return set(order[self.fold - 1 :: self.folds])
        wanted = (VAL_FRACTION if self.val_fraction is None else self.val_fraction) * sum(weights.values())
        sums = np.cumsum([weights[block] for block in order])
        number = int(np.abs(sums - wanted).argmin()) + 1
        return set(order[: min(number, len(order) - 1)])


def _grids(scenes: Sequence[Ground], block_size: int) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Name of the grid of each scene, and for rows and columns the position of pixel 0 in blocks and pixels a block.

    The choice of blocks depends on the names. So they have neither the folder of a scene, which moves, nor the text of
    a reference system, which differs between releases of GDAL.
    """
    first: dict[str, Placement] = {}
    for scene in scenes:
        place = scene.placement
        if place is None:
            continue
        if not place.upright:
            raise UserError(
                f"{scene.name}: it is rotated, and blocks are not: make it upright with `gdalwarp`, or name the scenes "
                "of each split in data.images"
            )
        best = first.get(place.crs)
        if best is None or place.width * place.height < best.width * best.height * (1 - TOLERANCE):
            first[place.crs] = place
    names = {crs: f"grid {number}" for number, crs in enumerate(first)}
    for scene in scenes:
        place = scene.placement
        if place is None:
            yield Path(scene.name).name, [(0.0, block_size), (0.0, block_size)]
            continue
        grid = first[place.crs]
        sides = block_size * grid.height, block_size * grid.width
        starts = (grid.top - place.top) / sides[0], (place.left - grid.left) / sides[1]
        yield names[place.crs], [(starts[0], sides[0] / place.height), (starts[1], sides[1] / place.width)]


def _cells(start: float, pixels: float, size: int) -> Cells:
    """Ranges of pixels along an axis that lie in the same blocks.

    Args:
        start: Position of the first pixel in blocks.
        pixels: Number of pixels of a block.
        size: Number of pixels of the scene.
    """
    block = math.floor(start + TOLERANCE / pixels)
    cells: Cells = []
    first = 0
    while first < size:
        edge = (block + 1 - start) * pixels
        end = min(math.floor(edge + TOLERANCE), size)
        if end > first:
            cells.append((first, block, block))
        if end < size and math.ceil(edge - TOLERANCE) > end:  # the border crosses a pixel
            last = math.floor(start + (end + 1 - TOLERANCE) / pixels)
            cells.append((end, block, max(last, block + 1)))
            end += 1
            block = max(last, block + 1) - 1
        first = end
        block += 1
    return cells


def _lengths(cells: Cells, size: int) -> dict[int, int]:
    """Number of pixels in each block along an axis."""
    stops = [first for first, _, _ in cells[1:]] + [size]
    return {block: stop - first for (first, block, last), stop in zip(cells, stops, strict=True) if block == last}


def _area(size: Sequence[int], grid: str, cells: Sequence[Cells], chosen: set[Block], train: bool) -> Area:
    rows, columns = cells
    inside: NDArray[np.bool_] = np.zeros((len(rows), len(columns)), np.bool_)
    for y, (_, top, bottom) in enumerate(rows):
        for x, (_, left, right) in enumerate(columns):
            touched = [
                (grid, row, column) in chosen for row in range(top, bottom + 1) for column in range(left, right + 1)
            ]
            inside[y, x] = not any(touched) if train else touched == [True]
    return Area(_edges(rows, size[0]), _edges(columns, size[1]), inside)


def _edges(cells: Cells, size: int) -> Edges:
    return np.array([first for first, _, _ in cells] + [size])
