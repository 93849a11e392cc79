"""Label Studio's labelling configuration, `label_config.xml`: the labels of a project, and their colours."""

from pathlib import Path
from typing import NamedTuple

from PIL import ImageColor

from seglight.data.layouts.safe_xml import read_xml
from seglight.images.types import Color

CONTROLS = ("BrushLabels", "EllipseLabels", "Labels", "PolygonLabels", "RectangleLabels")
"""Tags whose labels have an area."""

FIRST_FILES = 20


class Config(NamedTuple):
    """A labelling configuration.

    Args:
        path: Path of the file.
        labels: Colours by label, in the order of the file.
        names: Names of the controls, such as "tag", which are part of the names of files.
        image: Key of the image in a task; None: not stated.
    """

    path: Path
    labels: dict[str, Color | None]
    names: tuple[str, ...]
    image: str | None


def find_config(root: Path) -> Config | None:
    """Read the configuration of a folder; None: there is none.

    Args:
        root: Folder of the data set.

    Raises:
        UserError: The file is damaged.
    """
    for path in sorted(root.glob("*.xml"))[:FIRST_FILES]:
        with path.open("rb") as file:
            if b"<View" in file.read(4096):
                return _read(path)
    return None


def _read(path: Path) -> Config:
    labels: dict[str, Color | None] = {}
    names: list[str] = []
    image = None
    for element in read_xml(path).iter():
        if element.tag == "Image" and image is None:
            image = element.get("value", "").removeprefix("$") or None
        if element.tag not in CONTROLS:
            continue
        names.append(element.get("name", ""))
        for label in element.iter("Label"):
            name = label.get("alias") or label.get("value") or ""
            if name and not name.startswith("$"):
                labels.setdefault(name, _color(label.get("background")))
    return Config(path, labels, tuple(names), image)


def _color(text: str | None) -> Color | None:
    """A colour as in HTML: "red", "#f00", "rgba(255, 0, 0, 0.5)"."""
    try:
        r, g, b = ImageColor.getrgb((text or "").strip())[:3]
    except ValueError:
        return None
    return (r, g, b)
