"""What can be looked at in a second: before every `fit`."""

from collections.abc import Iterator

from seglight.data.datamodule import SegmentationDataModule
from seglight.data.pairs import FilePairs
from seglight.doctor.causes import file_trouble, mask_trouble, size_trouble
from seglight.doctor.facts import LabelTable, look_at_mask
from seglight.doctor.headers import header_of
from seglight.doctor.kinds import FILES, KINDS
from seglight.doctor.scan import has_listing
from seglight.doctor.tables import label_table
from seglight.errors import UserError, one_line

HEADERS, MASKS = 2000, 16
"""Pairs whose headers are read, and masks that are decoded, of each split."""


def quick_check(datamodule: SegmentationDataModule, see: str) -> None:
    """Read the headers of pairs spread evenly over the splits of a training, and decode some masks.

    Args:
        datamodule: Not necessarily set up.
        see: The command that reads everything.

    Raises:
        UserError: A split or a file is missing, or something is certainly wrong with one of the files read.
    """
    if not has_listing(datamodule):  # to ask others for a split may take as long as reading it
        return
    for name in ("train", "val"):
        split = datamodule.split(name)
        if not isinstance(split, FilePairs):
            return
        for index, path, slug, note in _troubles(split, label_table(split.codec, datamodule.classes)):
            if KINDS[slug].level == "mistake":
                raise UserError(f"{_told(split, index, path, slug, note)} (`{see}` reads every file)")


def _troubles(split: FilePairs, table: LabelTable | None) -> Iterator[tuple[int, str, str, str]]:
    """Index, file, slug and note of what is wrong; of labels that only their codec can read, the images alone."""
    for index in _evenly(len(split), HEADERS):
        image = header_of(str(split.images[index]))
        troubles = [(image.path, file_trouble(image))]
        if table is not None:
            mask = header_of(str(split.masks[index]))
            troubles += [(mask.path, file_trouble(mask)), (image.path, size_trouble(image, mask))]
        yield from ((index, path, *trouble) for path, trouble in troubles if trouble is not None)
    if table is None:
        return
    for index in _evenly(len(split), MASKS):
        facts = look_at_mask(str(split.masks[index]), table)
        trouble = file_trouble(facts.header) or mask_trouble(facts, table)
        if trouble is not None:
            yield index, facts.header.path, *trouble


def _told(split: FilePairs, index: int, path: str, slug: str, note: str) -> str:
    """What training would say of the pair, and the cause; the cause alone where it would train on it."""
    kind = KINDS[slug]
    try:
        split.read(index)
    except UserError as error:
        plain = slug in FILES or slug == "unknown-values"
        return one_line(error) + ("" if plain else f"; most likely {kind.what}: {kind.mend}")
    return f"{path}: {note}: {kind.what}: {kind.mend}"


def _evenly(number: int, most: int) -> list[int]:
    return [index * number // most for index in range(most)] if number > most else [*range(number)]
