"""Facts about tiles of scenes. Imports no torch: worker processes start without it."""

import numpy as np

from seglight.commands.doctor.band_facts import band_facts
from seglight.commands.doctor.facts import ImageFacts, MaskFacts, Pair, PairFacts, distinct
from seglight.commands.doctor.headers import Header
from seglight.data.augmentation.missing import without_missing
from seglight.data.scenes.tiles import Tiles
from seglight.errors import UserError, one_line
from seglight.images.read_bands import holding
from seglight.ops.label_types import ignored_value


def tile_facts(split: Tiles, number: int, index: int) -> PairFacts:
    """Read tile `index` of a split with `number` classes."""
    scene, box = split.boxes[index]
    name = split.scenes.name(scene, box)
    pair = Pair(*[name] * 4)
    size = (box[2] - box[0], box[3] - box[1])
    header = Header(name, mode="RGB", size=size)
    try:
        image, mask, _ = split.read(index)
    except UserError as error:
        reason = one_line(error)
        if reason.startswith(str(split.scenes.labels.paths[scene])):
            return PairFacts(
                pair, ImageFacts(header), MaskFacts(Header(name, problem="unreadable-label", error=reason))
            )
        broken = Header(name, problem="truncated", error=reason)
        return PairFacts(pair, ImageFacts(broken), MaskFacts(Header(name, problem="missing")))
    missing = split.scenes.bands.without_data(image)
    values, counts = distinct(without_missing(mask, missing))
    ignored = ignored_value(mask.dtype)
    found = np.bincount(values, weights=counts, minlength=ignored + 1).astype(np.int64)
    labels = MaskFacts(
        Header(name, mode="L", size=size),
        "read",
        values,
        counts,
        classes=found[:number],
        ignored=int(found[ignored]),
        unknown=int(found[number:ignored].sum()),
        nodata=int(missing.sum()),
    )
    bands = split.scenes.bands
    held = None if bands.is_rgb8 else band_facts(name, holding(split.scenes.images[scene][0]), image, bands)
    return PairFacts(pair, ImageFacts(header, bands=held), labels)
