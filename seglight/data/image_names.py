"""What the names of images tell: which are versions of one source image, and which are frames of one sequence."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

EXPORTED = re.compile(r"(?:_(?:jpe?g|png|bmp|webp|tiff?))?\.rf\.\w+$", re.IGNORECASE)
"""End that Roboflow appends to the name of a source image: each augmented version has another one."""

ENDS = re.compile(
    r"""(?<=[^_\-.\ ])(?:
        [_-](?:left|right)img8bit
        |[_-](?:rgb|rgb_anon|image|img|colou?r|photo|raw|orig|original|input|sat|ir|nir|thermal|left|right)
        |[_-](?:cam|camera|view)[_-]?\d*
        |[_-](?:aug|augmented|flip|flipped|hflip|vflip|mirror|mirrored|rot|rotated|copy|crop|tile|patch)[_-]?\d*
        |[_-](?:x|r|row|left)_?\d+[_-](?:y|c|col|top)_?\d+
    )$""",
    re.IGNORECASE | re.VERBOSE,
)
"""Ends that a name has beside that of its source image: kind, camera, augmentation, place of a tile."""

MOMENT = re.compile(
    r"((?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d)[t _-]?"
    r"([0-2]\d)[-_.:h]?([0-5]\d)[-_.:m]?([0-5]\d)(?:[-_.]?(\d{3,9}))?(?!\d)",
    re.IGNORECASE,
)
"""Date and time of day."""

SECONDS = re.compile(r"(\d{9,10})\.(\d{3,9})")
"""Seconds since 1970 with a fraction."""

FRAME_NUMBER = re.compile(r"(.*?(?:^|[^a-z])(?:frames?|frm)[_ -]?)(\d+).*", re.IGNORECASE)
"""A name that says which of its numbers is that of the frame."""

FRAME_WORDS = re.compile(
    r"(?:^|[^a-z])(?:frame|sequence|video|camera|(?:frm|seqs?|vids?|clips?|cams?|drives?|shots?|mp4|avi|mov|mkv)(?![a-z]))",
    re.IGNORECASE,
)
"""Words in names of frames."""

SPLITS = re.compile(r"(?:train|training|val|valid|validation|test|testing|dev)[-_]?\d*", re.IGNORECASE)
"""Folders of splits: a sequence may have frames in several."""

UNORDERED = re.compile(
    r"(?:part|batch|job|task|set|chunk|shard|subset|fold|page|upload|export|images?|imgs?|n\d{7})[-_]?\d*",
    re.IGNORECASE,
)
"""Folders with a number that are no sequences; the last ones are those of ImageNet's classes."""

PLAIN = re.compile(r"[^a-z]*|(?:im|img|image|rgb|colou?r|left|right)[_ -]?", re.IGNORECASE)
"""What comes before the frame number where the folder names the sequence."""

LENGTH = 3
"""Frames that make a sequence."""

COUNTER = 4
"""Digits of a frame number with zeros in front, from which several prefixes are taken for sequences."""

FOLDERS = 5
"""Folders without a number in which the same frame numbers begin again, from which they are taken for sequences."""

MOST = 0.9
"""Fraction of the images for which names have to tell of sequences."""


@dataclass(frozen=True)
class Frame:
    """Place of an image in a sequence.

    Args:
        folder: Folders, without those of splits.
        before: What comes before the number of the frame.
        after: What comes behind it.
        digits: Number of the frame as it is written.
    """

    folder: tuple[str, ...]
    before: str
    after: str
    digits: str


def source(image: str) -> tuple[tuple[str, ...], str]:
    """Folders and name of the source image of which an image is a version: the same for all of them.

    Args:
        image: Path of the image.
    """
    path = Path(image)
    stem, exported = EXPORTED.subn("", path.stem)
    shorter = ENDS.sub("", stem)
    while shorter != stem:
        stem, shorter = shorter, ENDS.sub("", shorter)
    folders = path.parts[:-1]
    return tuple(part for part in folders if not SPLITS.fullmatch(part)) if exported else folders, stem


def sequences(images: Sequence[str]) -> dict[tuple[str, ...], list[int]]:
    """Indices of the frames of each sequence in order, if the names tell of sequences; else nothing.

    Numbered names alone do not tell: pictures without any order are numbered, too. Names tell of sequences by a word
    such as "frame", by several prefixes before frame numbers of many digits, or by numbered folders.

    Args:
        images: Paths of the images.
    """
    for back in (1, 2, 3):  # numbers behind that of the frame are the same for all
        frames = {index: frame for index, image in enumerate(images) if (frame := _frame(image, back)) is not None}
        found: dict[tuple[str, ...], list[tuple[int, tuple[object, ...], int]]] = defaultdict(list)
        for index, frame in frames.items():
            key = ("/".join(frame.folder), frame.before, frame.after)
            found[key].append((int(frame.digits), source(images[index]), index))
        long = {key for key, members in found.items() if len({number for number, *_ in members}) >= LENGTH}
        covered = [frames[index] for key in long for *_, index in found[key]]
        if len(covered) >= MOST * len(images):
            if not _tell(images, covered, len(long)):
                return {}
            ordered = {key: [index for *_, index in sorted(members)] for key, members in found.items()}
            rest = (index for index in range(len(images)) if index not in frames)
            return {**ordered, **{("", "", str(index)): [index] for index in rest}}
    return {}


def _frame(image: str, back: int) -> Frame | None:
    """The place of an image in a sequence by the last number of its name, or the one before it, and so on."""
    folders, stem = source(image)
    folder = tuple(part for part in folders if not SPLITS.fullmatch(part))
    named = FRAME_NUMBER.fullmatch(stem)
    if named:
        return Frame(folder, named[1], "", named[2])
    stem = MOMENT.sub(lambda found: "".join((found[1], "_", *(part or "" for part in found.groups()[1:]))), stem)
    stem = SECONDS.sub(r"\1\2", stem)
    parts = re.split(r"(\d+)", stem)  # numbers at the odd places
    place = len(parts) - 2 * back
    if place < 0:
        return None
    return Frame(folder, "".join(parts[:place]), "".join(parts[place + 1 :]), parts[place])


def _tell(images: Sequence[str], covered: Sequence[Frame], number: int) -> bool:
    """Whether names tell that these frames are in sequences, and are not only numbered."""
    words = sum(bool(FRAME_WORDS.search(Path(image).stem) or _in_folder(image)) for image in images)
    if words >= MOST * len(images):
        return True
    if number < 2:
        return False
    widths: dict[tuple[str, str], set[int]] = defaultdict(set)
    for frame in covered:
        widths["/".join(frame.folder), frame.before].add(len(frame.digits))
    padded = [
        frame
        for frame in covered
        if len(frame.digits) >= COUNTER and len(widths["/".join(frame.folder), frame.before]) == 1
    ]
    prefixed = [frame for frame in padded if frame.before]
    return len(prefixed) >= MOST * len(covered) or _folders_tell(covered, padded)


def _in_folder(image: str) -> bool:
    return any(FRAME_WORDS.search(part) for part in Path(image).parts[:-1])


def _folders_tell(covered: Sequence[Frame], padded: Sequence[Frame]) -> bool:
    """Whether each folder is a sequence: it has a number, or the same frame numbers begin again in many folders."""
    inside = [frame for frame in covered if PLAIN.fullmatch(frame.before)]
    if len(inside) < MOST * len(covered):
        return False
    same = set.intersection(*(set(frame.folder) for frame in inside))
    numbered = [frame for frame in inside if any(map(_is_numbered, set(frame.folder) - same))]
    if len(numbered) >= MOST * len(covered):
        return True
    folders: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for frame in padded:
        folders[frame.digits].add(frame.folder)
    several = len({frame.folder for frame in padded})
    begun = max(map(len, folders.values()), default=0)
    return len(padded) >= MOST * len(covered) and several >= FOLDERS and begun >= MOST * several


def _is_numbered(folder: str) -> bool:
    return bool(re.search(r"\d", folder)) and not UNORDERED.fullmatch(folder)


def versions(images: Sequence[str]) -> Iterator[list[int]]:
    """Indices of the versions of each source image, in the order of their first ones."""
    found: dict[tuple[tuple[str, ...], str], list[int]] = defaultdict(list)
    for index, image in enumerate(images):
        found[source(image)].append(index)
    yield from found.values()
