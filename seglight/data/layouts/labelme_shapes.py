"""Shapes of LabelMe (github.com/wkentaro/labelme), painted as LabelMe's own export paints them.

Shapes are painted in the order of the file, later ones over earlier ones, edges included. A line is 10 pixels wide, a
point is a disc of radius 5. A shape named `__ignore__` is ignored; `_background_` is class 0.
"""

import base64
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from seglight.data.layouts.painting import is_background
from seglight.errors import UserError
from seglight.images.read_bands import image_size
from seglight.images.types import LabelMap
from seglight.ops.label_types import ignore_index_of, label_type
from seglight.system.nested import parse_json

IGNORE_LABEL = "__ignore__"
LINE_WIDTH = 10
POINT_RADIUS = 5

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class ShapeCodec:
    """Paints the shapes of a LabelMe file.

    Args:
        names: Names of the classes, by index; the first one is the class of pixels without a shape.
    """

    names: tuple[str, ...]

    def read(self, path: Path, image: Path | None = None) -> LabelMap:
        """Paint the mask (H, W) of a file: class index, or the largest value of the type: ignored.

        Args:
            path: Path of the file.
            image: Its image, for files without a size; None: the image of `imagePath`, or of its name beside it.

        Raises:
            UserError: The file is not a LabelMe file, or has a shape of unknown label or kind.
        """
        try:
            table = parse_json(path.read_text(encoding="utf-8-sig"))
            canvas = Image.new("L" if label_type(len(self.names)) == np.uint8 else "I", _size(table, path, image))
            for shape in table["shapes"]:
                self._paint(canvas, shape, path)
        except (AttributeError, KeyError, MemoryError, OSError, OverflowError, TypeError, ValueError) as error:
            raise UserError(
                f"{path}: not a file of LabelMe ({type(error).__name__} {error}): save it there again"
            ) from error
        labels: LabelMap = np.asarray(canvas).astype(label_type(len(self.names)), copy=False)
        return labels

    def _paint(self, canvas: Image.Image, shape: Mapping[str, Any], path: Path) -> None:
        value = self.index_of(str(shape["label"]))
        if value is None:
            raise UserError(
                f"{path}: the label {str(shape['label'])!r} is not a class ({', '.join(self.names)}): "
                f"correct it, add it to the classes, or name it {IGNORE_LABEL}"
            )
        fault = fault_of(shape)
        if fault is not None:
            raise UserError(f"{path}: {fault}: {REMEDY}")
        points = [(float(x), float(y)) for x, y in shape["points"]]
        if kind_of(shape) == "mask":
            _mask(canvas, points, mask_of(shape), value)
        else:
            PAINTERS[kind_of(shape)](ImageDraw.Draw(canvas), points, value)

    def index_of(self, label: str) -> int | None:
        """Value of a label; None: it is not a class."""
        if label == IGNORE_LABEL:
            return ignore_index_of(len(self.names))
        if label in self.names:
            return self.names.index(label)
        return 0 if is_background(label) and is_background(self.names[0]) else None


REMEDY = "draw it as polygon, rectangle, circle, line or mask, or remove it"


def fault_of(shape: Mapping[str, Any]) -> str | None:
    """What prevents a shape from being painted; None: nothing."""
    kind = kind_of(shape)
    number = len(shape["points"])
    least, most = NUMBERS.get(kind, (1, 0))
    if not least <= number <= most:
        return f"a shape {str(shape['label'])!r} of kind {kind!r} and {number} points covers no known area"
    if kind != "mask":
        return None
    if not isinstance(shape.get("mask"), str):
        return f"the mask {str(shape['label'])!r} has no pixels"
    (x0, y0), (x1, y1) = shape["points"]
    pixels = mask_of(shape)
    if pixels.shape != (int(y1) - int(y0) + 1, int(x1) - int(x0) + 1):
        shown = "x".join(map(str, pixels.shape[::-1]))
        return f"the mask {str(shape['label'])!r} of {shown} pixels has another size than its corners"
    return None


def kind_of(shape: Mapping[str, Any]) -> str:
    """Kind of a shape; the first LabelMe had only polygons."""
    return shape.get("shape_type") or "polygon"


def mask_of(shape: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Pixels of a shape of kind mask: bool (H, W)."""
    with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as image:
        return np.asarray(image).astype(bool)


def embedded_image(table: Mapping[str, Any]) -> bytes | None:
    """File of the image that is embedded in a LabelMe file; None: there is none."""
    data = table.get("imageData")
    return base64.b64decode(data) if isinstance(data, str) and data else None


def named_image(table: Mapping[str, Any], path: Path) -> Path | None:
    """Image that a file names by a path relative to its own folder; None: it names none."""
    name = table.get("imagePath")
    if not isinstance(name, str) or not name or "\0" in name:
        return None
    return path.parent / name.replace("\\", "/")


def _size(table: Mapping[str, Any], path: Path, image: Path | None) -> tuple[int, int]:
    """Width and height; the first LabelMe did not store them."""
    if table.get("imageWidth") is not None and table.get("imageHeight") is not None:
        return int(table["imageWidth"]), int(table["imageHeight"])
    data = embedded_image(table)
    if data is not None:
        with Image.open(io.BytesIO(data)) as opened:
            return opened.size
    named = named_image(table, path)
    beside = [path.with_suffix(suffix) for suffix in (named.suffix if named else "", ".jpg", ".png") if suffix]
    for candidate in (image, named, *beside):
        if candidate is not None and candidate.is_file():
            height, width = image_size(candidate)
            return width, height
    raise ValueError("no imageWidth, no imageHeight, and its image was not found")


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


def _line(draw: ImageDraw.ImageDraw, points: Points, value: int) -> None:
    draw.line(points, fill=value, width=LINE_WIDTH)


def _point(draw: ImageDraw.ImageDraw, points: Points, value: int) -> None:
    ((x, y),) = points
    box = (x - POINT_RADIUS, y - POINT_RADIUS, x + POINT_RADIUS, y + POINT_RADIUS)
    draw.ellipse(box, fill=value, outline=value)


def _mask(canvas: Image.Image, points: Points, pixels: NDArray[np.bool_], value: int) -> None:
    """Paint pixels by the corner at their upper left, cut off at the edges of the image."""
    left, top = (int(coordinate) for coordinate in points[0])
    canvas.paste(value, (left, top), Image.fromarray(pixels))


PAINTERS: dict[str, Callable[[ImageDraw.ImageDraw, Points, int], None]] = {
    "polygon": _polygon,
    "oriented_rectangle": _polygon,
    "rectangle": _rectangle,
    "circle": _circle,
    "line": _line,
    "linestrip": _line,
    "point": _point,
}

MANY = 10**9
NUMBERS: Mapping[str, tuple[int, int]] = {
    "polygon": (3, MANY), "oriented_rectangle": (4, 4), "rectangle": (2, 2), "circle": (2, 2), "line": (2, 2),
    "linestrip": (2, MANY), "point": (1, 1), "mask": (2, 2),
}  # fmt: skip
"""Least and largest number of points of each kind of shape."""
