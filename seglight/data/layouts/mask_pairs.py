"""Images and masks whose pairs no description of names tells, so that they have to be converted.

- a table, `pairs.csv`, with columns for the image and its mask, and perhaps the split: `a.jpg,label_77.png,train`
- folders of images by split beside one folder of all masks: `images/train`, `images/val`, `masks`
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from seglight.data.file_patterns import MASK_SUFFIXES
from seglight.data.image_lists import selected
from seglight.data.layouts.class_names import class_names
from seglight.data.layouts.layout import WITHOUT_SPLIT, Choices, Layout
from seglight.data.layouts.mask_folders import Group, groups_of, mask_folders
from seglight.data.layouts.mask_layout import Described, Unread, described, mask_layout
from seglight.data.layouts.mask_names import affixes
from seglight.data.layouts.mask_values import class_table, scanned
from seglight.data.layouts.split_files import Table, read_table
from seglight.data.pairs import IMAGE_SUFFIXES, FilePairs, files_below

FORM = "table of images and masks"


def recognise_pairs(root: Path, choices: Choices) -> Layout | None:
    """Recognise a table of pairs, unless the names of the files tell the same pairs, or a folder of all masks.

    Raises:
        UserError: A line of the table names no file or several, or an image or a mask is missing.
    """
    tables = [table for path in sorted(root.glob("*.csv")) if (table := read_table(path)) is not None]
    table = next((table for table in tables if _names_masks(table)), None)
    if table is not None:
        pairs = _of_table(root, table)
        if not _by_names(root, pairs):
            return _layout(root, FORM, table.path, pairs)
    found = None if table is not None else _shared(root)
    return None if found is None else _layout(root, "images by split and one folder of masks", found[0], found[1])


def _layout(root: Path, form: str, evidence: Path, pairs: Mapping[str, FilePairs]) -> Layout:
    for split in pairs.values():
        split.checked()
    found = Described(pairs)
    names = class_names([root, *dict.fromkeys(mask.parent for mask in found.masks.values())])
    table, remarks = class_table(scanned(list(found.masks.values())), names, root)
    return mask_layout(form, evidence, found, table, None, remarks)


def _names_masks(table: Table) -> bool:
    return bool(table.masks) and Path(table.masks[0]).suffix.lower() in MASK_SUFFIXES


def _of_table(root: Path, table: Table) -> dict[str, FilePairs]:
    files = sorted(files_below(root))
    images = selected(table.images, [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES], root, table.path)
    masks = selected(table.masks, [path for path in files if path.suffix.lower() in MASK_SUFFIXES], root, table.path)
    rows = defaultdict[str, list[tuple[Path, Path]]](list)
    for split, image, mask in zip(table.splits or [WITHOUT_SPLIT] * len(images), images, masks, strict=True):
        rows[split].append((image, mask))
    return {split: _pairs(found) for split, found in rows.items()}


def _pairs(found: Sequence[tuple[Path, Path]], surplus: Sequence[Path] = ()) -> FilePairs:
    return FilePairs([image for image, _ in found], [mask for _, mask in found], Unread(), surplus)


def _by_names(root: Path, pairs: Mapping[str, FilePairs]) -> bool:
    """Whether the names of the files tell the same pairs."""
    folders = mask_folders(root)
    if folders is None:
        return False
    named = described(root, folders.images, folders.masks).masks
    return all(
        named.get(image) == mask
        for split in pairs.values()
        for image, mask in zip(split.images, split.masks, strict=True)
    )


def _shared(root: Path) -> tuple[Path, dict[str, FilePairs]] | None:
    groups = groups_of(root)
    masks = [group for group in groups if group.masks]
    images = [group for group in groups if not group.masks and group.split is not None and group.images()]
    if len(masks) != 1 or masks[0].split is not None or len({group.split for group in images}) < len(images):
        return None
    names = affixes([stem for group in images for stem in group.images()], masks[0].labels()) if images else None
    if names is None:
        return None
    before, behind, mask_before, mask_behind = names
    by_stem = {path.stem: path for path in masks[0].files if path.suffix.lower() in MASK_SUFFIXES}
    used = set[Path]()
    pairs = dict[str, FilePairs]()
    for group in images:
        found = []
        for image in _images(group):
            stem = f"{mask_before}{image.stem[len(before) : len(image.stem) - len(behind)]}{mask_behind}"
            mask = by_stem.get(stem, masks[0].files[0].with_name(f"{stem}.png"))
            used.add(mask)
            found.append((image, mask))
        pairs[str(group.split)] = _pairs(found)
    surplus = sorted(set(by_stem.values()) - used)
    last = next(reversed(pairs))
    pairs[last] = FilePairs(pairs[last].images, pairs[last].masks, Unread(), surplus)
    return root / masks[0].folder, pairs


def _images(group: Group) -> list[Path]:
    return [path for path in group.files if path.suffix.lower() in IMAGE_SUFFIXES]
