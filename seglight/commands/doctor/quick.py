"""What can be looked at in a second: before every `fit`."""

from collections.abc import Iterator, Sequence

from seglight.commands.doctor.diagnose import file_trouble, mask_trouble, size_trouble
from seglight.commands.doctor.facts import LabelTable, look_at_image, look_at_mask
from seglight.commands.doctor.headers import header_of
from seglight.commands.doctor.labelled import check_labelled, evenly
from seglight.commands.doctor.rules import FILES, KINDS
from seglight.commands.doctor.samples import look_at_sample
from seglight.commands.doctor.tables import label_table
from seglight.data.datamodule import FileDataModule, SegmentationDataModule
from seglight.data.disjoint import check_disjoint
from seglight.data.pairs import FilePairs
from seglight.errors import UserError, one_line, say
from seglight.interfaces import Labelled

HEADERS, LABELS = 2000, 16
"""Pairs whose headers are read, and labels that are decoded or painted, of each split."""

Found = tuple[int, str, str, str]
"""Index, file, slug and note of what is wrong."""


def quick_check(datamodule: SegmentationDataModule, see: str, scored: bool = True, overfits: bool = False) -> None:
    """Read the headers of pairs spread evenly over the splits of a training, and decode some labels.

    Args:
        datamodule: Not necessarily set up.
        see: The command that reads everything.
        scored: Whether the training is validated.
        overfits: Whether it is validated on training images on purpose.

    Raises:
        UserError: A split or a file is missing, something is certainly wrong with one of the files read, the splits
            share images, or no pixel is labelled.
    """
    if not isinstance(datamodule, FileDataModule):  # to ask others for a split may take as long as reading it
        return
    splits = {name: datamodule.split(name) for name in ("train", "val")}
    for split in splits.values():
        if isinstance(split, FilePairs):
            table = label_table(split.codec, datamodule.classes)
            found = _of_samples(split, datamodule) if table is None else _of_masks(split, table)
        else:
            found = _of_samples(split, datamodule)
        for index, path, slug, note in found:
            if KINDS[slug].level == "mistake":
                raise UserError(f"{_told(split, index, path, slug, note)} (`{see}` reads every file)")
    hints = check_labelled(splits["train"], splits["val"] if scored else None, datamodule.classes)
    if scored and not overfits:
        hints += check_disjoint(splits["train"], splits["val"])
    for hint in hints:
        say(f"{hint} (`{see}` reads every file)")


def _of_masks(split: FilePairs, table: LabelTable) -> Iterator[Found]:
    """What is wrong with images and label files that are images."""
    with_alpha = []
    for index in evenly(len(split), HEADERS):
        image, mask = header_of(str(split.images[index])), header_of(str(split.masks[index]), labels=True)
        with_alpha += [index] if image.alpha else []
        troubles = [
            (image.path, file_trouble(image)),
            (mask.path, file_trouble(mask)),
            (image.path, size_trouble(image, mask)),
        ]
        yield from ((index, path, *trouble) for path, trouble in troubles if trouble is not None)
    for index in evenly(len(split), LABELS):
        facts = look_at_mask(str(split.masks[index]), table)
        trouble = file_trouble(facts.header) or mask_trouble(facts, table)
        if trouble is not None:
            yield index, facts.header.path, *trouble
    yield from _transparent(split, with_alpha)


def _of_samples(split: Labelled, datamodule: FileDataModule) -> Iterator[Found]:
    """What is wrong with images whose labels only their data set can read: drawn, or all in one file."""
    with_alpha = []
    for index in evenly(len(split), HEADERS):
        image = header_of(str(split.sources(index)[0]))
        with_alpha += [index] if image.alpha else []
        if trouble := file_trouble(image):
            yield index, image.path, *trouble
    yield from _transparent(split, with_alpha)
    for index in evenly(len(split), LABELS):
        facts = look_at_sample(split, len(datamodule.classes), index)
        image, labels = facts.image.header, facts.mask.header
        troubles = [
            (image.path, file_trouble(image)),
            (labels.path, file_trouble(labels)),
            (image.path, size_trouble(image, labels, drawn=True)),
        ]
        yield from ((index, path, *trouble) for path, trouble in troubles if trouble is not None)


def _transparent(split: Labelled, indices: Sequence[int]) -> Iterator[Found]:
    """Of images that may be transparent, a few that are."""
    for place in evenly(len(indices), LABELS):
        image = look_at_image(str(split.sources(indices[place])[0])).header
        if trouble := file_trouble(image):
            yield indices[place], image.path, *trouble


def _told(split: Labelled, index: int, path: str, slug: str, note: str) -> str:
    """What training would say of the pair, and the cause; the cause alone where it would train on it."""
    kind = KINDS[slug]
    try:
        split.read(index)
    except UserError as error:
        plain = slug in FILES or slug == "unknown-values"
        return one_line(error) + ("" if plain else f"; most likely {kind.what}: {kind.mend}")
    return f"{path}: {note}: {kind.what}: {kind.mend}"
