"""Outputs that lie on a map: GeoTIFFs and polygons, made from a label map and the georeference of its image."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from seglight.commands.predict.inputs import Picture, Source
from seglight.commands.predict.kinds import PLACED
from seglight.commands.predict.memory_budget import MemoryBudget
from seglight.data.pairs import say_once
from seglight.errors import UserError
from seglight.images.geo import SUFFIXES, Georeference, georeference, library
from seglight.images.geotiff import CACHE_BYTES, TILE, write_geotiff
from seglight.images.label_rows import LabelRows
from seglight.images.placement import placement
from seglight.images.polygons import geojson_of, write_geojson, write_geopackage
from seglight.inference.predictor import Predictor

PlacedWriter: TypeAlias = Callable[[Path, LabelRows, Georeference], None]
"""Function of the path to write, the label map, and the georeference of its image."""

PACKAGES = {"geotiff": ("rasterio",), "polygons": ("rasterio", "pyogrio"), "geojson": ("rasterio", "pyogrio")}
"""Packages that the kinds of outputs need."""


def placed_writers(kinds: Sequence[str], predictor: Predictor, budget: MemoryBudget) -> dict[str, PlacedWriter]:
    """Functions that write the kinds of outputs that lie on a map.

    Args:
        kinds: All kinds of outputs.
        predictor: Model with the names and colours of the classes.
        budget: Memory limit.

    Raises:
        UserError: rasterio or pyogrio is not installed.
    """
    chosen = [kind for kind in PLACED if kind in kinds]
    for kind in chosen:
        for name in PACKAGES[kind]:
            library(name, f"--save {kind}")
    found: dict[str, PlacedWriter] = {}
    if "geotiff" in chosen:
        found["geotiff"] = partial(_write_geotiff, predictor, budget)
    polygons = _Polygons(predictor.class_names, budget)
    followed = {"polygons": polygons.geopackage, "geojson": polygons.geojson}
    return found | {kind: write for kind, write in followed.items() if kind in chosen}


def _write_geotiff(
    predictor: Predictor, budget: MemoryBudget, path: Path, labels: LabelRows, geo: Georeference
) -> None:
    if not geo.is_given:
        say_once(f"--save geotiff: {geo.path} has no georeference: a tiled TIFF without a place on the map is written")
    budget.check_bytes("geotiff", 2 * CACHE_BYTES + 2 * TILE * labels.shape[1] * labels.dtype.itemsize)
    write_geotiff(path, labels, geo, predictor.class_names, predictor.palette)


class _Polygons:
    """Writes the polygons of label maps; those of one that is written in both forms are followed once.

    Args:
        class_names: Names of the classes, by index.
        budget: Memory limit.
    """

    def __init__(self, class_names: Sequence[str], budget: MemoryBudget) -> None:
        self.class_names = class_names
        self.budget = budget
        self.corners = 0
        self.written: tuple[Georeference, Path] | None = None

    def geopackage(self, path: Path, labels: LabelRows, geo: Georeference) -> None:
        """Write a GeoPackage."""
        self.written = None
        self.corners = 0
        write_geopackage(path, labels, geo, self.class_names, partial(self._check, "polygons"))
        self.written = geo, path

    def geojson(self, path: Path, labels: LabelRows, geo: Georeference) -> None:
        """Write a GeoJSON."""
        if self.written is not None and self.written[0] is geo:
            self.budget.check_corners("geojson", self.corners)
            geojson_of(path, self.written[1], geo)
        else:
            write_geojson(path, labels, geo, self.class_names, partial(self._check, "geojson"))

    def _check(self, kind: str, corners: int) -> None:
        self.corners = max(self.corners, corners)
        self.budget.check_corners(kind, corners)


def check_placed(kinds: Sequence[str], sources: Sequence[Source]) -> None:
    """Check that no kind of output that lies on a map is asked for of a video.

    Raises:
        UserError: An input is a video.
    """
    video = next((source.shown for source in sources if source.is_video), None)
    kind = next((kind for kind in PLACED if kind in kinds), None)
    if video is not None and kind is not None:
        raise UserError(f"--save {kind}: {video} is a video, whose frames have no place on a map: predict it by itself")


def may_lie_on_a_map(source: Source) -> bool:
    """Whether a file is of a format that holds a georeference itself."""
    return source.path.suffix.lower() in SUFFIXES


def place_of(picture: Picture, what: str) -> Georeference:
    """Georeference of an image, which may have none.

    Args:
        picture: The image.
        what: What it is needed for, as the beginning of the message.

    Raises:
        UserError: GDAL doesn't read the file.
    """
    return georeference(picture.source.path, picture.page, what)


def place_for_areas(picture: Picture) -> Georeference | None:
    """Georeference of an image for the areas of its classes; None: they are not known, and a line says why if it may.

    An image without a georeference has no areas, which needs no line.
    """
    if not may_lie_on_a_map(picture.source):
        return None
    try:
        if find_spec("rasterio") is not None:
            return place_of(picture, "--save csv")
        if not picture.source.is_tiff or placement(picture.source.path, (1, 1)) is not None:
            say_once('shares.csv: areas of georeferenced images need rasterio: pip install "seglight[geo]"')
    except UserError as error:
        say_once(f"shares.csv: no areas: {error}")
    return None
