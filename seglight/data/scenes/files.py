"""The files of scenes: images, and the labels that belong to them by name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from seglight.data.file_patterns import Pattern
from seglight.data.pairs import OF_MACOS, existing_folder, files_below
from seglight.errors import UserError
from seglight.images.band_files import image_name
from seglight.images.bands import Bands

SCENE_SUFFIXES = (".tif", ".tiff", ".vrt", ".jp2", ".img")
"""Suffixes of scenes in folders."""

VECTOR_SUFFIXES = (".geojson", ".json", ".gpkg", ".shp")
"""Suffixes of vector files in folders."""

Images = str | Mapping[str, str | Sequence[str]]
"""Folder or pattern of scenes below root, or for each split a folder, a pattern or a list of files."""

Found = Mapping[Path, tuple[str, str]]
"""Images, each with its key: the folder at `**` and the text of `{stem}`."""


def scene_files(root: Path, images: str | Sequence[str], bands: Bands) -> Found:
    """Images of a folder or pattern, by path, or of a list.

    Args:
        root: Folder of the data set.
        images: Folder, pattern or list. Of images that have one file a band, it names the files of the first band.
        bands: What the images hold.

    Raises:
        UserError: A folder or file is missing, there is no image, or a pattern is not valid.
    """
    if not isinstance(images, str):
        return _listed(root, images, bands)
    pattern = Pattern.parsed(images)
    folder = existing_folder(root / pattern.folder, "the scenes")
    files = sorted(files_below(folder) if pattern.deep else folder.iterdir())
    keys = {path: pattern.key(path, root, SCENE_SUFFIXES) for path in files if not path.name.startswith(OF_MACOS)}
    found = {
        path: (key[0], name)
        for path, key in keys.items()
        if key is not None
        and path.suffix.lower() in SCENE_SUFFIXES
        and (name := _name(path, key[1], bands)) is not None
    }
    if not found:
        raise UserError(
            f"{folder}: no scene of the form {pattern} there ({', '.join(SCENE_SUFFIXES)}): set data.root or "
            "data.images"
        )
    return found


def label_file(root: Path, labels: str, key: tuple[str, str], image: Path, suffixes: Sequence[str]) -> Path:
    """The label file of an image.

    Args:
        root: Folder of the data set.
        labels: Folder or pattern of the label files.
        key: Folder at `**` and text of `{stem}` of the image.
        image: The image.
        suffixes: Suffixes of label files.

    Raises:
        UserError: There is none, or there are several.
    """
    pattern = Pattern.parsed(labels)
    found = [path for path in dict.fromkeys(pattern.path(key, root, suffix) for suffix in suffixes) if path.is_file()]
    if not found:
        wanted = pattern.path(key, root, ".*")
        raise UserError(
            f"{image}: its labels {wanted} are missing ({', '.join(suffixes)}): add them, or remove the image"
        )
    if len(found) > 1:
        raise UserError(
            f"{image}: two label files, {found[0]} and {found[1]}: remove one, or set data.masks to a pattern"
        )
    return found[0]


def _name(path: Path, stem: str, bands: Bands) -> str | None:
    """Text of `{stem}` of an image; None for the file of another band than the first."""
    return image_name(path, bands) if bands.files else stem


def _listed(root: Path, names: Sequence[str], bands: Bands) -> Found:
    missing = next((name for name in names if not (root / name).is_file()), None)
    if missing is not None:
        raise UserError(f"{root / missing}: no such file, though data.images names it: correct it, or set data.root")
    if not names:
        raise UserError("data.images: an empty list: name the scenes of each split")
    return {root / name: (".", _name(root / name, Path(name).stem, bands) or Path(name).stem) for name in names}
