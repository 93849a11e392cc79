"""Label maps as Cloud Optimised GeoTIFFs, written a few rows at a time."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seglight.errors import UserError, one_line
from seglight.images.geo import Georeference, library, opened
from seglight.images.label_rows import LabelRows
from seglight.images.types import Color
from seglight.system.atomic import atomic_path

WHAT = "--save geotiff"

CACHE_BYTES = 1 << 26
"""Most bytes of blocks that GDAL keeps: without a limit, it takes a twentieth of the memory."""

TILE = 512
"""Side of a tile in pixels, as GDAL's own default."""

DESCRIPTION = "class"
"""Description of the band."""


def write_geotiff(
    path: Path, labels: LabelRows, geo: Georeference, class_names: Sequence[str], palette: Sequence[Color]
) -> None:
    """Write a label map with the georeference of its image, atomically.

    The file has a colour table (if it has 8 bits), overviews by the most frequent class, the greatest value of its type
    as nodata, and the names of the classes as the metadata CLASS_0, CLASS_1, ... of its band. Control points and RPCs
    of the image are its own, too. Without any georeference it is a tiled TIFF.

    Args:
        path: Path of the file.
        labels: The label map.
        geo: Georeference of the image.
        class_names: Names of the classes, by index.
        palette: RGB colours of the classes, by index.

    Raises:
        UserError: rasterio is not installed, the image has another size, or GDAL does not write the whole file.
    """
    rasterio = library("rasterio", WHAT)
    from rasterio._err import CPLE_BaseError  # what it raises for many errors of GDAL, without a public name
    from rasterio.errors import RasterioError
    from rasterio.shutil import copy

    if labels.shape != geo.size:
        raise UserError(f"{WHAT}: {geo.path} is {geo.size[0]} x {geo.size[1]} pixels, and its label map {labels.shape}")
    with atomic_path(path) as part:
        tiled = part.with_name(f"{part.name}.tiled.tif")  # removed with the other parts of a killed process
        try:
            with rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES):
                checksum = _write_tiles(tiled, labels, geo, class_names, palette)
                copy(
                    str(tiled),
                    str(part),
                    driver="COG",
                    compress="DEFLATE",
                    blocksize=TILE,
                    overview_resampling="MODE",
                    bigtiff="IF_SAFER",
                )
                if _checksum(part) != checksum:  # GDAL says nothing if the disk is full while it closes a file
                    raise UserError(f"{WHAT}: {path}: not written as a whole: is the disk full?")
        except (RasterioError, CPLE_BaseError) as error:
            raise UserError(f"{WHAT}: {path}: {one_line(error.__cause__ or error)}: is the disk full?") from error
        finally:
            tiled.unlink(missing_ok=True)


def _write_tiles(
    path: Path, labels: LabelRows, geo: Georeference, class_names: Sequence[str], palette: Sequence[Color]
) -> int:
    """Write the tiles without overviews; the result is the checksum of the pixels."""
    height, width = labels.shape
    most = int(np.iinfo(labels.dtype).max)
    nodata = most if len(class_names) <= most else None
    profile: dict[str, Any] = {
        "height": height,
        "width": width,
        "count": 1,
        "dtype": labels.dtype.name,
        "nodata": nodata,
    }
    layout: dict[str, Any] = {"tiled": True, "blockxsize": TILE, "blockysize": TILE, "compress": "DEFLATE", "zlevel": 1}
    with opened(path, mode="w", driver="GTiff", bigtiff="IF_SAFER", **profile, **layout, **_placed(geo)) as dataset:
        dataset.set_band_description(1, DESCRIPTION)
        dataset.update_tags(1, **{f"CLASS_{index}": name for index, name in enumerate(class_names)})
        if geo.is_point:
            dataset.update_tags(AREA_OR_POINT="Point")
        if labels.dtype == np.uint8:
            dataset.write_colormap(1, {index: (*color, 255) for index, color in enumerate(palette)})
        return _write_rows(dataset, labels, len(class_names))


def _write_rows(dataset: Any, labels: LabelRows, classes: int) -> int:
    """Write whole rows of tiles: a tile that is written in parts is compressed several times. Returns a checksum."""
    from rasterio.windows import Window

    height, width = labels.shape
    held = np.empty((TILE, width), labels.dtype)
    top = filled = checksum = 0
    for band in labels.bands():
        while len(band):
            taken = min(TILE - filled, len(band))
            held[filled : filled + taken] = band[:taken]
            band = band[taken:]
            filled += taken
            if filled == TILE or top + filled == height:
                if dataset.nodata is not None:  # models may have another label for what is ignored
                    held[:filled][held[:filled] >= classes] = dataset.nodata
                dataset.write(held[:filled], 1, window=Window(0, top, width, filled))
                checksum = zlib.crc32(held[:filled].data, checksum)
                top, filled = top + filled, 0
    return checksum


def _checksum(path: Path) -> int:
    """Checksum of the pixels of a file by rows of tiles, as `_write_rows` has it."""
    from rasterio.windows import Window

    checksum = 0
    with opened(path) as dataset:
        for top in range(0, dataset.height, TILE):
            rows = dataset.read(1, window=Window(0, top, dataset.width, min(TILE, dataset.height - top)))
            checksum = zlib.crc32(rows, checksum)
    return checksum


def _placed(geo: Georeference) -> dict[str, Any]:
    """Arguments of rasterio that place the pixels."""
    if geo.gcps:
        return {"gcps": list(geo.gcps), "crs": geo.gcps_crs, "rpcs": geo.rpcs}
    transform: Any = None
    if geo.transform is not None:
        from rasterio import Affine

        transform = Affine(*geo.transform)
    return {"crs": geo.crs, "transform": transform, "rpcs": geo.rpcs}
