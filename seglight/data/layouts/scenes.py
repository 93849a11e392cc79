"""Scenes: rasters that are too large to be read whole, and georeferenced ones whose labels are vectors."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.data.class_files import CLASS_FILE, class_file, class_table
from seglight.data.classes import voc_color
from seglight.data.file_patterns import Pattern
from seglight.data.layouts.class_names import class_names
from seglight.data.layouts.layout import WITHOUT_SPLIT, InPlace, Layout
from seglight.data.layouts.mask_folders import is_masks, mask_folders
from seglight.data.layouts.mask_layout import Unread, described
from seglight.data.layouts.mask_scan import MaskValues, Values, counted_values
from seglight.data.layouts.mask_values import class_table as table_of_values
from seglight.data.one_class import BACKGROUND
from seglight.data.pairs import files_below
from seglight.data.scenes.files import SCENE_SUFFIXES, label_file
from seglight.errors import UserError, one_line
from seglight.images.geo import library
from seglight.images.open_rasters import OpenRasters
from seglight.images.read_bands import image_size
from seglight.ops.label_types import IGNORE_INDEX

SCENES = "seglight.data.ScenesDataModule"
"""Data module that reads scenes."""

LARGE = 1 << 26
"""Pixels of an image from which it is read by window."""

LOOKED_AT = 100
"""Number of images whose headers are read."""

VECTORS = (".geojson", ".gpkg", ".shp")
"""Suffixes of vector files, without that of any JSON."""

OF_TOOLS = (".json", ".xml", ".parquet")
"""Suffixes of files in which other tools keep labels."""

OF_CLASSES = ("class", "class_name", "classname", "label", "category", "name", "type", "crop", "landuse", "landcover",
              "class_id", "classid", "code", "id_class", "value")  # fmt: skip
"""Names of attributes that tell the class, in lower case, the most telling first."""

WINDOW = 4096
"""Largest height and width of the windows in which label rasters are read."""


def recognise_scenes(root: Path) -> Layout | None:
    """Recognise scenes with label rasters or vectors; None: the images are small, or there are no labels.

    Args:
        root: Folder of the data set.

    Raises:
        UserError: Labels are missing, can't be read, or the class of a value or feature is not clear.
    """
    if not root.is_dir():
        return None
    files = sorted(path for path in files_below(root) if not path.name.startswith("."))
    rasters = [path for path in files if path.suffix.lower() in SCENE_SUFFIXES]
    if not rasters:
        return None
    vectors = [path for path in files if path.suffix.lower() in VECTORS]
    of_images = [path for path in rasters if not any(is_masks(part) for part in path.relative_to(root).parts[:-1])]
    others = [path for path in files if path.suffix.lower() in OF_TOOLS and not path.name.endswith(".aux.xml")]
    if vectors and not others and len(of_images) == len(rasters):
        return _with_vectors(root, of_images, vectors)
    return _with_rasters(root) if _some_large(of_images) else None


def _some_large(paths: Sequence[Path]) -> bool:
    step = max(1, len(paths) // LOOKED_AT)
    chosen = [*sorted(paths, key=lambda path: -path.stat().st_size)[:1], *paths[::step]]
    return any(_pixels(path) > LARGE for path in chosen)


def _pixels(path: Path) -> int:
    try:
        height, width = image_size(path)
    except UserError:
        return 0
    return height * width


def _own_table(root: Path) -> dict[str, Any] | None:
    return class_table(root / CLASS_FILE) if (root / CLASS_FILE).is_file() else None


def _with_rasters(root: Path) -> Layout | None:
    own = _own_table(root)
    places = {} if own is None else {key: own[key] for key in ("images", "masks") if key in own}
    images: Mapping[str | None, str] = {}
    masks: Mapping[str | None, str] = {}
    remarks: Sequence[str] = ()
    if len(places) == 2:
        images, masks = _by_split(places["images"]), _by_split(places["masks"])
        images = {split: text for split, text in images.items() if split in masks}
    elif (found := mask_folders(root)) is not None:
        images, masks, remarks = found.images, found.masks, found.remarks
    else:
        return None
    pairs = described(root, images, masks)
    files = list(pairs.masks.values())
    missing = next((mask for mask in files if not mask.is_file()), None)
    if missing is not None:
        raise UserError(f"{missing}: the labels of a scene are missing: add them, or remove its image")
    if own is None:
        near = [root, *dict.fromkeys(mask.parent for mask in files)]
        names = class_names(near)
        own, about = table_of_values(_values(files), names, root)
        remarks = [*remarks, *(names.remarks if names else ()), *about]
    splits = {split: list(found.images) for split, found in pairs.pairs.items()}
    return _layout(root / Pattern.parsed(next(iter(images.values()))).folder, own, pairs.places, splits, remarks, {})


def _values(masks: Sequence[Path]) -> Values:
    """Values of label rasters, read by window."""
    rasters = OpenRasters()
    values: Values | None = None
    for path in masks:
        raster = rasters.get((path,))
        colored = raster.shape[2] in (3, 4)
        if raster.dtype.kind not in "ui" or (not colored and raster.shape[2] != 1):
            raise UserError(f"{path}: labels of {raster.shape[2]} bands of {raster.dtype}: save one band of indices")
        counts = Counter[int]()
        runs = 0
        for rows, columns in _windows(raster.shape):
            found = counted_values(colored, _coded(raster.read(rows, columns), colored))
            counts.update(found.counts)
            runs += found.runs
        values = values or Values(colored)
        if values.colored != colored:
            raise UserError(f"{path}: some label rasters are in colour, others have one band: save all in one form")
        values.add(path, MaskValues(colored, counts, runs=runs))
    assert values is not None
    return values


def _coded(raw: NDArray[Any], colored: bool) -> NDArray[Any]:
    if not colored:
        return raw[..., 0]
    wide = raw[..., :3].astype(np.int32)
    return np.asarray(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2])


def _windows(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    for top in range(0, shape[0], WINDOW):
        for left in range(0, shape[1], WINDOW):
            yield slice(top, min(top + WINDOW, shape[0])), slice(left, min(left + WINDOW, shape[1]))


def _with_vectors(root: Path, images: Sequence[Path], vectors: Sequence[Path]) -> Layout:
    """Layout of scenes with one vector file for all of them, or one for each, of the same name."""
    parents = {path.parent for path in images}
    folder = parents.pop()
    if parents:
        raise UserError(
            f"{root}: scenes in {folder.name} and {parents.pop().name}, labelled by vectors: move all of them into one "
            "folder, images"
        )
    place = "." if folder == root else folder.relative_to(root).as_posix()
    if len(vectors) == 1:
        files = vectors[0].relative_to(root).as_posix()
    else:
        homes = {(path.parent, path.suffix) for path in vectors}
        home, suffix = homes.pop()
        if homes:
            raise UserError(f"{root}: vectors in several folders or formats: keep one file, or one for each scene")
        files = str(Pattern(home.relative_to(root).as_posix(), "", suffix))
        for image in images:
            label_file(root, files, (".", image.stem), image, (suffix,))
    own = _own_table(root)
    attribute, names = _attribute(vectors, own)
    if own is None:
        entries = [{"name": name, "color": list(voc_color(index))} for index, name in enumerate([BACKGROUND, *names])]
        own = {"classes": entries}
    said = f"Classes are the values of the attribute {attribute}" if attribute else "All features are of one class"
    remarks = [f"{said}; pixels outside of all features are {own['classes'][0]['name']}."]
    options = {"files": files, **({"attribute": attribute} if attribute else {})}
    return _layout(vectors[0], own, {"images": place}, {WITHOUT_SPLIT: list(images)}, remarks, {"vectors": options})


def _attribute(vectors: Sequence[Path], own: Mapping[str, Any] | None) -> tuple[str | None, list[str]]:
    """Attribute that tells the class, and its values; None: there is none, and the only class is called "object"."""
    library("pyogrio", "masks as vectors")
    from pyogrio.errors import DataLayerError, DataSourceError
    from pyogrio.raw import read

    seen: dict[str, dict[str, None]] = {}
    for path in vectors:
        try:
            meta, _, _, fields = read(path, read_geometry=False)
        except (DataLayerError, DataSourceError) as error:
            raise UserError(f"{path}: not readable as vectors ({one_line(error)}): export it again") from error
        for name, column in zip(meta["fields"], fields, strict=True):
            seen.setdefault(str(name), {}).update(dict.fromkeys(_texts(column)))
    known = None if own is None else {str(entry["name"]) for entry in own["classes"]}
    if known is not None:
        chosen = next((name for name, values in seen.items() if values and {*values} <= known), None)
    else:
        lower = {name.lower(): name for name in seen}
        chosen = next((lower[name] for name in OF_CLASSES if name in lower and _suits(seen[lower[name]])), None)
    if chosen is None:
        return None, ["object"]
    return chosen, sorted(name for name in seen[chosen] if name != BACKGROUND)


def _suits(values: Mapping[str, None]) -> bool:
    """Whether the values of an attribute may be classes: names, and neither empty nor one for each feature."""
    return 0 < len(values) < IGNORE_INDEX and "None" not in values and "" not in values


def _texts(column: NDArray[Any]) -> list[str]:
    return [str(int(value)) if isinstance(value, float) and value.is_integer() else str(value) for value in column]


def _layout(
    evidence: Path,
    own: Mapping[str, Any],
    places: Mapping[str, Any],
    splits: Mapping[str, Sequence[Path]],
    remarks: Sequence[str],
    options: Mapping[str, Any],
) -> Layout:
    table = {**places, **{key: value for key, value in own.items() if key not in places}}
    classes = class_file(table, Path(CLASS_FILE)).classes
    return Layout("scenes", evidence, classes, splits, Unread().read, remarks, InPlace(SCENES, dict(options), table))


def _by_split(place: str | Mapping[str | None, str]) -> Mapping[str | None, str]:
    return {None: place} if isinstance(place, str) else place
