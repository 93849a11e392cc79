"""Facts about tiles of scenes. Imports no torch: worker processes start without it."""

from seglight.commands.doctor.band_facts import band_facts
from seglight.commands.doctor.facts import ImageFacts, MaskFacts, Pair, PairFacts, label_facts
from seglight.commands.doctor.headers import Header
from seglight.data.scenes.tiles import Tiles
from seglight.errors import UserError, one_line
from seglight.images.read_bands import holding


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
    bands = split.scenes.bands
    labels = label_facts(Header(name, mode="L", size=size), mask, bands.without_data(image), number)
    held = None if bands.is_rgb8 else band_facts(name, holding(split.scenes.images[scene][0]), image, bands)
    return PairFacts(pair, ImageFacts(header, bands=held), labels)
