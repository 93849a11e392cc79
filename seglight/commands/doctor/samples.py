"""Facts about samples whose labels only the data set can read: shapes, or one file for many images."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from seglight.commands.doctor.facts import IGNORED, ImageFacts, MaskFacts, Pair, PairFacts, distinct, image_facts
from seglight.commands.doctor.headers import Header, header_of
from seglight.commands.doctor.image_hash import image_hash
from seglight.data.pairs import IMAGE_SUFFIXES
from seglight.errors import UserError, one_line
from seglight.images.exif import SIDEWAYS
from seglight.interfaces import Labelled


def sample_facts(split: Labelled, number: int, index: int) -> PairFacts:
    """Read sample `index` of a split with `number` classes."""
    files = [str(path) for path in split.sources(index)]
    header = header_of(files[0]) if files else Header("")
    if header.problem == "missing":
        header = replace(header, problem="unreadable", error="no such file")
    pair = Pair(*[header.path] * 4)
    nothing = MaskFacts(Header(header.path, problem="missing"))
    if header.problem:
        return PairFacts(pair, ImageFacts(header), nothing)
    try:
        image, mask, name = split.read(index)
    except UserError as error:
        return PairFacts(pair, *_at_fault(header, files, one_line(error)))
    if not files:
        header = Header(name, mode="RGB", size=image.shape[:2])
    values, counts = distinct(mask)
    found = np.bincount(values, weights=counts, minlength=IGNORED + 1).astype(np.int64)
    labels = MaskFacts(
        Header(header.path, format=_drawn(files), mode="L", size=mask.shape),
        "read",
        values,
        counts,
        classes=found[:number],
        ignored=int(found[IGNORED]),
        unknown=int(found[number:IGNORED].sum()),
    )
    return PairFacts(pair, ImageFacts(header, image_hash(image)), labels)


def _drawn(files: list[str]) -> str:
    """Format of labels that are shapes, in a file that is not an image, else ""."""
    suffix = Path(files[-1]).suffix.lower() if files else ""
    return "" if suffix in IMAGE_SUFFIXES else suffix.removeprefix(".").upper()


def _at_fault(header: Header, files: list[str], message: str) -> tuple[ImageFacts, MaskFacts]:
    """Blame the image if it can't be read or the labels fit it only as stored, else the label file."""
    nothing = MaskFacts(Header(header.path, problem="missing"))
    reason = message.removeprefix(f"{header.path}: ")
    image = image_facts(header.path) if header.path else ImageFacts(header)
    if image.header.problem:
        return image, nothing
    if header.orientation in SIDEWAYS and reason.startswith("its EXIF"):
        return ImageFacts(replace(header, problem="exif-rotated", error=reason)), nothing
    labels = files[-1] if files else header.path
    reason = message.removeprefix(f"{labels}: ")
    return image, MaskFacts(Header(labels, problem="unreadable-label", error=reason))
