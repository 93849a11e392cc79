"""Which folders contain images and which their masks, and how the names of an image and its mask differ."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from seglight.data.file_patterns import ANY, MASK_SUFFIXES, Pattern
from seglight.data.layouts.band_names import BandFiles, find_band_files
from seglight.data.layouts.mask_groups import Group, fits, left_out, swallowed
from seglight.data.layouts.mask_names import DUBIOUS, LOOKED_AT, Affixes, affixes, best_affixes, contained, sampled
from seglight.data.layouts.mask_scan import mask_values
from seglight.data.layouts.split_names import NAMES, SPLIT_OF_WORD, split_of
from seglight.data.pairs import BAND_SUFFIXES, IMAGE_SUFFIXES, MASK_END, files_below, masks_beside_images
from seglight.errors import UserError

MASK_WORDS = (
    "mask", "label", "annot", "segm", "semantic", "groundtruth", "ground_truth", "ground-truth", "target", "trimap",
    "matte", "gtfine", "gtcoarse",
)  # fmt: skip
MASK_TOKENS = {"gt", "gts", "seg", "segs", "lab", "lbl", "anno", "ann", "y", "sem"}
IMAGE_WORDS = ("image", "img", "jpeg", "photo", "picture", "rgb", "frame", "still", "leftimg8bit")
IMAGE_TOKENS = {"input", "inputs", "x", "original", "originals", "pic", "pics", "src", "sat"}
LEFT_OUT = re.compile(
    r"instance|segmentationobject|panoptic|depth|disparity|overlay|visual|preview|thumb|scribble|polygon|superpixel"
)
"""Folders of files that are neither images nor masks of classes."""

LOSSY = (".jpg", ".jpeg", ".webp")
"""Suffixes of formats that change the values of masks."""

FEW = 64
"""Largest number of values of a file that is a mask and not a photograph."""


@dataclass(frozen=True)
class MaskFolders:
    """Descriptions of images and masks by split; None as split: there is none.

    Args:
        images: Description of the images, as in a `classes.yaml`.
        masks: Description of the masks.
        remarks: What was left out.
        by_split: Split of each image, if one description fits the images of all splits.
        bands: Files of images that have one file a band, of which `images` describes the first; None: each image is a
            file.
    """

    images: dict[str | None, str]
    masks: dict[str | None, str]
    remarks: tuple[str, ...] = ()
    by_split: Mapping[Path, str] = field(default_factory=dict)
    bands: BandFiles | None = None


def mask_folders(root: Path) -> MaskFolders | None:
    """Find images and masks below a folder by their names; None if there are no masks.

    Images of formats that are never 8-bit RGB photos, such as `.npy`, are looked for where there are no others.

    Args:
        root: Folder of the data set.

    Raises:
        UserError: Masks are JPEGs, or there are several folders of masks for the same images.
    """
    return _folders_of(root, groups_of(root)) or _folders_of(root, groups_of(root, BAND_SUFFIXES))


def _folders_of(root: Path, groups: list[Group]) -> MaskFolders | None:
    bands = band_files_of(groups)
    if bands is not None:  # the file of the first band stands for the image
        groups = [
            replace(group, files=[path for path in group.files if not bands.is_another(path)]) for group in groups
        ]
    known = None if bands is None else bands.affixes
    found: dict[str | None, tuple[str, str]] = {}
    remarks: list[str] = []
    for split in NAMES:
        described = _described(root, [group for group in groups if group.split == split], known)
        if described is not None:
            found[split] = described
    rest = [group for group in groups if group.split is None]
    described = None if "train" in found else _described(root, rest, known)
    if described is not None and found:
        groups = [replace(group, split="train") if group in rest else group for group in groups]
        remarks.append(f"Images whose folders name no split are training images: {described[0]}.")
    if described is not None:
        found = {"train" if found else None: described, **found}
    if not found:
        return None
    by_split: dict[Path, str] = {}
    if swallowed(root, groups, found):
        pool = _described(root, [replace(group, split=None) for group in groups if group.split in found], known)
        if pool is None:
            raise UserError(
                f"{root}: there are several folders of one split, whose files no description of names tells from those "
                "of other splits: move the images of each split to one folder, and their masks to another"
            )
        places = [(group, path) for group in groups if group.split in found for path in group.files]
        by_split = {path: str(group.split) for group, path in places if fits(Pattern.parsed(pool[0]), path, root)}
        found = {None: pool}
    remarks += left_out(root, groups, list(found.values()), by_split)
    images, masks = ({split: pair[index] for split, pair in found.items()} for index in (0, 1))
    return MaskFolders(images, masks, tuple(remarks), by_split, bands)


def band_files_of(groups: Sequence[Group]) -> BandFiles | None:
    """Bands that have files of their own; None: each image is a file."""
    images: list[Path] = []
    masks: list[Path] = []
    for group in groups:
        for path in group.files:
            is_mask = group.masks if group.masks is not None else MASK_END.search(path.stem) is not None
            if is_mask:
                masks.append(path)
            elif path.suffix.lower() in group.suffixes:
                images.append(path)
    return find_band_files(images, masks) if len(images) > len(masks) > 0 else None


def groups_of(root: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[Group]:
    """Folders with images or masks below a folder, each with what its name tells.

    Args:
        root: Folder of the data set.
        suffixes: Suffixes of images.
    """
    return [replace(group, suffixes=suffixes) for group in _groups(root, suffixes)]


def _groups(root: Path, suffixes: Sequence[str]) -> list[Group]:
    found: dict[str, Group] = {}
    unmarked: list[Group] = []
    for folder, files in _folders(root, suffixes):
        parts = folder.parts
        if any(LEFT_OUT.search(part.casefold()) for part in parts):
            continue
        marked = [index for index, part in enumerate(parts) if split_of_folder(part) or is_masks(part) is not None]
        if not marked:
            unmarked.append(Group(str(folder), None, None, files=files))
            continue
        base = parts[: marked[-1] + 1]
        split = next((split for part in reversed(base) if (split := split_of_folder(part))), None)
        kinds = [kind for part in base if (kind := is_masks(part)) is not None]
        group = found.setdefault("/".join(base), Group("/".join(base), split, kinds[-1] if kinds else None))
        group.deep |= len(parts) > len(base)
        group.files += files
    if not found and len(unmarked) > 1:
        return _by_content(unmarked) or [_merged(unmarked)]
    return [*found.values(), *unmarked]


def _by_content(groups: Sequence[Group]) -> list[Group]:
    """Images and masks of two folders whose names tell of neither: the files of one have few values."""
    if len(groups) != 2 or set(groups[0].images()).isdisjoint(groups[1].images()):
        return []
    found = [replace(group, masks=_few_values(group.files[0])) for group in groups]
    return found if {group.masks for group in found} == {False, True} else []


def _few_values(path: Path) -> bool:
    try:
        return path.suffix.lower() in MASK_SUFFIXES and len(mask_values(path).counts) <= FEW
    except UserError:
        return False


def _merged(groups: Sequence[Group]) -> Group:
    """One group of several whose folders differ only in the middle, such as scene1/images and scene2/images."""
    if len(groups) == 1:
        return groups[0]
    folders = [PurePosixPath(group.folder).parts for group in groups]
    before = _common_parts(folders)
    behind = _common_parts([parts[len(before) :][::-1] for parts in folders])[::-1]
    deep_below = any(group.deep for group in groups)
    files = [path for group in groups for path in group.files]
    below = "" if deep_below else "/".join(behind)
    return Group("/".join(before) or ".", groups[0].split, groups[0].masks, True, below, files)


def _common_parts(folders: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    shared: list[str] = []
    for names in zip(*folders, strict=False):
        if len(set(names)) > 1:
            break
        shared.append(names[0])
    return tuple(shared)


def _folders(root: Path, suffixes: Sequence[str]) -> Iterator[tuple[PurePosixPath, list[Path]]]:
    by_folder = defaultdict[Path, list[Path]](list)
    for path in files_below(root):
        below = path.relative_to(root).parts
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in below)
        if not hidden and path.suffix.lower() in (*suffixes, *MASK_SUFFIXES):
            by_folder[path.parent].append(path)
    for folder in sorted(by_folder):
        yield PurePosixPath(folder.relative_to(root).as_posix()), sorted(by_folder[folder])


def split_of_folder(name: str) -> str | None:
    """Split that the name of a folder tells of, also in one word with its content, such as "trainannot"."""
    tokens = re.split(r"[^a-z]+", name.casefold())
    found = split_of(name) or next((SPLIT_OF_WORD[token] for token in tokens if token in SPLIT_OF_WORD), None)
    if found is not None:
        return found
    lower = name.casefold()
    for split, words in NAMES.items():
        joined = [lower.removeprefix(word) for word in words if lower.startswith(word)]
        joined += [lower.removesuffix(word) for word in words if lower.endswith(word)]
        if any(is_masks(rest) is not None for rest in joined if rest):
            return split
    return None


def is_masks(name: str) -> bool | None:
    """Whether the name of a folder tells of masks (True) or images (False); None if it tells of neither."""
    lower = name.casefold()
    tokens = set(re.split(r"[^a-z]+", lower))
    if any(word in lower for word in MASK_WORDS) or tokens & MASK_TOKENS:
        return True
    if any(word in lower for word in IMAGE_WORDS) or tokens & IMAGE_TOKENS:
        return False
    return None


def _described(root: Path, groups: Sequence[Group], known: Affixes | None) -> tuple[str, str] | None:
    """Descriptions of the images and the masks of one split, by their names if these are not `known`."""
    of_masks = [group for group in groups if group.masks]
    of_images = [group for group in groups if group.masks is False and group.images()]
    others = [group for group in groups if group.masks is None and group.images()]
    candidates = of_images or others
    if of_masks and candidates:
        plain = [group for group in of_masks if not DUBIOUS.search(group.folder.casefold())] or of_masks
        if len(candidates) == len(plain) > 1:
            candidates, plain = [_merged(candidates)], [_merged(plain)]
        return _two_folders(root, candidates, plain, known)
    alone = [*of_images, *others, *of_masks]
    if len(alone) == 1:
        return _one_folder(alone[0], known)
    found = [(group, described) for group in alone if (described := _one_folder(group, known)) is not None]
    return found[0][1] if len(found) == 1 else None


def _two_folders(
    root: Path, images: Sequence[Group], masks: Sequence[Group], known: Affixes | None
) -> tuple[str, str] | None:
    found = []
    for of_masks in masks:
        for of_images in images:
            names = known or affixes(of_images.images(), of_masks.labels())
            if names is not None:
                before, behind, mask_before, mask_behind = names
                pair = (of_images.pattern(before, behind + ANY), of_masks.pattern(mask_before, mask_behind + ANY))
                found.append((of_images.folder, of_masks.folder, pair))
    if not found:
        _refuse_jpeg(root, masks)
        return None
    if len(found) > 1:
        named = " and ".join(dict.fromkeys(f"{images} with {masks}" for images, masks, _ in found[:2]))
        raise UserError(
            f"{root}: images and masks may be {named}: write a classes.yaml there that says which, such as "
            f"'images: {found[0][2][0]}' and 'masks: {found[0][2][1]}' beside 'classes: [{{name: background, color: "
            "[0, 0, 0]}, {name: car, color: [200, 40, 40]}]'"
        )
    return found[0][2]


def _refuse_jpeg(root: Path, masks: Sequence[Group]) -> None:
    for group in masks:
        if not group.labels():
            _refuse(root, group.files)


def refuse_lossy(root: Path) -> None:
    """Refuse masks beside their images in a format that has changed their values, such as x_mask.jpg beside x.jpg.

    Raises:
        UserError: There are some.
    """
    _refuse(root, sorted(masks_beside_images(path for group in groups_of(root) for path in group.files)))


def _refuse(root: Path, masks: Sequence[Path]) -> None:
    lossy = next((path for path in masks if path.suffix.lower() in LOSSY), None)
    if lossy is not None:
        raise UserError(
            f"{lossy}: a mask saved as {lossy.suffix[1:].upper()}, which changes its values: export the "
            f"masks of {root} again as PNG"
        )


def _one_folder(group: Group, known: Affixes | None) -> tuple[str, str] | None:
    """Descriptions of images and masks that share a folder."""
    if known is not None:
        before, behind, mask_before, mask_behind = known
        return group.pattern(before, behind + ANY), group.pattern(mask_before, mask_behind + ANY)
    stems = group.labels()
    own = set(stems)
    photographs = Counter(
        path.suffix for path in group.files if path.suffix.lower() not in MASK_SUFFIXES and path.stem in own
    )
    others = [path.stem for path in group.files if path.suffix.lower() not in MASK_SUFFIXES]
    images = others or stems
    candidates = Counter[Affixes]()
    for image in sampled(images):
        candidates.update(found for found in contained(image, stems[:LOOKED_AT]) if found[2] + found[3])
    tails = Counter(re.split(r"[._-]", stem)[-1] for stem in group.images() + stems).most_common(2)
    for first, second in ((0, 1), (1, 0)):
        if len(tails) == 2 and is_masks(tails[second][0]) and not is_masks(tails[first][0]):
            separators = {stem[-len(tails[second][0]) - 1] for stem in stems if stem.endswith(tails[second][0])}
            separator = min(separators, default="_")
            candidates["", separator + tails[first][0], "", separator + tails[second][0]] += 1
    best = best_affixes(candidates, images, own)
    if best is not None:
        before, behind, mask_before, mask_behind = best
        return group.pattern(before, behind + ANY), group.pattern(mask_before, mask_behind + ANY)
    if photographs:
        (image_suffix, _), *_ = photographs.most_common(1)
        masks = Counter(path.suffix for path in group.files if path.suffix.lower() in MASK_SUFFIXES)
        return group.pattern("", image_suffix), group.pattern("", masks.most_common(1)[0][0])
    return None
