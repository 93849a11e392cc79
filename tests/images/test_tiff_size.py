"""The size of a TIFF by its directories, compared with files that tifffile writes."""

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from seglight.images.tiff_size import MOST_COPIES, tiff_size


def written(*pages: tuple[tuple[int, int], dict[str, Any]], **options: Any) -> bytes:
    """A file of pages of some sizes."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, **options) as file:
        for size, about in pages:
            if about.get("subfiletype") == 4:
                file.write(np.zeros(size, bool), photometric="minisblack", **about)
            else:
                file.write(np.zeros((*size, 3), np.uint8), photometric="rgb", **about)
    return buffer.getvalue()


def directory(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    """A little-endian file of one directory; an entry is a tag, a type, a number of values and a value."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", following)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_all_layouts(order: Any, big: bool) -> None:
    assert tiff_size(written(((5, 7), {}), byteorder=order, bigtiff=big)) == (5, 7)


@pytest.mark.parametrize("big", [False, True])
def test_copies_and_masks_are_skipped(big: bool) -> None:
    pages = [((2, 3), {"subfiletype": 1}), ((5, 7), {"subfiletype": 4}), ((5, 7), {}), ((2, 3), {"subfiletype": 1})]
    assert tiff_size(written(*pages, bigtiff=big)) == (5, 7)
    assert tiff_size(written(*pages[:2], bigtiff=big)) == (2, 3)


@pytest.mark.parametrize("orientation", [0, 1, 3, 6, 8, 9])
def test_orientations(orientation: int) -> None:
    data = written(((5, 7), {"extratags": [(274, 3, 1, orientation, True)]}))
    assert tiff_size(data) == ((7, 5) if orientation in (6, 8) else (5, 7))


def test_types_of_numbers() -> None:
    for kind in (1, 3, 4):
        assert tiff_size(directory((256, kind, 1, 7), (257, kind, 1, 5))) == (5, 7)
    assert tiff_size(directory((255, 3, 1, 1), (256, 3, 1, 7), (257, 3, 1, 5))) == (5, 7)


@pytest.mark.parametrize(
    "data",
    [
        b"II*\0",
        b"II*\0\0\0\0\0",
        b"II*\0\xff\xff\xff\xff",
        directory(),
        directory((256, 3, 1, 7)),
        directory((256, 3, 1, 7), (257, 3, 1, 0)),
        directory((256, 3, 1, 7), (257, 2, 1, 5)),
        b"II*\0" + struct.pack("<IH", 8, 5000) + bytes(12 * 5000),
        b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63) + bytes(99),
        directory((256, 3, 1, 7), (257, 3, 1, 5))[:-10],
    ],
)
def test_damage(data: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        tiff_size(data)


def test_pages_that_are_their_own_successors_end() -> None:
    circle = directory((254, 4, 1, 1), (256, 3, 1, 7), (257, 3, 1, 5), following=8)
    with pytest.raises(ValueError, match="more than 100 reduced copies"):
        tiff_size(circle)


def test_an_image_behind_more_copies_than_any_file_has_is_refused() -> None:
    """The size of a copy in its place would let any image pass the limits of a server."""
    copies = [((2, 3), {"subfiletype": 1})] * (MOST_COPIES - 1)
    assert tiff_size(written(*copies, ((5, 7), {}))) == (5, 7)
    with pytest.raises(ValueError, match="more than 100 reduced copies"):
        tiff_size(written(*copies, *copies[:2], ((5, 7), {})))
