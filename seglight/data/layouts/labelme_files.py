"""Files of LabelMe in a folder, and the images that they belong to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seglight.data.layouts.finding import head
from seglight.data.layouts.image_index import ImageIndex
from seglight.data.layouts.labelme_shapes import embedded_image, named_image
from seglight.data.pairs import files_below
from seglight.errors import UserError, one_line
from seglight.system.nested import parse_json

KEYS = re.compile(r'"(shapes|imagePath|imageData)"\s*:')
"""Keys of LabelMe in the beginning of a file; the first LabelMe wrote them in any order."""

ENOUGH = 1 << 12
"""Bytes of the beginning that contain one of them; images that are embedded make files large."""

FOREIGN = re.compile(r'"(annotations|images|objects|categories)"\s*:')
"""Keys that LabelMe does not write."""


@dataclass(frozen=True)
class LabelMeFiles:
    """Files and their images.

    Args:
        images: Image of each file.
        embedded: Files whose image is only in the file itself.
        doubles: Files whose image has a file of its own name.
        missing: Files without an image.
    """

    images: Mapping[Path, Path]
    embedded: Sequence[Path]
    doubles: Sequence[Path]
    missing: Sequence[Path]


def is_labelme(path: Path) -> bool:
    """Whether a JSON file begins like a file of LabelMe."""
    text = head(path, ENOUGH)
    return text.startswith("{") and KEYS.search(text) is not None and FOREIGN.search(text) is None


def labelme_files(folder: Path) -> list[Path]:
    """Files of LabelMe in a folder, at any depth, by path."""
    names = (path for path in files_below(folder) if path.suffix.lower() == ".json" and not path.name.startswith("."))
    return [path for path in sorted(names) if is_labelme(path)]


def read_labelme(path: Path) -> dict[str, Any]:
    """Parse a file.

    Raises:
        UserError: It is not a file of LabelMe.
    """
    try:
        table = parse_json(path.read_text(encoding="utf-8-sig"))
        if isinstance(table["shapes"], list):
            return dict(table)
        reason = "its `shapes` are no list"
    except (KeyError, OSError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__} {one_line(error)}"
    raise UserError(f"{path}: not a file of LabelMe ({reason}): save it there again")


def with_images(files: Sequence[Path], index: ImageIndex) -> LabelMeFiles:
    """Find the image of each file: that of its name beside it, or that of its `imagePath`, or of its name elsewhere.

    Args:
        files: Files of LabelMe.
        index: Images of the data set.

    Raises:
        UserError: A file is damaged, or its image is ambiguous.
    """
    images = {path: image for path in files if (image := _beside(path, index)) is not None}
    taken = set(images.values())
    embedded, doubles, missing = [], [], []
    for path in files:
        if path in images:
            continue
        table = read_labelme(path)
        image = _elsewhere(path, table, index)
        if image is not None and image not in taken:
            images[path] = image
            taken.add(image)
        elif embedded_image(table) is not None:
            embedded.append(path)
        elif image is not None:
            doubles.append(path)
        else:
            missing.append(path)
    return LabelMeFiles({path: images[path] for path in files if path in images}, embedded, doubles, missing)


def _beside(path: Path, index: ImageIndex) -> Path | None:
    found = [image for image in index.by_stem.get(path.stem, ()) if image.parent == path.parent]
    return found[0] if len(found) == 1 else None


def _elsewhere(path: Path, table: Mapping[str, Any], index: ImageIndex) -> Path | None:
    named = named_image(table, path)
    if named is not None:
        literal = named.resolve()
        for image in index.by_name.get(named.name, ()):
            if image.resolve() == literal:
                return image
        found = index.find(str(table["imagePath"]), path.parent)
        if found is not None:
            return found
    return index.find(path.stem, path.parent)
