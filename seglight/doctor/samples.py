"""What a sample tells whose labels only its data set can read: drawn, or out of one file for many images."""

from dataclasses import replace

import numpy as np

from seglight.doctor.facts import IGNORED, ImageFacts, MaskFacts, Pair, PairFacts, distinct
from seglight.doctor.headers import Header, header_of
from seglight.doctor.likeness import likeness
from seglight.errors import UserError, one_line
from seglight.interfaces import Labelled


def look_at_sample(split: Labelled, number: int, index: int) -> PairFacts:
    """Read sample `index` of a split with `number` classes."""
    files = [str(path) for path in split.sources(index)]
    header = header_of(files[0]) if files else Header("")
    if header.problem == "missing":
        header = replace(header, problem="unreadable", error="no such file")
    nothing = MaskFacts(Header(header.path, problem="missing"))
    if header.problem:
        return PairFacts(Pair(*[header.path] * 4), ImageFacts(header), nothing)
    try:
        image, mask, name = split.read(index)
    except UserError as error:
        header = replace(header, problem="unreadable", error=one_line(error))
        return PairFacts(Pair(*[header.path] * 4), ImageFacts(header), nothing)
    if not files:
        header = Header(name, mode="RGB", size=image.shape[:2])
    values, counts = distinct(mask)
    found = np.bincount(values, weights=counts, minlength=IGNORED + 1).astype(np.int64)
    labels = MaskFacts(
        Header(header.path, mode="L", size=mask.shape),
        "read",
        values,
        counts,
        classes=found[:number],
        ignored=int(found[IGNORED]),
        unknown=int(found[number:IGNORED].sum()),
    )
    return PairFacts(Pair(*[header.path] * 4), ImageFacts(header, likeness(image)), labels)
