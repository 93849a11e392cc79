"""TIFFs of any bands and type of which windows are read at random places."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from seglight.images.page_samples import JPEG, PLAIN, PageSamples, opened_tiff, stored
from seglight.images.tiff_holding import nodata_of
from seglight.images.tiff_pages import COLOURS
from seglight.images.tile_cache import TileCache

if TYPE_CHECKING:
    import tifffile

OLD_JPEG = 6


class TiledTiff(PageSamples):
    """The first page of a TIFF, with all of its samples as they are stored.

    Args:
        path: Path of the file.
        cache: Cache of decoded tiles.

    Raises:
        UserError: The file is damaged.
        UnsuitedError: Its pixels are stored in a way that is left to GDAL.
    """

    def __init__(self, path: Path, cache: TileCache) -> None:
        with opened_tiff(path) as tiff:
            page = tiff.pages[0].aspage()
            fault = _left_to_gdal(page)
            if not fault:  # holes of a sparse file have the value without data, as GDAL reads them
                super().__init__(path, page, stored(path), cache, nodata_of(page) or 0, at_random=True)
        if fault:
            raise UnsuitedError(fault)


class UnsuitedError(ValueError):
    """The pixels of a TIFF are stored in a way that is left to GDAL."""


def _left_to_gdal(page: "tifffile.TiffPage") -> str:
    """Why a page is not read here, or ""."""
    colour = str(page.photometric.name) if isinstance(page.photometric, Enum) else ""
    kind = "" if page.dtype is None else np.dtype(page.dtype).str[1:]
    if kind not in PLAIN or page.bitspersample != PLAIN[kind]:
        return f"samples of {page.bitspersample} bits"
    if page.compression in (JPEG, OLD_JPEG) or colour in ("YCBCR", "CFA") or colour not in COLOURS:
        return f"colours of {colour}"
    if page.imagedepth > 1 or int(page.fillorder) != 1:
        return "a volume"
    return ""
