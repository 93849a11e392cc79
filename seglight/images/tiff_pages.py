"""What the pages of a TIFF hold, by their tags, before a pixel is decoded."""

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from seglight.images.exif import ORIENTATION

if TYPE_CHECKING:
    import tifffile

BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

COLOURS = {"MINISWHITE": 1, "MINISBLACK": 1, "PALETTE": 1, "RGB": 3, "YCBCR": 3, "SEPARATED": 4}
"""Samples of a pixel's colour by what they are; other kinds are not read."""

SAMPLE_FORMATS = {2: "signed integers", 3: "floating point", 5: "complex integers", 6: "complex numbers"}

REDUCED, MASK = 1, 4
"""Bits of a page's type: a smaller copy of another page, and a mask of one."""

RAW_VERSION = 50706
"""Tag that makes a TIFF a digital negative (DNG)."""

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it complains of is told once, as an error


class Page(NamedTuple):
    """A page that is an image.

    Args:
        number: Its place in the file, from 0.
        size: Height and width as stored.
        bits: Bits of a sample.
        channels: Samples of a pixel.
        orientation: How it is to be turned, 1 to 8.
        alpha: Whether a sample says how opaque the pixel is.
        compression: The number of its compression.
        unread: The kind of thing that is not read, and what it holds of it; None where it is read.
    """

    number: int
    size: tuple[int, int]
    bits: int
    channels: int
    orientation: int
    alpha: bool
    compression: int
    unread: tuple[str, str] | None


class Pages(NamedTuple):
    """The pages of a file that are images.

    Args:
        pages: All but reduced copies and masks; what calls itself reduced and is not smaller than any other page is
            a page.
        parts: How pages are parts of one image, where they are; else "".
    """

    pages: tuple[Page, ...]
    parts: str


def tiff_pages(path: Path) -> Pages:
    """The pages of a file.

    Raises:
        Exception: Whatever tifffile raises on a damaged file.
        ValueError: There is no page.
    """
    import tifffile  # here: most images are no TIFFs

    with tifffile.TiffFile(path) as file:
        # by number: told to iterate, tifffile goes round in circles where a page is its own successor
        read = [file.pages[number].aspage() for number in range(len(file.pages))]
        whole = [page for page in read if not page.subfiletype & (REDUCED | MASK)]
        if not whole and read and RAW_VERSION in read[0].tags:  # a thumbnail, which says that it is one of a raw image
            whole = read[:1]
        if whole:
            whole = [page for page in read if page in whole or _is_misnamed(page, whole)]
        else:
            raise ValueError("it holds reduced copies alone" if read else "no page")
        return Pages(tuple(map(page_of, whole)), _parts(file, whole))


def _is_misnamed(page: "tifffile.TiffPage", whole: "list[tifffile.TiffPage]") -> bool:
    """Whether a page is no mask, and no smaller copy of a whole page either; a side of one pixel cannot be halved."""
    sides = page.imagelength, page.imagewidth
    return not page.subfiletype & MASK and not any(
        all(side < long or side == long == 1 for side, long in zip(sides, whole_sides, strict=True))
        for whole_sides in ((one.imagelength, one.imagewidth) for one in whole)
    )


def page_of(page: "tifffile.TiffPage") -> Page:
    """What a page holds."""
    orientation = page.tags.valueof(ORIENTATION)
    alpha = len(page.extrasamples) == 1 and int(page.extrasamples[0]) in (1, 2)
    return Page(
        page.index,
        (page.imagelength, page.imagewidth),
        _bits(page),
        page.samplesperpixel,
        int(orientation) if orientation in range(1, 9) else 1,
        alpha,
        int(page.compression),
        _unread(page, alpha),
    )


def compression_name(number: int) -> str:
    """What a compression is called."""
    import tifffile

    return tifffile.COMPRESSION(number).name if number in {*tifffile.COMPRESSION} else str(number)


def _bits(page: "tifffile.TiffPage") -> int:
    bits = page.bitspersample
    return max(bits) if isinstance(bits, tuple) else int(bits)


def _unread(page: "tifffile.TiffPage", alpha: bool) -> tuple[str, str] | None:
    colour = getattr(page.photometric, "name", str(page.photometric))
    channels, bits, sample = page.samplesperpixel, _bits(page), SAMPLE_FORMATS.get(int(page.sampleformat), "")
    shown = f"{channels} channel{'' if channels == 1 else 's'} of {bits} bits"
    if colour in ("CFA", "LINEAR_RAW") or RAW_VERSION in page.tags:
        return "format", "camera raw (DNG)"
    if colour == "PALETTE" and bits > 8:
        return "format", f"a TIFF of palette indices, {shown}"
    if bits > 8 or sample:
        return "deep", f"{shown}, {sample}" if sample else shown
    if page.imagedepth > 1:
        return "pages", f"a volume of {page.imagedepth} slices"
    if colour not in COLOURS:
        return "format", f"a TIFF of colours {colour}"
    more = channels - COLOURS[colour]
    if more > int(alpha and colour in ("MINISBLACK", "PALETTE", "RGB")):
        return "bands", f"{shown} ({colour} and {more} more)"
    return None


def _parts(file: "tifffile.TiffFile", pages: "list[tifffile.TiffPage]") -> str:
    """How pages, or what a file keeps behind them, make one image; "" where each is an image of its own."""
    samples = pages[0].samplesperpixel
    ome = file.ome_metadata if file.is_ome else None
    channels = max(map(int, re.findall(r'SizeC="(\d{1,6})"', ome or "")), default=1)
    if channels > samples:
        return f"one image of {channels} channels (OME-TIFF)"
    imagej = (file.imagej_metadata or {}) if file.is_imagej else {}
    if int(imagej.get("channels", 1)) > 1:
        return f"one image of {imagej['channels']} channels (ImageJ)"
    if int(imagej.get("images", 1)) > len(file.pages):
        return f"a stack of {imagej['images']} images behind {len(pages)} page (ImageJ)"
    if file.is_stk:
        planes = int((file.stk_metadata or {}).get("NumberPlanes", 1))
        return f"a stack of {planes} planes (MetaMorph)" if planes > 1 else ""
    shaped = (file.shaped_metadata or ({},))[0] if file.is_shaped else {}
    return "a stack behind one page" if shaped.get("truncated") else ""
