"""Images of a folder, found by the names that the files of labelling tools have for them."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePath

from seglight.data.pairs import images_below
from seglight.errors import UserError


class ImageIndex:
    """Images below a folder by name.

    Args:
        root: Folder of the images, at any depth.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.by_name: dict[str, list[Path]] = defaultdict(list)
        self.by_stem: dict[str, list[Path]] = defaultdict(list)
        self.by_folder: dict[Path, list[Path]] = defaultdict(list)
        for image in images_below(root):
            self.by_name[_composed(image.name)].append(image)
            self.by_stem[_composed(image.stem)].append(image)
            self.by_folder[image.parent].append(image)

    def find(self, name: str, near: Path) -> Path | None:
        """Find an image; None: there is none of this name.

        Args:
            name: Name of the image, with its suffix, without it or with another one, or its path on another computer.
            near: Folder of the file that names the image.

        Raises:
            UserError: Several images match equally well.
        """
        parts = [part for part in _composed(name).replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if not parts:
            return None
        stems = (parts[-1], PurePath(parts[-1]).stem)  # without a suffix, and with that of another format or case
        candidates = self.by_name.get(parts[-1]) or next(
            (self.by_stem[key] for key in stems if key in self.by_stem), []
        )
        if len(candidates) < 2:
            return candidates[0] if candidates else None
        ranks = [(_common(image, parts), _shared(image, near)) for image in candidates]
        best = [image for image, rank in zip(candidates, ranks, strict=True) if rank == max(ranks)]
        if len({(status.st_dev, status.st_ino) for status in map(Path.stat, best)}) > 1:  # links are one image
            raise UserError(
                f"{near}: the image {name} can be {best[0]} or {best[1]}: keep one of the two, or rename it"
            )
        return best[0]


def match_images(index: ImageIndex, names: Iterable[str], near: Path, evidence: Path) -> dict[str, Path]:
    """Find the images that a file names; those that are missing are left out.

    Args:
        index: Images of the data set.
        names: Names of the images in the file.
        near: Folder in which images are preferred.
        evidence: The file.

    Raises:
        UserError: A name is ambiguous, or two names are those of one image.
    """
    found: dict[str, Path] = {}
    name_of: dict[Path, str] = {}
    for name in names:
        image = index.find(name, near)
        if image is None:
            continue
        if name_of.setdefault(image, name) != name:
            raise UserError(
                f"{evidence}: {name_of[image]} and {name} are both the image {image}: "
                "put the images into folders as they were labelled, or rename one"
            )
        found[name] = image
    return found


def none_found(evidence: Path, number: int, first: str, root: Path) -> UserError:
    """Error of a data set without images.

    Args:
        evidence: File that names the images.
        number: Number of images that it names.
        first: Name of one of them.
        root: Folder that was searched.
    """
    return UserError(
        f"{evidence}: none of its {number} images, such as {first!r}, was found below {root}: "
        "copy the images there, for example to a folder named images"
    )


def missing_remark(evidence: Path, missing: int) -> list[str]:
    """Remark on labelled images that are not there.

    Args:
        evidence: File that names the images.
        missing: Number of these images.
    """
    return [f"Images of {evidence.name} that were not found and are left out: {missing}."] if missing else []


def _composed(name: str) -> str:
    """A name with composed letters: macOS writes an umlaut as a letter and two dots."""
    return unicodedata.normalize("NFC", name)


def _common(image: Path, parts: list[str]) -> int:
    """Number of equal folders at the end of two paths."""
    number = 0
    for ours, theirs in zip(reversed(image.parent.parts), reversed(parts[:-1]), strict=False):
        if _composed(ours) != theirs:
            break
        number += 1
    return number


def _shared(image: PurePath, folder: PurePath) -> int:
    """Number of equal folders at the beginning of two paths."""
    return sum(ours == theirs for ours, theirs in zip(image.parts, folder.parts, strict=False))
