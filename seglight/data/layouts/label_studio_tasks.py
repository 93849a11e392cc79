"""Tasks in Label Studio's JSON and JSON-MIN exports: which image, and the regions of which annotation."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from seglight.data.layouts.painting import NO_AREA, Size
from seglight.data.pairs import IMAGE_SUFFIXES
from seglight.errors import UserError

UPLOADED = re.compile(r"[0-9a-f]{8}-(.+)")
"""Name of an uploaded image: Label Studio puts eight hexadecimal digits in front of it."""

NO_SHAPES = "have no pixels"
LATEST = ("updated_at", "created_at")


class Region(NamedTuple):
    """A region of an image.

    Args:
        kind: "brush", "ellipse", "polygon" or "rectangle".
        label: Name of the class; "": none, or several.
        size: Height and width of the image that was labelled.
        data: Runs of a brush; otherwise x, y, ... in per cent of the image.
        degrees: Clockwise rotation of a rectangle or an ellipse.
    """

    kind: str
    label: str
    size: Size
    data: bytes | tuple[float, ...]
    degrees: float = 0.0


@dataclass
class Task:
    """A labelled image.

    Args:
        name: Number of the task.
        images: Names that the image can have.
        labelled: Whether anybody has annotated it.
        regions: Regions in the order in which they are painted.
        by_model: Regions of its latest prediction; None: there is no prediction.
        changed: Time of the latest change.
    """

    name: str
    images: Sequence[str]
    labelled: bool
    regions: Sequence[Region]
    by_model: Sequence[Region] | None = None
    changed: str = ""


@dataclass
class Export:
    """Content of a file.

    Args:
        path: Path of the file.
        tasks: Tasks, one for each image.
        left_out: Number of regions that are left out, by kind and reason.
        several: Number of tasks with several annotations.
    """

    path: Path
    tasks: list[Task] = field(default_factory=list)
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)
    several: int = 0


def read_tasks(path: Path, image_key: str | None) -> Export:
    """Read an export.

    Args:
        path: JSON file.
        image_key: Key of the image in a task; None: not known.

    Raises:
        UserError: It is not of Label Studio's form.
    """
    export = Export(path)
    minimal: dict[str, Task] = {}
    try:
        for item in _items(path):
            if "data" in item:
                export.tasks.append(_task(item, export, image_key))
            elif "annotation_id" in item or "annotator" in item:
                _add_minimal(minimal, _minimal_task(item, export, image_key), export)
            else:
                raise UserError(
                    f"{path}: an entry with the keys {', '.join(sorted(item)[:5])} is not a task: "
                    "export the project as 'JSON', with its tasks"
                )
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise UserError(
            f"{path}: not a JSON export of Label Studio ({type(error).__name__} {error}): export it again"
        ) from error
    export.tasks += minimal.values()
    return export


def _items(path: Path) -> Iterator[Any]:
    """The entries of a list, one at a time: as objects, the numbers of brushes take much more memory than as text."""
    text = path.read_text(encoding="utf-8-sig")
    decoder = json.JSONDecoder()
    space = re.compile(r"[\s,]*")
    place = space.match(text, text.index("[") + 1).end()  # type: ignore[union-attr]
    while place < len(text) and text[place] != "]":
        item, place = decoder.raw_decode(text, place)
        yield item
        place = space.match(text, place).end()  # type: ignore[union-attr]
    if place >= len(text):
        raise ValueError("the list has no end")


def _task(item: Mapping[str, Any], export: Export, image_key: str | None) -> Task:
    given = item.get("annotations", item.get("completions")) or []  # the name before version 1.0
    done = [one for one in given if isinstance(one, dict) and not one.get("was_cancelled")]
    export.several += len(done) > 1
    predicted = [one for one in item.get("predictions") or [] if isinstance(one, dict)]
    regions = _regions([_flat(result) for result in _chosen(done)["result"]], export) if done else []
    by_model = None
    if predicted and not done:
        by_model = _regions([_flat(result) for result in _chosen(predicted)["result"]], export)
    return Task(
        str(item.get("id", "?")),
        _image_names(item, item["data"], image_key, export.path),
        bool(done),
        regions,
        by_model,
    )


def _chosen(annotations: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The ground truth, or else the annotation that was changed last."""

    def rank(numbered: tuple[int, Mapping[str, Any]]) -> tuple[bool, str, int]:
        index, annotation = numbered
        return bool(annotation.get("ground_truth")), _changed(annotation), index

    return max(enumerate(annotations), key=rank)[1]


def _changed(item: Mapping[str, Any]) -> str:
    """Time of the latest change, as text that can be compared."""
    return str(next((item[key] for key in LATEST if item.get(key)), ""))


def _flat(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result as in JSON-MIN: the value with the size of the image."""
    keys = ("id", "image_rotation", "original_height", "original_width")
    return {**result.get("value", {}), **{key: result[key] for key in keys if key in result}, "type": result["type"]}


def _minimal_task(item: Mapping[str, Any], export: Export, image_key: str | None) -> Task:
    values = [value for key in item if isinstance(item[key], list) for value in item[key] if isinstance(value, dict)]
    regions = _regions(values, export)
    names = _image_names(item, item, image_key, export.path)
    return Task(str(item.get("id", "?")), names, True, regions, changed=_changed(item))


def _add_minimal(tasks: dict[str, Task], task: Task, export: Export) -> None:
    """JSON-MIN has an entry for each annotation of a task."""
    other = tasks.get(task.name)
    if other is None:
        tasks[task.name] = task
        return
    export.several += 1
    if task.changed >= other.changed:
        tasks[task.name] = task


def _image_names(item: Mapping[str, Any], data: Mapping[str, Any], image_key: str | None, path: Path) -> list[str]:
    """Names that the image of a task can have, the most likely first."""
    texts = [value for value in data.values() if isinstance(value, str)]
    urls = [data[image_key]] if image_key is not None and isinstance(data.get(image_key), str) else []
    urls = (
        urls
        or [text for text in texts if _name(text).lower().endswith(IMAGE_SUFFIXES)]
        or [str(data[key]) for key in ("image", "img") if key in data]
    )
    names = [_name(url) for url in urls[:1]]
    if item.get("file_upload"):
        names.append(str(item["file_upload"]))
    for name in tuple(names):
        uploaded = UPLOADED.fullmatch(name.rsplit("/", 1)[-1])
        if uploaded:
            names.append(uploaded[1])
    if not names:
        raise UserError(f"{path}: the task {item.get('id')} names no image: export a project of images")
    return names


def _name(url: str) -> str:
    """Path of an image from its address: an upload, a file of a local storage (`?d=path`), or a web address."""
    if "://" not in url and not url.startswith("/"):
        return url
    parts = urlsplit(url)
    local = parse_qs(parts.query).get("d")
    return local[0] if local else unquote(parts.path)


def _regions(values: Sequence[Mapping[str, Any]], export: Export) -> list[Region]:
    regions = [(value.get("id"), region) for value in values if (region := _region(value, export)) is not None]
    labelled = {key for key, region in regions if region.label and key is not None}
    geometry = {region.data for _, region in regions if region.label}
    # a control with separate labels writes a region twice, once without its label
    return [region for key, region in regions if region.label or (key not in labelled and region.data not in geometry)]


def _region(value: Mapping[str, Any], export: Export) -> Region | None:
    """A region of a result; None: it has no area."""
    kind = _kind(value)
    if kind not in ("brush", "ellipse", "polygon", "rectangle"):
        export.left_out[kind, NO_SHAPES if "original_width" not in value else NO_AREA] += 1
        return None
    if value.get("image_rotation"):
        raise UserError(
            f"{export.path}: a region was drawn on an image that was rotated by {value['image_rotation']} degrees in "
            "Label Studio: rotate the image itself, and label it again"
        )
    labels: Sequence[Any] = next((value[key] for key in value if key.endswith("labels") and value[key]), [])
    label = str(labels[0]) if len(labels) == 1 else ""
    size = (int(value["original_height"]), int(value["original_width"]))
    if kind == "polygon":
        points = tuple(float(number) for point in value["points"] for number in point)
        if len(points) < 6:
            export.left_out["polygons of fewer than three points", NO_AREA] += 1
            return None
        return Region(kind, label, size, points)
    if kind == "brush":
        return Region(kind, label, size, bytes(value["rle"]))
    last = ("radiusX", "radiusY") if kind == "ellipse" else ("width", "height")
    numbers = tuple(float(value[key]) for key in ("x", "y", *last))
    return Region(kind, label, size, numbers, float(value.get("rotation") or 0))


def _kind(value: Mapping[str, Any]) -> str:
    if "rle" in value:
        return "brush"
    if "radiusX" in value:
        return "ellipse"
    if "points" in value:
        return "polygon" if value.get("closed", True) else "polylines"
    if "height" in value and "width" in value and "x" in value:
        return "rectangle"
    if "x" in value and "y" in value:
        return "key points"
    if "vertices" in value:
        return "vectors"
    return str(value.get("type", "answers without a region"))
