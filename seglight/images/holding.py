"""What an image file holds: its size, bands, type, pages and names, and what to declare to read it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from seglight.errors import UserError
from seglight.images.bands import MOST_BANDS, TYPES, Bands
from seglight.images.file_in_memory import AnyFile
from seglight.images.image_header import UnreadImageError

MEASURED = "with the mean and std of each, which `seglight doctor` measures and prints"


@dataclass(frozen=True)
class Holding:
    """What a file holds, by its header.

    Args:
        format: Name of the format: "TIFF", "OME-TIFF", "PNG", ...
        height: Height in pixels, after the orientation is applied.
        width: Width in pixels, after the orientation is applied.
        bands: Bands of an image of the file; colours of palettes and of CMYK are read as red, green and blue.
        type: NumPy's name of the type of a value.
        pages: Number of images in the file that are not the channels of one image by its own metadata.
        names: Names of the bands that the file states, or none.
        nodata: Value without data that the file states, or None.
        axes: Axes of the stored array in tifffile's letters: C channels, S samples, T times, Z depths, Y, X.
        compression: Name of the compression, or "".
        colours: "palette", "CMYK" or "YCbCr" if values of these are read as red, green and blue, otherwise "".
        unread: Why the content is not supported by any description, or "".
        planes: Indices of the pages of a TIFF that are images, in the order of the bands.
    """

    format: str
    height: int
    width: int
    bands: int
    type: str
    pages: int = 1
    names: tuple[str, ...] = ()
    nodata: float | None = None
    axes: str = ""
    compression: str = ""
    colours: str = ""
    unread: str = ""
    planes: tuple[int, ...] = field(default=(), repr=False, compare=False)

    def line(self) -> str:
        """The content in words: "a TIFF of 4 bands of uint16, 2 pages, 512 x 512, compressed by LZW"."""
        article = "an" if self.format.startswith(("A", "I", "MPO", "O")) else "a"
        named = f" ({', '.join(self.names[:8])}{', ...' if len(self.names) > 8 else ''})" if self.names else ""
        parts = [f"{article} {self.format} of {_count(self.bands, 'band')} of {self.type}{named}"]
        if self.colours:
            parts.append(f"colours of {'a palette' if self.colours == 'palette' else self.colours}")
        if self.pages > 1:
            parts.append(f"{self.pages} {'pages' if 'TIFF' in self.format else 'frames or pictures'}")
        parts.append(f"{self.height} x {self.width}")
        if self.axes and not set(self.axes) <= set("YXS"):
            parts.append(f"axes {self.axes}")
        if self.nodata is not None:
            parts.append(f"no data {self.nodata:g}")
        if self.compression:
            parts.append(f"compressed by {self.compression}")
        return ", ".join(parts)

    def declaration(self) -> str:
        """The lines of `bands:` that describe the file, without statistics: "bands: {names: [...], type: uint16}"."""
        count = self.bands * self.pages
        names = self.names if len(self.names) == count else tuple(f"band{index + 1}" for index in range(count))
        listed = ", ".join(names) if count <= 16 else f"{names[0]}, ..., {names[-1]}"
        parts = [f"names: [{listed}]", f"type: {self.type}"]
        if self.nodata is not None:
            parts.append(f"nodata: {_digits(self.nodata, self.type)}")
        if self.pages > 1:
            parts.append("pages: true")
        return f"bands: {{{', '.join(parts)}}}"


def check_holding(file: AnyFile, held: Holding, bands: Bands) -> None:
    """Check that a description fits a file to the last band, page and bit.

    Raises:
        UnreadImageError: It does not, in one line with what the file holds and what to declare.
    """
    if held.unread:
        raise unlike(file, held, held.unread)
    if held.pages > 1 and "TIFF" not in held.format:
        raise unlike(file, held, "an image is one picture: save each as a file of its own")
    if held.type not in TYPES:
        wider = "int16" if held.type == "int8" else "float32"
        raise unlike(file, held, f"seglight reads {', '.join(TYPES)}: save it as {wider}")
    count = held.bands * held.pages
    if count > MOST_BANDS:
        raise unlike(file, held, f"an image has at most {MOST_BANDS} bands: save the ones of interest")
    declared = f"`bands:` declares {bands.line()}"
    if held.pages > 1 and not bands.pages:
        raise unlike(
            file, held, f"{declared} in one page: if the pages are bands, {_advice(held)}; else save each page"
        )
    if count != len(bands.names):
        raise unlike(file, held, f"{declared}: {_advice(held)}")
    if held.type != bands.type:
        why = "its values are not converted, as mean, std and the weights of a net belong to a type"
        raise unlike(file, held, f"{declared}; {why}: {_advice(held)}, or save all files as {bands.type}")


def unlike(file: AnyFile, held: Holding, why: str) -> UnreadImageError:
    """The error about a sound file that a description does not fit."""
    error = UnreadImageError(f"{file}: {held.line()}; {why}")
    error.kind = "bands"
    error.holds = held.line()
    return error


def undeclared(error: UnreadImageError, held: Holding) -> UserError:
    """The error about a file that is more than 8-bit RGB, with what to declare if that would read it."""
    if held.unread or held.type not in TYPES or (held.pages > 1 and "TIFF" not in held.format):
        return error
    if held.bands * held.pages > MOST_BANDS:
        return error
    described = UnreadImageError(f"{error}; or {_advice(held)} (it is {held.line()})")
    described.kind = error.kind
    described.holds = error.holds
    return described


def check_size_of(file: AnyFile, held: Holding, first: AnyFile, size: tuple[int, int]) -> None:
    """Check that the file of a band has the size of the file of the first band.

    Raises:
        UserError: It has another one.
    """
    if (held.height, held.width) != size:
        raise UserError(  # not that of `unlike`: no other description would fit
            f"{file}: {held.line()}; {first} has {size[0]} x {size[1]} pixels: resample the bands to one grid, as with "
            "`gdalwarp -tr`"
        )


def _advice(held: Holding) -> str:
    return f"declare `{held.declaration()}` {MEASURED}"


def stated_nodata(value: float | None, dtype: np.dtype[Any] | None) -> float | None:
    """The value without data that a file states, as its type holds it; None: none, or one that no pixel can have.

    Args:
        value: Value by the metadata of the file.
        dtype: Type of its pixels; None: one that NumPy does not have.
    """
    if value is None or dtype is None or dtype.kind not in "iuf":
        return value
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return float(dtype.type(value))
    info = np.iinfo(dtype)
    return value if float(value).is_integer() and info.min <= value <= info.max else None


def _digits(value: float, kind: str) -> str:
    """A value with all of its digits: fewer would name another value of float32."""
    if math.isnan(value):
        return "nan"
    return str(np.float32(value)) if kind == "float32" else f"{value:.12g}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def joined_names(names: Sequence[str], count: int) -> tuple[str, ...]:
    """Names of bands if each band has one of its own, otherwise none."""
    stripped = tuple(name.strip() for name in names)
    return stripped if len(stripped) == count and all(stripped) and len({*stripped}) == count else ()


def colour_names(count: int, has_alpha: bool) -> tuple[str, ...]:
    """Names of bands of which the first are red, green and blue, such as those of a photo; none for grey."""
    if count < 3:
        return ()
    fourth = ("alpha",) if has_alpha and count > 3 else ()
    more = tuple(f"band{index + 1}" for index in range(3 + len(fourth), count))
    return ("red", "green", "blue", *fourth, *more)
