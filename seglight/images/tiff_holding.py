"""What a TIFF holds by its tags and by the metadata of GDAL, OME and ImageJ, before a pixel is decoded."""

import html
import re
from typing import TYPE_CHECKING, NamedTuple

from seglight.images.exif import turned_size
from seglight.images.file_in_memory import AnyFile, FileInMemory, openable
from seglight.images.holding import Holding, colour_names, joined_names, stated_nodata
from seglight.images.image_header import blamed
from seglight.images.tiff_pages import Page, Pages, bits_of, compression_name, pages_in
from seglight.images.unread import unread_ending

if TYPE_CHECKING:
    import tifffile

GDAL_METADATA, GDAL_NODATA = 42112, 42113

JPEG = 7
"""Compression whose decoder gives red, green and blue."""

ITEM = re.compile(r'<Item name="[^"]*" sample="(\d{1,4})" role="(description|colorinterp)">([^<]{0,200})</Item>')
CHANNEL = re.compile(r'<Channel\b[^>]*?\bName="([^"]{0,200})"')

UNREAD_COLOURS = {"CFA", "LINEAR_RAW", "CIELAB", "ICCLAB", "ITULAB", "LOGL", "LOGLUV"}

STACKS = {"T": "times", "Z": "depths", "H": "lifetimes", "A": "angles", "P": "positions"}
"""What axes beside channels, samples, rows and columns count."""


class _Layout(NamedTuple):
    """How the pages of a file form one image."""

    planes: tuple[int, ...]
    axes: str
    is_channels: bool
    unread: str


def tiff_holding(file: AnyFile) -> Holding:
    """What a TIFF holds.

    Raises:
        UserError: The file is damaged.
    """
    import tifffile  # here: most images are not TIFFs

    name = file.name if isinstance(file, FileInMemory) else None
    with blamed(file), tifffile.TiffFile(openable(file), name=name, _multifile=False) as tiff:
        found = pages_in(tiff)
        page = tiff.pages[found.pages[0].number].aspage()
        layout = _layout(tiff, found)
        first = found.pages[0]
        colours = _colours(page)
        samples = 3 + first.alpha if colours == "palette" else 3 if colours else first.channels
        channels = len(layout.planes) if layout.is_channels else 1
        height, width = turned_size(first.size, first.orientation)
        return Holding(
            "OME-TIFF" if tiff.is_ome else "BigTIFF" if tiff.is_bigtiff else "TIFF",
            height,
            width,
            samples * channels,
            _type(page),
            1 if layout.is_channels else len(layout.planes),
            _names(tiff, page, samples * channels),
            nodata_of(page),
            layout.axes,
            "" if first.compression == 1 else compression_name(first.compression).replace("ADOBE_", ""),
            colours,
            _unread(file, page, first) or layout.unread or _unequal(found),
            layout.planes,
        )


def nodata_of(page: "tifffile.TiffPage") -> float | None:
    """The value without data by GDAL's tag; None: the tag is missing, or no number that a pixel can have."""
    text = page.tags.valueof(GDAL_NODATA)
    try:
        value = float(str(text).strip("\0 ")) if text is not None else None
    except ValueError:
        return None
    return stated_nodata(value, page.dtype)


def _layout(tiff: "tifffile.TiffFile", found: Pages) -> _Layout:
    planes = tuple(page.number for page in found.pages)
    if tiff.is_ome or tiff.is_imagej:
        series = tiff.series
        if len(series) != 1:
            return _Layout(planes, "", False, f"it has {len(series)} images: save each as a file of its own")
        axes, shape = series[0].axes, series[0].shape
        stacked = [f"{size} {STACKS.get(axis, axis)} ({axis})" for axis, size in zip(axes, shape, strict=True)
                   if axis not in "CSYXIQ" and size > 1]  # fmt: skip
        if stacked:
            return _Layout(planes, axes, False, f"a stack of {' and '.join(stacked)}: save each plane as a file")
        pages = list(series[0].pages)
        if any(page is None for page in pages):
            return _Layout(planes, axes, False, "its planes are in several files: join them, as with bioformats2raw")
        indices = tuple(page.index for page in pages if page is not None)
        if {"I", "Q"} & {*axes}:  # images without an order of their own: pages
            return _Layout(planes, axes, False, found.parts)
        channels = shape[axes.index("C")] if "C" in axes else 1
        if channels not in (1, len(indices)):
            return _Layout(planes, axes, False, f"{channels} channels in {len(indices)} pages: save it as an OME-TIFF")
        return _Layout(indices, axes, True, "")
    return _Layout(planes, tiff.pages[planes[0]].aspage().axes, False, found.parts)


def _unequal(found: Pages) -> str:
    """Why pages can't be bands of one image, or ""."""
    kinds = {(page.size, page.bits, page.channels, page.orientation) for page in found.pages}
    return "its pages differ in size or type: save each as a file of its own" if len(kinds) > 1 else ""


def _type(page: "tifffile.TiffPage") -> str:
    if page.dtype is None:
        return f"{bits_of(page)} bits"
    return "uint8" if page.dtype.kind == "b" else page.dtype.name


def _colours(page: "tifffile.TiffPage") -> str:
    """Colours that are read as red, green and blue: "palette", "CMYK", "YCbCr", or ""."""
    colour = getattr(page.photometric, "name", str(page.photometric))
    if colour == "PALETTE" and bits_of(page) <= 8:
        return "palette"
    if colour == "YCBCR" and page.samplesperpixel == 3 and int(page.compression) != JPEG:
        return "YCbCr"  # often stored with fewer samples of colour than of brightness
    return "CMYK" if colour == "SEPARATED" and page.samplesperpixel == 4 and bits_of(page) == 8 else ""


def _unread(file: AnyFile, page: "tifffile.TiffPage", first: Page) -> str:
    colour = getattr(page.photometric, "name", str(page.photometric))
    raw = unread_ending(file)
    if raw.startswith("camera raw") or (first.unread or ("", ""))[1].startswith("camera raw"):
        return f"{raw or 'camera raw (DNG)'}: convert it to PNG or TIFF"
    if page.imagedepth > 1:
        return f"a volume of {page.imagedepth} slices: save each as a file"
    if colour in UNREAD_COLOURS or (colour == "SEPARATED" and not _colours(page)):
        return f"colours {colour} are not read: save it as RGB"
    if colour == "PALETTE" and bits_of(page) > 8:
        return "a palette of more than 256 colours is not read: save it as RGB"
    return ""


def _names(tiff: "tifffile.TiffFile", page: "tifffile.TiffPage", count: int) -> tuple[str, ...]:
    """Names of the bands that the file states: descriptions or colours of GDAL, channels of OME or ImageJ."""
    if tiff.is_ome:
        return joined_names([html.unescape(name) for name in CHANNEL.findall(tiff.ome_metadata or "")], count)
    stated = ITEM.findall(str(page.tags.valueof(GDAL_METADATA) or ""))
    for wanted in ("description", "colorinterp"):
        found = {int(sample): html.unescape(text) for sample, role, text in stated if role == wanted}
        names = joined_names([found.get(index, "") for index in range(count)], count)
        if names:
            return names if wanted == "description" else tuple(name.lower() for name in names)
    colour = getattr(page.photometric, "name", str(page.photometric))
    return colour_names(count, _has_alpha(page)) if colour == "RGB" and count == page.samplesperpixel else ()


def _has_alpha(page: "tifffile.TiffPage") -> bool:
    return bool(page.extrasamples) and int(page.extrasamples[0]) in (1, 2)
