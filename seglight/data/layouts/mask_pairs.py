"""Images and masks whose pairs no description of names tells, so that they have to be converted.

- a table, `pairs.csv`, with columns for the image and its mask, and perhaps the split: `a.jpg,label_77.png,train`
- folders of images by split beside one folder of all masks: `images/train`, `images/val`, `masks`
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seglight.data.file_patterns import MASK_SUFFIXES
from seglight.data.image_lists import selected
from seglight.data.layouts.class_names import class_names
from seglight.data.layouts.layout import WITHOUT_SPLIT, Choices, Layout
from seglight.data.layouts.mask_folders import groups_of, mask_folders
from seglight.data.layouts.mask_groups import Group
from seglight.data.layouts.mask_layout import Described, Unread, described, mask_layout
from seglight.data.layouts.mask_names import affixes
from seglight.data.layouts.mask_scan import scanned
from seglight.data.layouts.mask_values import class_table
from seglight.data.layouts.split_files import Table, read_table
from seglight.data.layouts.split_names import split_of
from seglight.data.pairs import IMAGE_SUFFIXES, FilePairs, files_below
from seglight.errors import UserError

FORM = "table of images and masks"


def recognise_pairs(root: Path, choices: Choices) -> Layout | None:
    """Recognise a table of pairs, unless the names of the files tell the same pairs, or a folder of all masks.

    Raises:
        UserError: A line of the table names no file or several, or an image or a mask is missing.
    """
    files = sorted(path for path in root.glob("*.csv") if not path.name.startswith("."))
    tables = [table for path in files if (table := read_table(path)) is not None and table.masks]
    pool = _pool(root) if tables else None
    tables = [table for table in tables if pool is not None and _names_masks(table, pool)]
    if tables and pool is not None:
        pairs = _of_tables(root, tables, pool)
        if _by_names(root, pairs):
            return None
        named = {image for split in pairs.values() for image in split.images}
        masks = {mask for split in pairs.values() for mask in split.masks}
        folders = {image.parent for image in named}
        left = {image for image in pool.images if image.parent in folders} - named - masks
        remarks = [f"Left out: images that are not in {tables[0].path.name} ({len(left)})."] if left else []
        return _layout(root, FORM, tables[0].path, pairs, remarks)
    found = _shared(root)
    return None if found is None else _layout(root, "images by split and one folder of masks", found[0], found[1])


def _layout(
    root: Path, form: str, evidence: Path, pairs: Mapping[str, FilePairs], remarks: Sequence[str] = ()
) -> Layout:
    for split in pairs.values():
        split.checked()
    found = Described(pairs)
    names = class_names([root, *dict.fromkeys(mask.parent for mask in found.masks.values())])
    table, about = class_table(scanned(list(found.masks.values())), names, root)
    return mask_layout(form, evidence, found, table, None, [*remarks, *(names.remarks if names else ()), *about])


@dataclass(frozen=True)
class Pool:
    """Files that a table may name: images, and masks, by their folders where these tell of masks."""

    images: Sequence[Path]
    masks: Sequence[Path]


def _pool(root: Path) -> Pool:
    files = sorted(files_below(root))
    labels = {path for group in groups_of(root) if group.masks for path in group.files}
    return Pool(
        [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES and path not in labels],
        [path for path in files if path.suffix.lower() in MASK_SUFFIXES and (path in labels or not labels)],
    )


def _names_masks(table: Table, pool: Pool) -> bool:
    """Whether the column of masks names files, with their suffix or, all of them, without."""
    stems = {path.stem for path in pool.masks}
    with_suffix = Path(table.masks[0]).suffix.lower() in MASK_SUFFIXES
    return with_suffix or all(Path(cell).name in stems for cell in table.masks)


def _of_tables(root: Path, tables: Sequence[Table], pool: Pool) -> dict[str, FilePairs]:
    rows = defaultdict[str, list[tuple[Path, Path]]](list)
    mask_of: dict[Path, Path] = {}
    for table in tables:
        images = selected(table.images, pool.images, root, table.path)
        masks = selected(table.masks, pool.masks, root, table.path)
        whole = split_of(table.path.stem) or WITHOUT_SPLIT
        if len(tables) > 1 and not table.splits and whole == WITHOUT_SPLIT:
            other = tables[1] if table is tables[0] else tables[0]
            raise UserError(
                f"{table.path}: a table of images and masks beside {other.path.name}: "
                "remove one of the two, or name them train.csv, val.csv and test.csv"
            )
        for split, image, mask in zip(table.splits or [whole] * len(images), images, masks, strict=True):
            if mask_of.setdefault(image, mask) != mask:
                raise UserError(
                    f"{table.path}: {image} has two masks, {mask_of[image]} and {mask}: keep one row of each image"
                )
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
    labels = _Labels(root, masks[0])
    used = dict[Path, Path]()
    pairs = dict[str, FilePairs]()
    for group in images:
        found = []
        for image in _images(group):
            stem = f"{mask_before}{image.stem[len(before) : len(image.stem) - len(behind)]}{mask_behind}"
            mask = labels.of(image, image.parent.relative_to(root / group.folder), stem)
            if used.setdefault(mask, image) != image:
                raise UserError(
                    f"{image}: {used[mask]} has the same name, and there is one mask for both, {mask}: rename the "
                    "images and masks, or put the masks of each split into a folder of its own, such as masks/train"
                )
            found.append((image, mask))
        pairs[str(group.split)] = _pairs(found)
    surplus = sorted({path for paths in labels.by_stem.values() for path in paths} - used.keys() - labels.twins)
    last = next(reversed(pairs))
    pairs[last] = FilePairs(pairs[last].images, pairs[last].masks, Unread(), surplus)
    return root / masks[0].folder, pairs


class _Labels:
    """Masks of a folder by their stems; those of folders below it belong to images in folders of the same names."""

    def __init__(self, root: Path, group: Group) -> None:
        self.folder = root / group.folder
        self.by_stem = defaultdict[str, list[Path]](list)
        self.twins = set[Path]()
        for path in group.files:
            if path.suffix.lower() in MASK_SUFFIXES:
                self.by_stem[path.stem].append(path)
        self.folders = {path.parent.relative_to(self.folder) for paths in self.by_stem.values() for path in paths}

    def of(self, image: Path, below: Path, stem: str) -> Path:
        """The mask of an image, whether it exists or not.

        Args:
            image: The image.
            below: Its folder below that of its split.
            stem: Stem of the mask.

        Raises:
            UserError: It may be one of several.
        """
        found = self.by_stem.get(stem, [])
        if below in self.folders and len(self.folders) > 1:
            found = [path for path in found if path.parent == self.folder / below]
        plain = [path for path in found if path.suffix == ".png"]
        if len({path.parent for path in found}) == 1 and len(plain) == 1:
            self.twins |= {*found} - {*plain}  # the same mask in other formats
            found = plain
        if len(found) > 1:
            raise UserError(
                f"{image}: its mask may be {found[0]} or {found[1]}: put images and masks into folders of the same "
                "names, such as images/train and masks/train"
            )
        return found[0] if found else self.folder / below / f"{stem}.png"


def _images(group: Group) -> list[Path]:
    return [path for path in group.files if path.suffix.lower() in IMAGE_SUFFIXES]
