"""Facts about samples whose labels only the data set can read: shapes, or one file for many images."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from seglight.commands.doctor.band_facts import BandFacts, band_facts, undeclared_facts
from seglight.commands.doctor.facts import ImageFacts, MaskFacts, Pair, PairFacts, image_facts, label_facts
from seglight.commands.doctor.headers import UNREAD, Header, band_header
from seglight.commands.doctor.image_hash import image_hash
from seglight.data.pairs import IMAGE_SUFFIXES
from seglight.errors import UserError, one_line
from seglight.images.band_files import band_files
from seglight.images.bands import RGB, Bands
from seglight.images.exif import SIDEWAYS
from seglight.images.read_bands import holding
from seglight.images.stretch import without_data
from seglight.interfaces import Labelled


def sample_facts(split: Labelled, number: int, index: int, bands: Bands = RGB) -> PairFacts:
    """Read sample `index` of a split with `number` classes."""
    files = [str(path) for path in split.sources(index)]
    header = band_header(files[0], bands) if files else Header("")
    if header.problem == "missing":
        header = replace(header, problem="unreadable", error="no such file")
    pair = Pair(*[header.path] * 4)
    nothing = MaskFacts(Header(header.path, problem="missing"))
    if header.problem:
        unread = header.problem in (*UNREAD.values(), "undeclared-bands")
        return PairFacts(pair, ImageFacts(header, bands=undeclared_facts(header.path) if unread else None), nothing)
    try:
        image, mask, name = split.read(index)
    except UserError as error:
        return PairFacts(pair, *_at_fault(header, files, one_line(error), bands))
    if not files:
        header = Header(name, mode="RGB", size=image.shape[:2])
    missing = without_data(image, bands) if image.shape[:2] == mask.shape else None
    labels = label_facts(Header(header.path, format=_drawn(files), mode="L", size=mask.shape), mask, missing, number)
    return PairFacts(pair, ImageFacts(header, image_hash(image, bands), _of_bands(header, image, bands)), labels)


def _of_bands(header: Header, image: NDArray[Any], bands: Bands) -> BandFacts | None:
    if bands.is_rgb8 or not header.path:
        return None
    path = Path(header.path)
    return band_facts(header.path, holding(band_files(path, bands)[0] if bands.files else path), image, bands)


def _drawn(files: list[str]) -> str:
    """Format of labels that are shapes, in a file that is not an image, else ""."""
    suffix = Path(files[-1]).suffix.lower() if files else ""
    return "" if suffix in IMAGE_SUFFIXES else suffix.removeprefix(".").upper()


def _at_fault(header: Header, files: list[str], message: str, bands: Bands) -> tuple[ImageFacts, MaskFacts]:
    """Blame the image if it can't be read or the labels fit it only as stored, else the label file."""
    nothing = MaskFacts(Header(header.path, problem="missing"))
    reason = message.removeprefix(f"{header.path}: ")
    image = image_facts(header.path, bands) if header.path else ImageFacts(header)
    if image.header.problem:
        return image, nothing
    if header.orientation in SIDEWAYS and reason.startswith("its EXIF"):
        return ImageFacts(replace(header, problem="exif-rotated", error=reason)), nothing
    labels = files[-1] if files else header.path
    reason = message.removeprefix(f"{labels}: ")
    return image, MaskFacts(Header(labels, problem="unreadable-label", error=reason))
