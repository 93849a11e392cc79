"""Images and masks that belong together by their names, as a `classes.yaml` describes them.

A description is a folder below the data set's root, or a path whose last part contains `{stem}`, which stands for the
text that the names of an image and its mask share:

    images/train                                  all images of a folder, by their names without suffix
    train/{stem}_mask.png                         masks with an addition to their name
    masks/gt_{stem}.*                             any suffix of masks: .png, .tif, .bmp, .gif, .npy ...
    gtFine/train/**/{stem}_gtFine_labelIds.png    at any depth, where an image and its mask have equal folders at `**`
    train/**/masks                                also in the middle: train/forest/masks, train/city/masks

A file that fits the description of the masks is no image.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from seglight.data.labels import Codec
from seglight.data.pairs import (
    FilePairs,
    existing_folder,
    files_below,
    image_files,
    image_suffixes,
    images_below,
)
from seglight.errors import UserError

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".npy")
"""Suffixes of masks, in lower case: formats that keep every value, unlike JPEG and WebP."""

STEM = "{stem}"
DEEP = "**"
ANY = ".*"

Key = tuple[str, str]
"""Folder at `**` and text of `{stem}`."""


@dataclass(frozen=True)
class Pattern:
    """Names of files in a folder, or below it.

    Args:
        folder: Folder below the data set's root.
        prefix: Text before `{stem}` in the name.
        suffix: Text behind it, with the suffix of the file, or ".*" for any.
        deep: Whether files below the folder count.
        below: Folders between `**` and the name.
    """

    folder: str
    prefix: str = ""
    suffix: str = ANY
    deep: bool = False
    below: str = ""

    @classmethod
    def parsed(cls, text: str) -> "Pattern":
        """Read the text of a description.

        Raises:
            UserError: It is absolute, leaves the root, or contains `{stem}` or `**` elsewhere.
        """
        parts = PurePosixPath(text).parts
        if not text or parts[:1] == ("/",) or ".." in parts:
            raise UserError(f"{text!r} should be a path below the data set's folder")
        name = parts[-1] if parts and STEM in parts[-1] else None
        folders = parts if name is None else parts[:-1]
        if folders.count(DEEP) > 1 or any(STEM in part for part in folders) or (name or "").count(STEM) > 1:
            raise UserError(f"{text!r} should contain {STEM} once, in the file name, and {DEEP} once at most")
        deep = DEEP in folders
        at = folders.index(DEEP) if deep else len(folders)
        prefix, _, suffix = (name or f"{STEM}{ANY}").partition(STEM)
        return cls("/".join(folders[:at]) or ".", prefix, suffix, deep, "/".join(folders[at + 1 :]))

    def __str__(self) -> str:
        if (self.prefix, self.suffix, self.deep) == ("", ANY, False):
            return self.folder
        folders = [] if self.folder == "." else [self.folder]
        below = [self.below] if self.below else []
        return "/".join([*folders, *[DEEP] * self.deep, *below, f"{self.prefix}{STEM}{self.suffix}"])

    def key(self, path: Path, root: Path, suffixes: Iterable[str]) -> Key | None:
        """What the path of a file has at `**` and `{stem}`; None if it does not fit."""
        name = path.name
        ending = self.suffix
        if ending.endswith(ANY):
            if path.suffix.lower() not in suffixes:
                return None
            ending = ending.removesuffix(ANY) + path.suffix
        stem = name[len(self.prefix) : len(name) - len(ending)]
        if name != f"{self.prefix}{stem}{ending}" or not stem:
            return None
        if not self.deep:
            return ".", stem
        parts, below = path.parent.relative_to(root / self.folder).parts, PurePosixPath(self.below).parts
        if parts[len(parts) - len(below) :] != below or len(parts) < len(below):
            return None
        return "/".join(parts[: len(parts) - len(below)]) or ".", stem

    def path(self, key: Key, root: Path, suffix: str) -> Path:
        """The file of a key; `suffix` stands for `.*`."""
        ending = self.suffix.removesuffix(ANY) + suffix if self.suffix.endswith(ANY) else self.suffix
        return root / self.folder / key[0] / self.below / f"{self.prefix}{key[1]}{ending}"


def paired_files(
    root: Path, images: str, masks: str, codec: Codec, holds: str = "", suffixes: Sequence[str] | None = None
) -> FilePairs:
    """List the images that fit a description, each with its mask, whether that exists or not.

    Args:
        root: Folder of the data set.
        images: Description of the images.
        masks: Description of the masks.
        codec: Codec that reads the masks.
        holds: Split of the images with a blank behind it, for messages.
        suffixes: Suffixes of the images. None: those of 8-bit RGB, or of any bands where there is no such image.

    Raises:
        UserError: A folder is missing, there is no image, or an image has several masks.
    """
    of_images, of_masks = Pattern.parsed(images), Pattern.parsed(masks)
    folder = root / of_images.folder
    existing_folder(folder, f"the {holds}images")
    candidates = _masks(root, of_masks, holds)
    taken = {path for paths in candidates.values() for path in paths}
    if suffixes is None:
        every = files_below(folder) if of_images.deep else folder.iterdir()
        suffixes = image_suffixes(path for path in every if path not in taken)
    files = images_below(folder, suffixes) if of_images.deep else image_files(folder, f"the {holds}images", suffixes)
    keys = {
        path: key for path in files if path not in taken and (key := of_images.key(path, root, suffixes)) is not None
    }
    if not keys:
        raise UserError(f"{folder}: no image of the form {of_images} there, where the {holds}images should be")
    chosen = {key: _one(candidates[key]) for key in dict.fromkeys(keys.values()) if key in candidates}
    endings = Counter(path.suffix for path in chosen.values()) or Counter([".png"])
    usual = endings.most_common(1)[0][0]
    expected = [chosen.get(key) or of_masks.path(key, root, usual) for key in keys.values()]
    known = set(keys.values())
    surplus = [path for key, paths in candidates.items() if key not in known for path in paths]
    return FilePairs(list(keys), expected, codec, sorted(path for path in surplus if path.suffix in endings))


def first_band(images: str, files: str, name: str) -> str:
    """Description of the files of the first band, which stand for images that have one file a band.

    Args:
        images: Description of the images, whose folders count.
        files: Pattern of the files of an image, such as "{name}_{band}.tif".
        name: Name of the first band.
    """
    folder = images.rpartition("/")[0] or "." if STEM in images else images
    return f"{folder}/{files.replace('{band}', name).replace('{name}', STEM)}"


def _masks(root: Path, pattern: Pattern, holds: str) -> dict[Key, list[Path]]:
    folder = existing_folder(root / pattern.folder, f"the {holds}masks")
    found = defaultdict[Key, list[Path]](list)
    for path in sorted(files_below(folder) if pattern.deep else folder.iterdir()):
        key = pattern.key(path, root, MASK_SUFFIXES)
        if key is not None and not path.name.startswith("._"):
            found[key].append(path)
    return found


def _one(paths: Sequence[Path]) -> Path:
    """The mask of an image: a PNG, if there is one beside files of other suffixes."""
    plain = [path for path in paths if path.suffix == ".png"] or list(paths)
    if len(plain) > 1:
        raise UserError(f"{plain[0]}: {plain[1].name} is a mask of the same image: remove one of the two")
    return plain[0]
