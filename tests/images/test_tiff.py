"""TIFFs by page and by window, against tifffile's own reading of the whole and Pillow's.

Covers: images.page_samples.
"""

import lzma
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from seglight.errors import UserError
from seglight.images.decode import read_page
from seglight.images.tiff import TiffWindows, pages

RGB = np.random.default_rng(0).integers(0, 256, (150, 210, 3), dtype=np.uint8)
WINDOWS = (
    (0, 150, 0, 210),
    (0, 1, 0, 1),
    (149, 150, 209, 210),
    (30, 97, 11, 205),
    (63, 65, 63, 65),
    (64, 128, 64, 192),
)

LAYOUTS: dict[str, dict[str, Any]] = {
    "one strip": {},
    "strips": {"rowsperstrip": 40},
    "compressed strips": {"rowsperstrip": 40, "compression": "zlib"},
    "one compressed strip": {"rowsperstrip": 150, "compression": "zlib", "predictor": True},
    "tiles": {"tile": (64, 32)},
    "compressed tiles": {"tile": (64, 32), "compression": "zlib"},
    "big-endian bigtiff": {"tile": (16, 16), "bigtiff": True, "byteorder": ">"},
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_windows_are_parts_of_the_whole(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", **LAYOUTS[layout])
    windows = TiffWindows(path, 0)
    assert windows.shape == RGB.shape[:2]
    for top, bottom, left, right in WINDOWS:
        found = windows.read(slice(top, bottom), slice(left, right))
        assert found.dtype == np.uint8
        assert np.array_equal(found, RGB[top:bottom, left:right])


@pytest.mark.parametrize("kind", ["grey", "white is zero", "palette", "alpha", "planes"])
def test_windows_have_the_colours_that_pillow_gives(kind: str, tmp_path: Path) -> None:
    path, grey = tmp_path / "image.tif", RGB[..., 0]
    if kind == "palette":
        image = Image.fromarray(grey)
        image.putpalette(np.random.default_rng(1).integers(0, 256, 768, dtype=np.uint8).tobytes())
        image.save(path)
    elif kind == "planes":
        tifffile.imwrite(path, np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate", tile=(64, 64))
    elif kind == "alpha":
        rgba = np.dstack([RGB, np.full_like(grey, 255)])
        tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"], tile=(64, 64))
    else:
        tifffile.imwrite(path, grey, photometric="miniswhite" if kind == "white is zero" else "minisblack")
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(TiffWindows(path, 0).read(slice(20, 140), slice(5, 200)), expected[20:140, 5:200])


def test_pages_without_thumbnails_and_masks(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, photometric="rgb")
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)  # a smaller copy
        file.write(RGB[::-1, :100], photometric="rgb", compression="zlib")
    assert pages(path) == {0: 150 * 210, 2: 150 * 100}
    assert np.array_equal(read_page(path, 0), RGB)
    assert np.array_equal(read_page(path, 2), RGB[::-1, :100])


@pytest.mark.parametrize("samples", [np.uint16, np.float32])
def test_windows_of_other_samples_are_refused(samples: type, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "deep.tif", RGB.astype(samples), photometric="rgb")
    with pytest.raises(UserError, match="save it as 8-bit RGB"):
        TiffWindows(tmp_path / "deep.tif", 0)


def test_a_page_that_a_tag_turns_is_not_read_as_it_lies(tmp_path: Path) -> None:
    """Pillow, which reads whole pages, turns it."""
    exif = Image.Exif()
    for tag in (1, 6):
        exif[274] = tag
        Image.fromarray(RGB).save(tmp_path / f"{tag}.tif", exif=exif)
    assert read_page(tmp_path / "6.tif", 0).shape == (210, 150, 3)
    assert TiffWindows(tmp_path / "1.tif", 0).shape == (150, 210)
    with pytest.raises(UserError, match=r"6.tif: a tag turns it, .* save it upright"):
        TiffWindows(tmp_path / "6.tif", 0)


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "jpeg of YCbCr", "zstd"])
def test_other_compressions(compression: str, tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    if compression == "jpeg of YCbCr":
        smooth = RGB.repeat(16, 0).repeat(16, 1)[:150, :210]
        tifffile.imwrite(path, smooth, photometric="ycbcr", compression="jpeg", tile=(64, 64))
    else:
        Image.fromarray(RGB).save(path, compression=compression)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    found = TiffWindows(path, 0).read(slice(20, 140), slice(5, 200))
    assert abs(found.astype(int) - expected[20:140, 5:200]).max() <= (3 if "jpeg" in compression else 0)


WITHOUT = """
import sys
sys.modules["imagecodecs"] = None
from pathlib import Path
from seglight.images.tiff import TiffWindows
TiffWindows(Path(sys.argv[1]), 0).read(slice(0, 9), slice(0, 9))
"""


def test_what_a_compression_needs_is_reported(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "image.tif", compression="tiff_lzw")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, tmp_path / "image.tif"], capture_output=True, text=True, check=False
    )
    assert 'image.tif: <COMPRESSION.LZW: 5> needs imagecodecs: pip install "seglight[tiff]"' in done.stderr


def test_a_strip_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would fill the memory that windows are to save; uncompressed, it is mapped and may have any size."""
    monkeypatch.setattr("seglight.images.page_samples.MOST_PIXELS", 64 * 210)
    for name, layout, told in (
        ("strip", {"rowsperstrip": 65, "compression": "zlib"}, "65x210 pixels"),
        ("tile", {"tile": (128, 112), "compression": "zlib"}, "128x112 pixels"),
    ):
        tifffile.imwrite(tmp_path / f"{name}.tif", RGB, photometric="rgb", **layout)
        with pytest.raises(UserError, match=rf"{name}.tif: its strips or tiles have {told}, .*: save it in tiles"):
            TiffWindows(tmp_path / f"{name}.tif", 0)
    for name, layout in (("strips", {"rowsperstrip": 64, "compression": "zlib"}), ("plain", {})):
        tifffile.imwrite(tmp_path / f"{name}.tif", RGB, photometric="rgb", **layout)
        TiffWindows(tmp_path / f"{name}.tif", 0)


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
def test_a_tile_that_is_decoded_to_more_than_its_pixels_is_damage(compression: str, tmp_path: Path) -> None:
    """A bomb of 50 MB, cut off at twice the pixels of the tile."""
    bomb = zlib.compress(bytes(5 * 10**7)) if compression == "zlib" else lzma.compress(bytes(5 * 10**7))
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(
        path, iter([bomb] * 4), shape=(128, 128, 3), dtype=np.uint8, photometric="rgb", tile=(64, 64),
        compression=compression,
    )  # fmt: skip
    windows = TiffWindows(path, 0)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"bomb.tif: not readable as a TIFF \(a strip or tile is decoded to more"):
        windows.read(slice(0, 9), slice(0, 9))
    assert tracemalloc.get_traced_memory()[1] < 2 * 10**7, "LZMA has a dictionary of 8 MB"
    tracemalloc.stop()


def test_damage_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(64, 64), compression="zlib")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"image\.tif: not readable as a TIFF"):
        TiffWindows(path, 0).read(slice(0, 150), slice(0, 210))
    path.write_bytes(b"II*\0" + bytes(40))
    with pytest.raises(UserError, match=r"image\.tif: not readable as a TIFF"):
        pages(path)
