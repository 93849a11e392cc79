"""Shapes drawn in LabelMe (github.com/wkentaro/labelme): a JSON file beside each image.

    root/classes.yaml  root/{train,val,test}/*.jpg  root/{train,val,test}/*.json

`classes.yaml` names the classes and their colours (`seglight/data/class_files.py`); the first one is the class of
pixels without a shape. Shapes are painted in the order of the file, later ones over earlier ones, edges included, like
LabelMe's own export. Polygons, rectangles and circles are supported; a shape named `__ignore__` is ignored.

LabelMe shows an image with its EXIF orientation applied, and it is read like this; if the sizes in a file are those of
the image as stored, it is refused.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from seglight.data.class_files import CLASS_FILE, read_classes
from seglight.data.classes import IGNORE_INDEX
from seglight.data.datamodule import FileDataModule
from seglight.data.pairs import FilePairs, image_files, surplus_masks
from seglight.errors import UserError

IGNORE_LABEL = "__ignore__"
Points = Sequence[tuple[float, float]]


class LabelMeDataModule(FileDataModule):
    """Images with LabelMe's shapes.

    Args:
        root: Folder with a folder of images and JSON files for each split.
        classes: File that names the classes, or None: `classes.yaml` in root.
        **kwargs: Arguments of FileDataModule.

    Raises:
        UserError: The file that names the classes is missing or not valid.
    """

    def __init__(self, root: str, classes: str | None = None, **kwargs: Any) -> None:
        self.class_file = Path(classes) if classes is not None else Path(root) / CLASS_FILE
        self.classes = read_classes(self.class_file).classes
        super().__init__(root, **kwargs)

    def listing(self, name: str) -> FilePairs:
        """The pairs of "train", "val" or "test"."""
        images = image_files(self.root / name, f"the {name} images and their JSON files")
        shapes = [image.with_suffix(".json") for image in images]
        codec = ShapeCodec(self.classes.names)
        return FilePairs(images, shapes, codec, surplus_masks(self.root / name, shapes, "*.json"))


@dataclass(frozen=True)
class ShapeCodec:
    """Paints the shapes of a LabelMe file.

    Args:
        names: Names of the classes, by index; the first one is the class of pixels without a shape.
    """

    names: tuple[str, ...]

    def read(self, path: Path) -> NDArray[np.uint8]:
        """Paint the mask of a file: uint8 (H, W), class index or IGNORE_INDEX.

        Raises:
            UserError: The file is not a LabelMe file, or has a shape of unknown label or kind.
        """
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            canvas = Image.new("L", (int(table["imageWidth"]), int(table["imageHeight"])))
            for shape in table["shapes"]:
                self._paint(ImageDraw.Draw(canvas), shape, path)
        except (AttributeError, KeyError, MemoryError, OSError, OverflowError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: not a file of LabelMe ({type(error).__name__} {error}): save it there again"
            ) from error
        return np.asarray(canvas)

    def _paint(self, draw: ImageDraw.ImageDraw, shape: Mapping[str, Any], path: Path) -> None:
        label = str(shape["label"])
        kind = shape.get("shape_type") or "polygon"  # the first LabelMe had only polygons
        points = [(float(x), float(y)) for x, y in shape["points"]]
        if label != IGNORE_LABEL and label not in self.names:
            raise UserError(
                f"{path}: the label {label!r} is not a class ({', '.join(self.names)}): "
                f"correct it, add it to the classes, or name it {IGNORE_LABEL}"
            )
        enough = len(points) > 2 if kind == "polygon" else len(points) == 2
        if kind not in PAINTERS or not enough:
            raise UserError(
                f"{path}: a shape {label!r} of kind {kind!r} and {len(points)} points covers no known area: "
                "draw it as polygon, rectangle or circle, or remove it"
            )
        PAINTERS[kind](draw, points, IGNORE_INDEX if label == IGNORE_LABEL else self.names.index(label))


def _polygon(draw: ImageDraw.ImageDraw, points: Points, value: int) -> None:
    draw.polygon(points, fill=value, outline=value)


def _rectangle(draw: ImageDraw.ImageDraw, points: Points, value: int) -> None:
    """Paint a rectangle by any two opposite corners."""
    (x0, y0), (x1, y1) = points
    draw.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=value, outline=value)


def _circle(draw: ImageDraw.ImageDraw, points: Points, value: int) -> None:
    """Paint a circle by its centre and a point on it."""
    (x, y), on = points
    radius = math.dist((x, y), on)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=value, outline=value)


PAINTERS: dict[str, Callable[[ImageDraw.ImageDraw, Points, int], None]] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
}
