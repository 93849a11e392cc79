"""Pages of a TIFF by their tags, before a pixel is decoded."""

import logging
import re
from typing import TYPE_CHECKING, NamedTuple

from seglight.images.exif import ORIENTATION
from seglight.images.file_in_memory import AnyFile, FileInMemory, openable

if TYPE_CHECKING:
    import tifffile

BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

COLOURS = {"MINISWHITE": 1, "MINISBLACK": 1, "PALETTE": 1, "RGB": 3, "YCBCR": 3, "SEPARATED": 4}
"""Number of colour samples of a pixel by photometric interpretation; others are not supported."""

SAMPLE_FORMATS = {2: "signed integers", 3: "floating point", 5: "complex integers", 6: "complex numbers"}

REDUCED, MASK = 1, 4
"""Bits of a page's type: a reduced copy of another page, and a mask of one."""

RAW_VERSION = 50706
"""Tag that makes a TIFF a digital negative (DNG)."""

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its complaints are reported once, as an error


class Page(NamedTuple):
    """A page that is an image.

    Args:
        number: Index of the page in the file, from 0.
        size: Height and width as stored.
        bits: Bits of a sample.
        channels: Samples of a pixel.
        orientation: Orientation, 1 to 8.
        alpha: Whether one of the samples is the opacity.
        compression: TIFF number of the compression.
        unread: Kind and description of unsupported content, or None.
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
        pages: Pages without reduced copies and masks; a page that is marked as reduced but not smaller than any other
            one is included.
        parts: Description of how the pages are parts of one image, or "".
    """

    pages: tuple[Page, ...]
    parts: str


def tiff_pages(file: AnyFile) -> Pages:
    """List the pages of a file.

    Raises:
        Exception: Any error that tifffile raises for a damaged file.
        ValueError: The file has no page.
    """
    import tifffile  # here: most images are not TIFFs

    name = file.name if isinstance(file, FileInMemory) else None
    with tifffile.TiffFile(openable(file), name=name) as tiff:
        return pages_in(tiff)


def pages_in(tiff: "tifffile.TiffFile") -> Pages:
    """List the pages of an opened file; see `tiff_pages`."""
    # by number: iterating over pages, tifffile never ends if a page is its own successor
    read = [tiff.pages[number].aspage() for number in range(len(tiff.pages))]
    whole = [page for page in read if not page.subfiletype & (REDUCED | MASK)]
    if not whole and read and RAW_VERSION in read[0].tags:  # a thumbnail that is marked as part of a raw image
        whole = read[:1]
    if whole:
        whole = [page for page in read if page in whole or _is_misnamed(page, whole)]
    else:
        raise ValueError("it contains only reduced copies" if read else "no page")
    return Pages(tuple(map(page_of, whole)), _parts(tiff, whole))


def _is_misnamed(page: "tifffile.TiffPage", whole: "list[tifffile.TiffPage]") -> bool:
    """Whether a page is neither a mask nor smaller than a whole page; a side of one pixel can't be reduced."""
    sides = page.imagelength, page.imagewidth
    return not page.subfiletype & MASK and not any(
        all(side < long or side == long == 1 for side, long in zip(sides, whole_sides, strict=True))
        for whole_sides in ((one.imagelength, one.imagewidth) for one in whole)
    )


def page_of(page: "tifffile.TiffPage") -> Page:
    """Facts about a page."""
    orientation = page.tags.valueof(ORIENTATION)
    alpha = len(page.extrasamples) == 1 and int(page.extrasamples[0]) in (1, 2)
    return Page(
        page.index,
        (page.imagelength, page.imagewidth),
        bits_of(page),
        page.samplesperpixel,
        int(orientation) if orientation in range(1, 9) else 1,
        alpha,
        int(page.compression),
        _unread(page, alpha),
    )


def compression_name(number: int) -> str:
    """Name of a compression."""
    import tifffile

    return tifffile.COMPRESSION(number).name if number in {*tifffile.COMPRESSION} else str(number)


def bits_of(page: "tifffile.TiffPage") -> int:
    """Largest number of bits of a sample."""
    bits = page.bitspersample
    return max(bits) if isinstance(bits, tuple) else int(bits)


def _unread(page: "tifffile.TiffPage", alpha: bool) -> tuple[str, str] | None:
    colour = getattr(page.photometric, "name", str(page.photometric))
    channels, bits, sample = page.samplesperpixel, bits_of(page), SAMPLE_FORMATS.get(int(page.sampleformat), "")
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
    """Description of how the pages, or data behind them, form one image; "" if each is an image of its own."""
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
