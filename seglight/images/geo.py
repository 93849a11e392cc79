"""Where on the Earth the pixels of a file lie: coordinate reference system and transform, read by rasterio (GDAL)."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.errors import UserError, one_line

SUFFIXES = (".tif", ".tiff", ".jp2", ".j2k", ".jpx", ".vrt", ".img")
"""Suffixes, in lower case, of images that hold a georeference themselves."""

Transform = tuple[float, float, float, float, float, float]
"""Coefficients a to f: the corner (column, row) lies at x = a column + b row + c, y = d column + e row + f."""

IDENTITY: Transform = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True)
class Georeference:
    """Where the pixels of an image lie.

    Args:
        path: Path of the image.
        size: Height and width of the image.
        transform: From pixels to coordinates; None: the file has none.
        crs: Coordinate reference system, a `rasterio.crs.CRS`; None: the file names none.
        is_point: Whether the file says that its values are those of points (AREA_OR_POINT=Point).
        nodata: Value of pixels without data that the file names, or None.
        gcps: Ground control points (`rasterio.control.GroundControlPoint`), in place of a transform.
        gcps_crs: Coordinate reference system of these points.
        rpcs: Rational polynomial coefficients (`rasterio.rpc.RPC`), in place of a transform.
    """

    path: Path
    size: tuple[int, int]
    transform: Transform | None = None
    crs: Any = None
    is_point: bool = False
    nodata: float | None = None
    gcps: tuple[Any, ...] = field(default=(), repr=False)
    gcps_crs: Any = field(default=None, repr=False)
    rpcs: Any = field(default=None, repr=False)

    @property
    def is_given(self) -> bool:
        """Whether the file says anything about where it lies."""
        return self.transform is not None or self.crs is not None or bool(self.gcps) or self.rpcs is not None

    @property
    def is_on_grid(self) -> bool:
        """Whether each pixel has coordinates in a known reference system, without being warped."""
        return self.transform is not None and self.crs is not None

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Least x, least y, greatest x and greatest y of the corners of the image."""
        height, width = self.size
        corners = self.coordinates(np.array([(0, 0), (width, 0), (0, height), (width, height)], np.float64))
        low, high = corners.min(0).tolist(), corners.max(0).tolist()
        return (low[0], low[1], high[0], high[1])

    def coordinates(self, points: NDArray[Any]) -> NDArray[np.float64]:
        """Coordinates x, y (N, 2) of corners of pixels, column and row (N, 2)."""
        a, b, c, d, e, f = self.transform or IDENTITY
        columns, rows = points[:, 0], points[:, 1]
        return np.stack([a * columns + b * rows + c, d * columns + e * rows + f], axis=1)

    def pixels(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Column and row (N, 2), in fractions of pixels from the upper left corner, of coordinates x, y (N, 2)."""
        a, b, c, d, e, f = self.transform or IDENTITY
        x, y, scale = points[:, 0] - c, points[:, 1] - f, a * e - b * d
        return np.stack([(e * x - b * y) / scale, (a * y - d * x) / scale], axis=1)

    def check_grid(self, what: str) -> None:
        """Check that each pixel has coordinates.

        Args:
            what: What they are needed for, as the beginning of the message.

        Raises:
            UserError: The file has no transform or names no coordinate reference system.
        """
        if self.is_on_grid:
            return
        if self.transform is None and (self.gcps or self.rpcs is not None):
            located = "ground control points" if self.gcps else "RPCs"
            raise UserError(f"{what}: {self.path} is located by {located}: warp it to a grid first (gdalwarp)")
        if self.transform is not None:
            raise UserError(
                f"{what}: {self.path} names no coordinate reference system: add it (gdal_edit.py -a_srs EPSG:...)"
            )
        raise UserError(
            f"{what}: {self.path} has no georeference, which tells where its pixels lie: add it (gdal_edit.py -a_srs "
            "EPSG:... -a_ullr LEFT TOP RIGHT BOTTOM)"
        )


def library(name: str, what: str) -> ModuleType:
    """Import rasterio or pyogrio.

    Args:
        name: Name of the package.
        what: What it is needed for, as the beginning of the message.

    Raises:
        UserError: The package is not installed.
    """
    try:
        return __import__(name)
    except ImportError as error:
        raise UserError(f'{what} needs {name}: pip install "seglight[geo]"') from error


@contextmanager
def opened(path: Path, page: int | None = None, what: str = "georeferenced images", **options: Any) -> Iterator[Any]:
    """Open a raster by rasterio within the context: it has a georeference or not, without a warning.

    Args:
        path: Path of the file.
        page: Index of the page of a TIFF; None: the file is one image.
        what: What rasterio is needed for, as the beginning of the message.
        **options: Further arguments of `rasterio.open`.

    Raises:
        UserError: rasterio is not installed, or GDAL doesn't read the file.
    """
    rasterio = library("rasterio", what)
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    place = str(path.absolute())  # absolute: GDAL reads "GTIFF_DIR:1:a.tif" and the like as more than a name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(place if page is None else f"GTIFF_DIR:{page + 1}:{place}", **options)
        except RasterioError as error:
            raise UserError(f"{path}: not readable as a georeferenced image ({one_line(error)})") from error
        with dataset:
            yield dataset


def georeference(path: Path, page: int | None = None, what: str = "georeferenced images") -> Georeference:
    """Read the georeference of a file, which may have none.

    Args:
        path: Path of the file.
        page: Index of the page of a TIFF; None: the file is one image.
        what: What it is needed for, as the beginning of the message.

    Raises:
        UserError: rasterio is not installed, or GDAL doesn't read the file.
    """
    with opened(path, page, what) as dataset:
        transform: Transform = tuple(dataset.transform)[:6]
        gcps, gcps_crs = dataset.gcps
        return Georeference(
            path,
            (dataset.height, dataset.width),
            None if transform == IDENTITY else transform,
            dataset.crs or None,
            dataset.tags().get("AREA_OR_POINT") == "Point",
            dataset.nodata,
            tuple(gcps),
            gcps_crs,
            dataset.rpcs,
        )
