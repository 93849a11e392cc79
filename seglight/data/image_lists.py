"""Lists of images by split: a folder with `train.txt`, `val.txt` and `test.txt`, one image per line.

A line is the path of an image below the data set's root, with or without its suffix, or the end of this path: its name
alone, or a stem as in VOC's lists. Of longer paths, such as those of another computer, the end is compared. What
follows a blank is a label file, as in the lists of CamVid, which has to be that of the image.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from seglight.errors import UserError


def read_list(path: Path) -> list[str]:
    """The lines of a list without blank ones, with any ends of lines.

    Raises:
        UserError: There is no such list, or it is empty or not text.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # splitlines() divides names at other signs too
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        instead = "score with `seglight validate`, " if path.stem == "test" else ""
        raise UserError(
            f"{path}: no such list of images: {instead}write one image per line into it, or change data.lists"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: the list of images is not UTF-8 text ({error}): save it as UTF-8") from error
    found = [stripped for line in lines if (stripped := line.strip())]
    if not found:
        raise UserError(f"{path}: the list of images is empty: write one image per line into it")
    return found


def selected(lines: Sequence[str], images: Sequence[Path], root: Path, path: Path) -> list[Path]:
    """The image of each line.

    Args:
        lines: Lines of a list.
        images: Images to select from.
        root: Folder of the data set.
        path: Path of the list.

    Raises:
        UserError: A line names no image, or one of several.
    """
    by_stem: dict[str, list[tuple[tuple[str, ...], Path]]] = defaultdict(list)
    for image in images:
        parts = image.relative_to(root).parts if image.is_relative_to(root) else image.parts
        by_stem[image.stem].append((parts, image))
    return [_image(line, by_stem, path) for line in lines]


def _image(line: str, by_stem: dict[str, list[tuple[tuple[str, ...], Path]]], path: Path) -> Path:
    for text in dict.fromkeys((line, line.split()[0])):
        wanted = tuple(part for part in PurePosixPath(text.replace("\\", "/")).parts if part not in ("/", "."))
        if not wanted:
            continue
        name = PurePosixPath(wanted[-1])
        near = {*by_stem.get(name.stem, ()), *by_stem.get(name.name, ())}
        whole = [image for parts, image in near if parts == wanted]
        found: list[Path] = whole or sorted(image for parts, image in near if _ends_alike(wanted, parts))
        exact = [image for image in found if image.name == wanted[-1]]  # a.jpg is also the stem of a.jpg.jpg
        found = exact if len(exact) == 1 else found
        if len(found) > 1:
            raise UserError(
                f"{path}: {text!r} may be {found[0]} or {found[1]}: give the path below the data set's folder, "
                "with its suffix"
            )
        if found:
            return found[0]
    raise UserError(
        f"{path}: there is no image {line!r} in the data set: correct or remove this line, or add the image"
    )


def refuse_other_masks(
    lines: Sequence[str], images: Sequence[Path], masks: Mapping[Path, Path], root: Path, path: Path
) -> None:
    """Refuse a list that names another label file of an image than the one that is read.

    Args:
        lines: Lines of the list.
        images: The image of each line.
        masks: Label file of each image.
        root: Folder of the data set.
        path: Path of the list.

    Raises:
        UserError: A line names another one, which exists.
    """
    named = ((line, line.split(), image) for line, image in zip(lines, images, strict=True))
    pairs = [(line, words[-1], image) for line, words, image in named if len(words) > 1]
    if not pairs:
        return
    by_name: dict[str, list[Path]] = defaultdict(list)
    for mask in dict.fromkeys(masks.values()):
        by_name[mask.name].append(mask)
    for line, last, image in pairs:
        if line.endswith(image.name):
            continue  # a blank in the name
        wanted = tuple(part for part in PurePosixPath(last.replace("\\", "/")).parts if part not in ("/", "."))
        known = [mask for mask in by_name.get(wanted[-1], ()) if _ends_alike(wanted, mask.relative_to(root).parts)]
        there = root.joinpath(*wanted)
        found = known or ([there] if there.is_file() else [])
        if found and masks[image] not in found:
            raise UserError(
                f"{path}: the line {line!r} names another label file than {masks[image]}, which has the name of the "
                "image: rename the label files, or write the pairs to a table pairs.csv with columns image, mask, split"
            )


def _ends_alike(wanted: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """Whether one of two paths is the end of the other; the wanted one may lack the suffix."""
    depth = min(len(wanted), len(parts))
    if wanted[-depth:-1] != parts[-depth:-1]:
        return False
    return wanted[-1] in (parts[-1], PurePosixPath(parts[-1]).stem)
