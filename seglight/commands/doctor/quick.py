"""Checks that take about a second, made before every `fit`."""

from collections.abc import Iterator, Sequence

from seglight.commands.doctor.diagnose import diagnose_file, diagnose_mask, diagnose_sizes
from seglight.commands.doctor.facts import LabelTable, image_facts, mask_facts
from seglight.commands.doctor.headers import band_header, header_of
from seglight.commands.doctor.labelled import check_labelled, evenly
from seglight.commands.doctor.rules import FILES, RULES
from seglight.commands.doctor.samples import sample_facts
from seglight.commands.doctor.tables import split_table
from seglight.data.datamodule import FileDataModule, SegmentationDataModule
from seglight.data.disjoint import check_disjoint
from seglight.data.pairs import FilePairs
from seglight.errors import UserError, one_line, say
from seglight.interfaces import Labelled

HEADERS, LABELS = 2000, 16
"""Number of pairs whose headers are read, and of labels that are decoded or painted, for each split."""

Found = tuple[int, str, str, str]
"""Index, file, slug and note of a defect."""


def quick_check(datamodule: SegmentationDataModule, see: str, scored: bool = True, overfits: bool = False) -> None:
    """Read the headers of pairs spread evenly over the splits of a training, and decode some labels.

    Args:
        datamodule: Data module, set up or not.
        see: Command that reads all files.
        scored: Whether the training is validated.
        overfits: Whether it is validated on training images on purpose.

    Raises:
        UserError: A split or a file is missing, one of the files read has a certain defect, the splits share images,
            or no pixel is labelled.
    """
    if not isinstance(datamodule, FileDataModule):  # others may read all files to list a split
        return
    splits = {name: datamodule.split(name) for name in ("train", "val")}
    for split in splits.values():
        if isinstance(split, FilePairs):
            table = split_table(split, datamodule.classes)
            found = _of_samples(split, datamodule) if table is None else _of_masks(split, table)
        else:
            found = _of_samples(split, datamodule)
        for index, path, slug, note in found:
            if RULES[slug].level == "mistake":
                raise UserError(f"{_message(split, index, path, slug, note)} (`{see}` reads every file)")
    hints = check_labelled(splits["train"], splits["val"] if scored else None, datamodule.classes)
    if scored and not overfits:
        hints += check_disjoint(splits["train"], splits["val"])
    for hint in hints:
        say(f"{hint} (`{see}` reads every file)")


def _of_masks(split: FilePairs, table: LabelTable) -> Iterator[Found]:
    """Defects of images and of label files that are images."""
    with_alpha = []
    for index in evenly(len(split), HEADERS):
        image = band_header(str(split.images[index]), split.bands)
        mask = header_of(str(split.masks[index]), labels=True)
        with_alpha += [index] if image.alpha else []
        diagnoses = [
            (image.path, diagnose_file(image)),
            (mask.path, diagnose_file(mask)),
            (image.path, diagnose_sizes(image, mask)),
        ]
        yield from ((index, path, *diagnosis) for path, diagnosis in diagnoses if diagnosis is not None)
    for index in evenly(len(split), LABELS):
        facts = mask_facts(str(split.masks[index]), table)
        diagnosis = diagnose_file(facts.header) or diagnose_mask(facts, table)
        if diagnosis is not None:
            yield index, facts.header.path, *diagnosis
    yield from _transparent(split, with_alpha)


def _of_samples(split: Labelled, datamodule: FileDataModule) -> Iterator[Found]:
    """Defects of images whose labels only the data set can read: shapes, or all in one file."""
    with_alpha = []
    bands = datamodule.bands
    for index in evenly(len(split), HEADERS):
        image = band_header(str(split.sources(index)[0]), bands)
        with_alpha += [index] if image.alpha else []
        if diagnosis := diagnose_file(image):
            yield index, image.path, *diagnosis
    yield from _transparent(split, with_alpha)
    for index in evenly(len(split), LABELS):
        facts = sample_facts(split, len(datamodule.classes), index, bands)
        image, labels = facts.image.header, facts.mask.header
        diagnoses = [
            (image.path, diagnose_file(image)),
            (labels.path, diagnose_file(labels)),
            (image.path, diagnose_sizes(image, labels, drawn=True)),
        ]
        yield from ((index, path, *diagnosis) for path, diagnosis in diagnoses if diagnosis is not None)


def _transparent(split: Labelled, indices: Sequence[int]) -> Iterator[Found]:
    """Defects of some of the images that may be transparent."""
    for position in evenly(len(indices), LABELS):
        image = image_facts(str(split.sources(indices[position])[0])).header
        if diagnosis := diagnose_file(image):
            yield indices[position], image.path, *diagnosis


def _message(split: Labelled, index: int, path: str, slug: str, note: str) -> str:
    """The error that training would raise for the pair, if any, and its diagnosis."""
    rule = RULES[slug]
    try:
        split.read(index)
    except UserError as error:
        plain = slug in FILES or slug == "unknown-values"
        return one_line(error) + ("" if plain else f"; most likely {rule.what}: {rule.fix}")
    return f"{path}: {note}: {rule.what}: {rule.fix}"
