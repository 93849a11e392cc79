"""Labels of scenes by window: rasters, or vectors that are burned in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from seglight.data.classes import Classes
from seglight.data.labels import Codec, ColorCodec, LabelCodec
from seglight.data.scenes.files import VECTOR_SUFFIXES, label_file
from seglight.data.vectors import VectorMemory, Vectors
from seglight.errors import UserError
from seglight.images.open_rasters import OpenRasters
from seglight.images.placement import Placement, displacement, placement
from seglight.images.types import LabelMap
from seglight.ops.label_types import IGNORE_INDEX

FAR = 10**6
"""Distance in pixels that no message states."""


@dataclass(frozen=True)
class VectorFiles:
    """Vector files with the labels of scenes: GeoJSON, GeoPackage or shapefiles.

    Args:
        files: Path of the file of a scene below root, in which `{stem}` stands for the name of the scene without
            suffix, or a folder of such files, or one file for all scenes.
        attribute: Name of the attribute that holds the name or the value of the class; None: all features are of the
            class 1, the second one.
        layer: Name of the layer; None: the only one.
        background: Class index of pixels outside of all features; 255: they are ignored.
    """

    files: str
    attribute: str | None = None
    layer: str | None = None
    background: int = 0

    def path(self, root: Path, key: tuple[str, str], image: Path) -> Path:
        """The file of an image, of which the key is the folder at `**` and the text of `{stem}`.

        Raises:
            UserError: There is none, or there are several.
        """
        one = root / self.files
        if one.is_file():
            return one
        return label_file(root, self.files, key, image, VECTOR_SUFFIXES)

    def of(self, path: Path, classes: Classes, codec: Codec, memory: VectorMemory | None = None) -> Vectors:
        """The labels in a file, of the classes of a class table.

        Args:
            path: Path of the file.
            classes: The classes.
            codec: Codec of their values.
            memory: What was read of this and other files; None: of this one only.

        Raises:
            UserError: There are more classes than bytes have values for, or the background is none of them.
        """
        if len(classes) > IGNORE_INDEX:
            raise UserError(
                f"{path}: {len(classes)} classes, where vectors are burned in for {IGNORE_INDEX} at most: use rasters"
            )
        if not (0 <= self.background < len(classes) or self.background == IGNORE_INDEX):
            raise UserError(
                f"data.vectors.background {self.background}: give the index of one of the {len(classes)} classes, or "
                f"{IGNORE_INDEX}, which ignores these pixels"
            )
        by_value = {str(value): index for value, index in codec.values.items()} if isinstance(codec, LabelCodec) else {}
        by_name = {name: index for index, name in enumerate(classes.names)}
        known = by_value | by_name if self.attribute is not None else None
        return Vectors(path, known, self.attribute, self.layer, self.background, memory=memory)


class SceneLabels(Protocol):
    """Labels of scenes."""

    @property
    def paths(self) -> Sequence[Path]:
        """Label file of each scene."""

    @property
    def description(self) -> str:
        """Identity of all that determines the labels beside the files."""

    def check(self, scene: int, image: Path, size: tuple[int, ...], place: Placement | None) -> None:
        """Check the label file of a scene before anything is read by window.

        Args:
            scene: Index of the scene.
            image: Its image.
            size: Height and width of the image.
            place: Position of the image on the ground, or None.

        Raises:
            UserError: It doesn't fit.
        """

    def read(self, scene: int, rows: slice, columns: slice) -> LabelMap:
        """Mask (h, w) of a window of a scene: class index or ignore index."""


@dataclass(frozen=True)
class RasterLabels:
    """Labels in rasters of the size of their scenes.

    Args:
        paths: Raster of each scene.
        codec: Codec of the values or colours.
        rasters: The open files of this process.
    """

    paths: Sequence[Path]
    codec: Codec
    rasters: OpenRasters

    @property
    def description(self) -> str:
        """Identity of all that determines the labels beside the files."""
        return repr(self.codec)

    def check(self, scene: int, image: Path, size: tuple[int, ...], place: Placement | None) -> None:
        """Check that the raster of a scene has its size and place, and values or colours as the codec reads them.

        A raster without a georeference lies where the scene does.

        Raises:
            UserError: It has not.
        """
        raster = self.rasters.get((self.paths[scene],))
        if raster.shape[:2] != size[:2]:
            raise UserError(
                f"{image}: it is {size[0]}x{size[1]} and its mask {self.paths[scene]} {raster.shape[0]}x"
                f"{raster.shape[1]} (height x width): export the mask on the grid of the image"
            )
        colored = isinstance(self.codec, ColorCodec)
        wanted, what = ((3, 4), "8-bit RGB colours") if colored else ((1,), "one band of class indices")
        if raster.shape[2] not in wanted or raster.dtype.kind not in "ui" or (3 in wanted and raster.dtype != np.uint8):
            held = f"{raster.shape[2]} band{'' if raster.shape[2] == 1 else 's'} of {raster.dtype}"
            raise UserError(f"{self.paths[scene]}: a mask of {held}: save it as {what}")
        own = None if place is None else placement(self.paths[scene], size)
        shift = 0.0 if place is None or own is None else displacement(place, own, size)
        if shift >= 1:
            raise UserError(
                f"{self.paths[scene]}: it lies {f'up to {shift:.1f} pixels' if shift < FAR else 'far'} away from "
                f"{image}, whose labels it holds: bring it to the grid of the image (gdalwarp -t_srs -te -ts)"
            )

    def read(self, scene: int, rows: slice, columns: slice) -> LabelMap:
        """Mask (h, w) of a window of a scene: class index or ignore index.

        Raises:
            UserError: The file is damaged, or contains a value that is not in the table.
        """
        path = self.paths[scene]
        raw = self.rasters.get((path,)).read(rows, columns)
        if isinstance(self.codec, ColorCodec):
            pixels = np.zeros((*raw.shape[:2], 4), np.uint8)
            pixels[..., :3] = raw[..., :3]
            return self.codec.mapped(pixels, path)
        if isinstance(self.codec, LabelCodec):
            values = raw[..., 0]
            if values.dtype not in (np.uint8, np.uint16) and (values.min() < 0 or values.max() >= 2**16):
                raise UserError(f"{path}: values from {values.min()} to {values.max()}: masks hold 0 to 65535")
            return self.codec.mapped(values, path)
        raise UserError(f"{path}: scenes are labelled by values or colours")


@dataclass(frozen=True)
class VectorLabels:
    """Labels in vector files.

    Args:
        paths: File of each scene.
        images: Image of each scene, whose grid the masks have.
        vectors: Labels of each scene.
        files: Description of the files.
    """

    paths: Sequence[Path]
    images: Sequence[Path]
    vectors: Sequence[Vectors]
    files: VectorFiles

    @property
    def description(self) -> str:
        """Identity of all that determines the labels beside the files."""
        return repr((self.files, self.vectors[0].classes))

    def check(self, scene: int, image: Path, size: tuple[int, ...], place: Placement | None) -> None:
        """Check that labels of a scene can be burned in.

        Raises:
            UserError: The file can't be read, or has no georeference, or the scene has none.
        """
        self.vectors[scene].check(image)

    def read(self, scene: int, rows: slice, columns: slice) -> LabelMap:
        """Mask (h, w) of a window of a scene: class index or ignore index.

        Raises:
            UserError: The file can't be read, or a feature is of no class.
        """
        return self.vectors[scene].read(self.images[scene], rows, columns)
