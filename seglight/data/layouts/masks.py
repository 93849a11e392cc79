"""Folders of images and masks, in any of the forms of `seglight/data/file_patterns.py`, and names of their classes.

Roboflow's "Semantic Segmentation Masks", Kaggle's folders with `labelmap.csv`, datumaro's with `dataset_meta.json` and
CamVid's with lists are of this kind: what differs is the file that names the classes and the one that names the splits.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from seglight.data.class_files import CLASS_FILE, ClassFile, Folders, parsed, read_classes
from seglight.data.file_patterns import Pattern
from seglight.data.layouts.band_names import BandFiles
from seglight.data.layouts.class_names import ClassNames, class_names
from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.mask_folders import MaskFolders, band_files_of, groups_of, mask_folders, refuse_lossy
from seglight.data.layouts.mask_layout import Described, described, mask_layout
from seglight.data.layouts.mask_scan import scanned
from seglight.data.layouts.mask_values import class_table
from seglight.data.layouts.split_files import Splits, split_files
from seglight.errors import UserError

FORMS = {
    "_classes.csv": "Roboflow semantic segmentation masks",
    "dataset_meta.json": "masks with dataset_meta.json",
    "labelmap.csv": "masks with labelmap.csv",
    "class_dict.csv": "masks with class_dict.csv",
}
"""Name of the form by the file that names the classes."""

SPLITS = ("train", "val", "test")


def recognise_own_folder(root: Path, choices: Choices) -> Layout | None:
    """Recognise a folder with a `classes.yaml` or with the configuration of Mapillary Vistas.

    Raises:
        UserError: The file is not valid, or an image or a mask is missing.
    """
    files = [root / CLASS_FILE, *sorted(root.glob("config*.json"), reverse=True)]
    path = next((path for path in files if path.is_file()), None)
    if path is None or (path.name != CLASS_FILE and not _of_mapillary(path)):
        return None
    table = read_classes(path)
    places = _places(root, table)
    if not places:
        return _with_own_classes(root, path) if table.images is None and table.masks is None else None
    images, masks = ({split: pair[index] for split, pair in places.items()} for index in (0, 1))
    bands = BandFiles(table.bands.names, table.bands.files) if table.bands.files else None
    found = described(root, images, masks, bands)
    if bands is None and not any(mask.is_file() for mask in found.masks.values()):
        bands = band_files_of(groups_of(root))
        found = found if bands is None else described(root, images, masks, bands)
    splits = split_files(root, found.masks) if None in images else None
    form = "images and masks with classes.yaml" if path.name == CLASS_FILE else "Mapillary Vistas"
    return replace(mask_layout(form, path, found, parsed(path), splits, own_file=path), bands=bands)


def _of_mapillary(path: Path) -> bool:
    return '"labels"' in path.read_text(encoding="utf-8", errors="replace")


def _with_own_classes(root: Path, path: Path) -> Layout | None:
    """Folders of other names than `images` and `masks` beside a `classes.yaml` that names only the classes."""
    folders = mask_folders(root)
    if folders is None:
        return None  # shapes in other files, whose classes the file names
    found = described(root, folders.images, folders.masks)
    splits = _splits(root, found, folders)
    layout = mask_layout("images and masks with classes.yaml", path, found, parsed(path), splits, folders.remarks)
    return replace(layout, bands=folders.bands)


def _places(root: Path, table: ClassFile) -> dict[str | None, tuple[str, str]]:
    """Descriptions of images and masks by split, for the splits that exist."""
    images, masks = table.images, table.masks
    if isinstance(images, str) and isinstance(masks, str):
        return {None: (images, masks)}
    found: dict[str | None, tuple[str, str]] = {}
    for split in SPLITS:
        pair = _of_split(images, "images", split), _of_split(masks, "masks", split)
        if pair[0] and pair[1] and (root / Pattern.parsed(pair[0]).folder).is_dir():
            found[split] = pair
    return found


def _of_split(folders: Folders | None, kind: str, split: str) -> str:
    if folders is None:
        return f"{kind}/{split}"
    return folders if isinstance(folders, str) else folders.get(split, "")


def recognise_masks(root: Path, choices: Choices) -> Layout | None:
    """Recognise folders of images and masks by their names.

    Raises:
        UserError: An image or a mask has no partner, masks are ambiguous, or a value in them has no name.
    """
    folders = mask_folders(root)
    if folders is None:
        refuse_lossy(root)
        return None
    found = described(root, folders.images, folders.masks)
    splits = _splits(root, found, folders)
    masks = _labelled(found, splits)
    missing = [mask for mask in masks if not mask.is_file()]
    if missing:
        _check(found)
    names = class_names(_near(root, folders))
    table, remarks = class_table(scanned(masks), names, root)
    place = root / Pattern.parsed(next(iter(folders.masks.values()))).folder
    evidence = names.path if names else place
    form = FORMS.get(evidence.name, "images and masks")
    layout = mask_layout(form, evidence, found, table, splits, [*folders.remarks, *_named(names), *remarks])
    return replace(layout, bands=folders.bands)


def _splits(root: Path, found: Described, folders: MaskFolders) -> Splits | None:
    """Splits by files, which are needed only where the folders have none."""
    by_split = folders.by_split
    images = {split: [path for path in found.masks if by_split.get(path) == split] for split in SPLITS}
    of_folders = Splits(root, {split: files for split, files in images.items() if files}) if by_split else None
    try:
        return split_files(root, found.masks) or of_folders
    except UserError:
        if None in folders.images and not by_split:
            raise
        return of_folders


def _labelled(found: Described, splits: Splits | None) -> list[Path]:
    if splits is None:
        return list(dict.fromkeys(found.masks.values()))
    named = {image for files in splits.images.values() for image in files}
    return [mask for image, mask in found.masks.items() if image in named]


def _check(found: Described) -> None:
    for pairs in found.pairs.values():
        pairs.checked()


def _near(root: Path, folders: MaskFolders) -> Iterable[Path]:
    """Folders where a file may name the classes: the root, those of images and masks, and those above them."""
    near = [root]
    for text in (*folders.masks.values(), *folders.images.values()):
        folder = root / Pattern.parsed(text).folder
        near += [folder, *(above for above in folder.parents if above.is_relative_to(root))]
    return dict.fromkeys(near)


def _named(names: ClassNames | None) -> list[str]:
    return names.remarks if names else []
