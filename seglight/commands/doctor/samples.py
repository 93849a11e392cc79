"""What a sample tells whose labels only its data set can read: drawn, or out of one file for many images."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from seglight.commands.doctor.facts import IGNORED, ImageFacts, MaskFacts, Pair, PairFacts, distinct, look_at_image
from seglight.commands.doctor.headers import Header, header_of
from seglight.commands.doctor.image_hash import likeness
from seglight.data.pairs import IMAGE_SUFFIXES
from seglight.errors import UserError, one_line
from seglight.images.exif import SIDEWAYS
from seglight.interfaces import Labelled


def look_at_sample(split: Labelled, number: int, index: int) -> PairFacts:
    """Read sample `index` of a split with `number` classes."""
    files = [str(path) for path in split.sources(index)]
    header = header_of(files[0]) if files else Header("")
    if header.problem == "missing":
        header = replace(header, problem="unreadable", error="no such file")
    pair, nothing = Pair(*[header.path] * 4), MaskFacts(Header(header.path, problem="missing"))
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
    return PairFacts(pair, ImageFacts(header, likeness(image)), labels)


def _drawn(files: list[str]) -> str:
    """The format of labels that are shapes, in a file that is no image; else ""."""
    suffix = Path(files[-1]).suffix.lower() if files else ""
    return "" if suffix in IMAGE_SUFFIXES else suffix.removeprefix(".").upper()


def _at_fault(header: Header, files: list[str], said: str) -> tuple[ImageFacts, MaskFacts]:
    """The image, where it can't be read by itself or its labels fit it as it is stored; else the label file."""
    nothing, told = MaskFacts(Header(header.path, problem="missing")), said.removeprefix(f"{header.path}: ")
    image = look_at_image(header.path) if header.path else ImageFacts(header)
    if image.header.problem:
        return image, nothing
    if header.orientation in SIDEWAYS and told.startswith("its EXIF"):
        return ImageFacts(replace(header, problem="exif-rotated", error=told)), nothing
    labels = files[-1] if files else header.path
    told = said.removeprefix(f"{labels}: ")
    return image, MaskFacts(Header(labels, problem="unreadable-label", error=told))
