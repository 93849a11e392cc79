"""Supervisely's project format (developer.supervisely.com, "Supervisely Annotation Format").

    root/meta.json  root/<data set>/img/*.jpg  root/<data set>/ann/<name>.jpg.json

Objects are painted in the order of the file. Polygons are painted with their edges by Pillow; Supervisely's own images
are made by OpenCV, which differs by single pixels along slanted edges. Data sets whose names are those of splits are
splits; otherwise, tags of images such as `train` and `val` are.
"""

import base64
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from seglight.data.layouts import finding
from seglight.data.layouts.image_index import ImageIndex, match_images, none_found
from seglight.data.layouts.json_file import read_json
from seglight.data.layouts.layout import Boxes, Choices, Layout
from seglight.data.layouts.painting import (
    IGNORED,
    NO_AREA,
    Patch,
    Size,
    background_remarks,
    class_table,
    color_of,
    left_out_remarks,
    paint,
)
from seglight.data.layouts.split_names import by_split, split_of
from seglight.errors import UserError, one_line
from seglight.images.types import Color, LabelMap

META = "meta.json"

DEPTH = 6
"""Levels of folders in which data sets are looked for; those inside another one are two levels below it."""

AREAS = ("bitmap", "polygon", "rectangle")
NO_AREAS = {"graph": "key points", "line": "lines", "point": "points", "cuboid": "cuboids", "cuboid_2d": "cuboids"}

MOST_BYTES = 1 << 28
"""Largest size of a bitmap's PNG: a longer one can only be an attack."""


@dataclass(frozen=True)
class SuperviselyLabels:
    """Paints the label maps of images.

    Args:
        annotations: JSON file of each image.
        index_of: Class index by the title of a class.
        titles: Titles by the number of a class.
        boxes: Treatment of rectangles.
    """

    annotations: Mapping[Path, Path]
    index_of: Mapping[str, int]
    titles: Mapping[int, str]
    boxes: Boxes

    def __call__(self, image: Path) -> LabelMap:
        """Paint the label map (H, W) of an image.

        Raises:
            UserError: The annotation or one of its objects is not valid.
        """
        path = self.annotations[image]
        table = read_json(path)
        try:
            size = (int(table["size"]["height"]), int(table["size"]["width"]))
            return paint(size, self._patches(table["objects"], size), 1 + max(self.index_of.values()))
        except (
            AttributeError, IndexError, KeyError, MemoryError, OSError, OverflowError, SyntaxError, TypeError,
            ValueError, zlib.error, Image.DecompressionBombError,
        ) as error:  # fmt: skip
            raise UserError(
                f"{path}: an object can't be painted ({type(error).__name__} {one_line(error)}): "
                "correct it, or export it again"
            ) from error

    def _patches(self, objects: Sequence[Mapping[str, Any]], size: Size) -> Iterator[Patch]:
        painted = [entry for entry in objects if kind_of(entry) in AREAS and not _is_line(entry)]
        behind = [entry for entry in painted if kind_of(entry) == "rectangle" and self.boxes == "ignore"]
        for entry in behind:
            yield Patch(IGNORED, _rectangle(entry["points"]["exterior"], size))
        for entry in painted:
            kind = kind_of(entry)
            value = self.index_of[title_of(entry, self.titles)]
            if kind == "bitmap":
                left, top = (int(number) for number in entry["bitmap"]["origin"])
                yield Patch(value, _bitmap(entry["bitmap"]["data"]), left, top)
            elif kind == "polygon":
                yield Patch(value, _polygon(entry["points"], size))
            elif self.boxes == "fill":
                yield Patch(value, _rectangle(entry["points"]["exterior"], size))


def recognise_supervisely(root: Path, choices: Choices) -> Layout | None:
    """Recognise a project of Supervisely.

    Args:
        root: Folder of the data set.
        choices: What the layout may leave open.

    Raises:
        UserError: It is damaged, or an image or a class is not defined.
    """
    meta = next((path for path in (root / META, *sorted(root.glob(f"*/{META}"))[:1]) if path.is_file()), None)
    folders = [folder.parent for folder in finding.folders_below(root, DEPTH) if folder.name == "ann"] if meta else []
    if meta is None or not folders:
        return None
    labels, titles = _meta(meta)
    classes, index_of = class_table(labels, meta)
    survey = Survey(index_of, titles)
    index = ImageIndex(root)
    annotations: dict[Path, Path] = {}
    pairs: list[tuple[str | None, Path]] = []
    missing = 0
    for folder in folders:
        files = finding.files_of(folder / "ann", [".json"])
        names = {path.name.removesuffix(".json"): path for path in files}
        found = _images(index, folder, names)
        missing += len(names) - len(found)
        for name, image in found.items():
            if image in annotations:
                raise UserError(f"{names[name]}: its image {image} has {annotations[image]}, too: remove one of them")
            annotations[image] = names[name]
            tagged = survey.look(names[name])
            pairs.append((finding.split_of(folder, root) if folder != root else None, image))
            if pairs[-1][0] is None:
                pairs[-1] = (tagged, image)
    if not annotations:
        raise none_found(meta, missing, "", root)
    splits, remarks = by_split(pairs)
    bare = sum(image not in annotations for folder in folders for image in index.by_folder.get(folder / "img", ()))
    remarks += [f"Annotations whose image was not found, and which are left out: {missing}."] if missing else []
    remarks += [f"Images without an annotation, which are left out: {bare}."] if bare else []
    remarks += background_remarks(index_of)
    remarks += survey.remarks(choices.boxes)
    reader = SuperviselyLabels(annotations, index_of, titles, choices.boxes)
    return Layout("Supervisely project", meta, classes, splits, reader, remarks)


class Survey:
    """Looks at the objects of all annotations.

    Args:
        index_of: Class index by the title of a class.
        titles: Titles by the number of a class.
    """

    def __init__(self, index_of: Mapping[str, int], titles: Mapping[int, str]) -> None:
        self.index_of = index_of
        self.titles = titles
        self.left_out: Counter[tuple[str, str]] = Counter()
        self.rectangles = 0
        self.without_objects = 0

    def look(self, path: Path) -> str | None:
        """Look at the objects of a file; returns the split that a tag of the image states.

        Raises:
            UserError: An object is of an unknown class or kind.
        """
        table = read_json(path)
        try:
            painted = [self._has_area(entry, path) for entry in table["objects"]]
            tags = [split for tag in table.get("tags", ()) if (split := split_of(str(tag.get("name", ""))))]
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: not an annotation of Supervisely ({type(error).__name__} {error}): export it again"
            ) from error
        self.without_objects += not any(painted)
        return tags[0] if tags else None

    def _has_area(self, entry: Mapping[str, Any], path: Path) -> bool:
        kind = kind_of(entry)
        if kind in NO_AREAS:
            self.left_out[NO_AREAS[kind], NO_AREA] += 1
            return False
        if kind not in AREAS:
            raise UserError(
                f"{path}: an object of the unknown kind {kind!r}: {', '.join(AREAS)} are read; "
                "convert it to a bitmap in Supervisely, or remove it"
            )
        if _is_line(entry):
            self.left_out["polygons of fewer than three points", NO_AREA] += 1
            return False
        title = title_of(entry, self.titles)
        if title not in self.index_of:
            raise UserError(
                f"{path}: an object is of the class {title!r}, which is not in {META} ({', '.join(self.index_of)}): "
                "add it there, or correct it"
            )
        self.rectangles += kind == "rectangle"
        return True

    def remarks(self, boxes: Boxes) -> list[str]:
        """What was found, one sentence each.

        Args:
            boxes: Treatment of rectangles.
        """
        remarks = left_out_remarks(self.left_out)
        if self.rectangles:
            how = "their pixels are ignored, except those of other objects" if boxes == "ignore" else "they are filled"
            remarks.append(f"Rectangles without an outline: {self.rectangles}; {how}.")
        if self.without_objects:
            remarks.append(f"Images without an object, which are background: {self.without_objects}.")
        return remarks


def _meta(path: Path) -> tuple[dict[str, Color | None], dict[int, str]]:
    table = read_json(path)
    try:
        labels = {
            str(entry["title"]): color_of(entry.get("color"))
            for entry in table["classes"]
            if entry.get("shape") not in NO_AREAS
        }
        titles = {int(entry["id"]): str(entry["title"]) for entry in table["classes"] if entry.get("id") is not None}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: it does not list classes as Supervisely does ({type(error).__name__} {error}): export it again"
        ) from error
    return labels, titles


def _images(index: ImageIndex, folder: Path, names: Mapping[str, Path]) -> dict[str, Path]:
    """The image of each annotation of a data set, in its own folder if it has one."""
    inside = set(index.by_folder.get(folder / "img", ()))
    if not inside:
        return match_images(index, names, folder, folder / "ann")
    by_stem: dict[str, list[Path]] = {}
    for image in sorted(inside):
        by_stem.setdefault(image.stem, []).append(image)
    found: dict[str, Path] = {}
    name_of: dict[Path, str] = {}
    for name, path in names.items():
        image = folder / "img" / name
        candidates = [image] if image in inside else by_stem.get(name, [])
        if len(candidates) > 1:
            raise UserError(f"{path}: its image can be {candidates[0]} or {candidates[1]}: rename one of the two")
        if candidates:
            found[name] = candidates[0]
            if name_of.setdefault(candidates[0], name) != name:
                other = names[name_of[candidates[0]]]
                raise UserError(f"{path}: its image {candidates[0]} has {other}, too: remove one of them")
    return found


def kind_of(entry: Mapping[str, Any]) -> str:
    """Kind of an object's geometry; old files do not state it.

    Args:
        entry: An object.
    """
    stated = entry.get("geometryType") or entry.get("shape")
    return str(stated or ("bitmap" if entry.get("bitmap") else "polygon"))


def title_of(entry: Mapping[str, Any], titles: Mapping[int, str]) -> str:
    """Title of an object's class.

    Args:
        entry: An object.
        titles: Titles by the number of a class.
    """
    return str(entry.get("classTitle") or titles.get(entry.get("classId", -1), entry.get("classId")))


def _is_line(entry: Mapping[str, Any]) -> bool:
    return kind_of(entry) == "polygon" and len(entry["points"]["exterior"]) < 3


def _bitmap(text: str) -> NDArray[np.bool_]:
    """Pixels of a bitmap: those of a PNG whose alpha, or whose grey value without an alpha, is not 0."""
    data = base64.b64decode(text)
    if not data.startswith(b"\x89PNG"):
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(data, MOST_BYTES)
        if unpacker.unconsumed_tail:
            raise ValueError(f"a bitmap of more than {MOST_BYTES} bytes")
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if image.mode in ("1", "L") and "transparency" not in image.info:
            pixels: NDArray[np.bool_] = np.asarray(image) > 0
            return pixels
        if image.mode in ("RGB", "P") and "transparency" not in image.info:
            raise ValueError(f"a bitmap in colour (mode {image.mode}) without transparency")
        return np.asarray(image.convert("RGBA"))[..., 3] > 0


def _polygon(points: Mapping[str, Any], size: Size) -> NDArray[np.bool_]:
    """Pixels of a polygon and its edges, without those of its holes and their edges."""
    canvas = Image.new("1", size[::-1])
    draw = ImageDraw.Draw(canvas)
    for value, rings in ((1, [points["exterior"]]), (0, points.get("interior") or ())):
        for ring in rings:
            draw.polygon([(float(x), float(y)) for x, y in ring], fill=value, outline=value)
    return np.asarray(canvas)


def _rectangle(corners: Sequence[Sequence[float]], size: Size) -> NDArray[np.bool_]:
    """Pixels of a rectangle, which includes both of its corners."""
    (x, y), (other_x, other_y) = corners
    pixels = np.zeros(size, bool)
    left, top = max(0, round(min(x, other_x))), max(0, round(min(y, other_y)))
    pixels[top : max(0, round(max(y, other_y)) + 1), left : max(0, round(max(x, other_x)) + 1)] = True
    return pixels
