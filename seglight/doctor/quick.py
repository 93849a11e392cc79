"""What can be looked at in a second: before every `fit`."""

from collections.abc import Iterator

from seglight.data.datamodule import SegmentationDataModule
from seglight.data.pairs import FilePairs
from seglight.doctor.causes import file_trouble, mask_trouble, size_trouble
from seglight.doctor.facts import LabelTable, look_at_mask
from seglight.doctor.headers import header_of
from seglight.doctor.kinds import KINDS
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
        table = label_table(split.codec, datamodule.classes) if isinstance(split, FilePairs) else None
        if not isinstance(split, FilePairs) or table is None:
            continue
        for index, slug, told in _troubles(split, table):
            if KINDS[slug].level == "mistake":
                raise UserError(f"{_reading(split, index) or told} (`{see}` reads every file)")


def _troubles(split: FilePairs, table: LabelTable) -> Iterator[tuple[int, str, str]]:
    """Index, slug and message of what is wrong."""
    for index in _evenly(len(split), HEADERS):
        path = split.images[index]
        image, mask = header_of(str(path)), header_of(str(split.masks[index]))
        for trouble in (file_trouble(image), file_trouble(mask), size_trouble(image, mask)):
            if trouble is not None:
                yield index, trouble[0], _message(str(path), *trouble)
    for index in _evenly(len(split), MASKS):
        facts = look_at_mask(str(split.masks[index]), table)
        trouble = file_trouble(facts.header) or mask_trouble(facts, table)
        if trouble is not None:
            yield index, trouble[0], _message(facts.header.path, *trouble)


def _message(path: str, slug: str, note: str) -> str:
    kind = KINDS[slug]
    return f"{path}: {note}: {kind.what}: {kind.mend}"


def _reading(split: FilePairs, index: int) -> str:
    """What training would say of a pair; "" where it would train on it."""
    try:
        split.read(index)
    except UserError as error:
        return one_line(error)
    return ""


def _evenly(number: int, most: int) -> list[int]:
    return [index * number // most for index in range(most)] if number > most else [*range(number)]
