"""Projects of scenes, which are read by window and divided by place."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from seglight.commands.doctor.band_facts import BandFacts, band_facts
from seglight.commands.doctor.band_statistics import band_statistics, declaration
from seglight.commands.init.prepared import CLASSES, Prepared, full_path
from seglight.data.layouts.layout import Layout
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.open_rasters import OpenRasters
from seglight.images.read_bands import bare_bands, holding, image_size
from seglight.system.atomic import atomic_write

WINDOWS, SIDE = 64, 512
"""Number of windows in which bands are measured, of all scenes together, and their height and width."""

BLOCKS = 40
"""Number of blocks that the scenes are divided into, unless these become larger than `LARGEST`."""

LARGEST, STEP = 4096, 64
"""Largest side of a block in pixels, and what it is a multiple of."""

FIRST_CROP = 64
"""Crop with which the data are read before one is chosen."""


def prepare_scenes(layout: Layout, root: Path, folds: int | None, project: Path) -> Prepared:
    """Write the class table of scenes, and say how they are read.

    Args:
        layout: Layout of `recognise_scenes`.
        root: Folder of the data set.
        folds: Number of folds, or None.
        project: Folder of the project, which exists.

    Raises:
        UserError: Folds are wanted, or the scenes can't be read.
    """
    assert layout.in_place is not None
    assert layout.in_place.class_table is not None
    if folds is not None:
        raise UserError(
            f"--folds {folds}: scenes are divided by place: leave it out, and set `blocks: {{block_size: ..., folds: "
            f"{folds}, fold: 1}}` in the recipe"
        )
    table = {key: value for key, value in layout.in_place.class_table.items() if value is not None}
    images = [path for files in layout.splits.values() for path in files]
    remarks = []
    text = yaml.safe_dump(table, default_flow_style=None, sort_keys=False, allow_unicode=True)
    if table.get("bands") is None:
        bands = _measured(images)
        if not bands.is_rgb8:
            text = f"# Mean and std were measured in windows all over the scenes.\n{declaration(bands)}{text}"
            remarks.append(f"The scenes have {bands.line()}: their mean and std were measured in some windows.")
    atomic_write(project / CLASSES, text)
    arguments: dict[str, Any] = {"root": str(full_path(root)), **layout.in_place.init_args}
    if isinstance(table["images"], str):
        size = block_size(sum(math.prod(image_size(path)) for path in images))
        arguments["blocks"] = {"block_size": size}
        remarks.append(f"The ground is divided into blocks of {size} pixels, a fifth of which is for the validation.")
    arguments["augmentation"] = {"crop_size": FIRST_CROP, "photometric": 0}
    return Prepared(layout.in_place.class_path, arguments, {"classes": CLASSES}, remarks)


def block_size(pixels: int) -> int:
    """Side of the blocks that divide scenes of so many pixels together."""
    side = math.isqrt(pixels // BLOCKS)
    return max(STEP, min(LARGEST, side // STEP * STEP))


def _measured(images: Sequence[Path]) -> Bands:
    """Bands of scenes, measured in windows that are spread over them."""
    held = holding(images[0])
    bands = bare_bands(held)
    if (bands.names, bands.type, bands.nodata) == (RGB.names, RGB.type, None):
        return RGB
    numbers = band_statistics([*_windows(images, bands)])
    if numbers is None:
        raise UserError(f"{images[0]}: no window of it or of another scene could be read")
    return numbers.bands


def _windows(images: Sequence[Path], bands: Bands) -> Iterator[BandFacts]:
    """Facts about windows of scenes of the same bands as the first; the data module refuses the others."""
    rasters = OpenRasters()
    rng = np.random.default_rng(0)
    for path in images:
        held = holding(path)
        raster = rasters.get((path,))
        if (raster.shape[2], raster.dtype) != (len(bands.names), bands.dtype):
            continue
        for _ in range(-(-WINDOWS // len(images))):
            size = [min(SIDE, side) for side in raster.shape[:2]]
            starts = [int(rng.integers(side - part + 1)) for side, part in zip(raster.shape, size, strict=False)]
            rows, columns = (slice(start, start + part) for start, part in zip(starts, size, strict=True))
            yield band_facts(str(path), held, raster.read(rows, columns), bands)
