"""Windows of images of any bands, against the whole and against rasterio."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from seglight.errors import UserError
from seglight.images.band_windows import band_windows
from seglight.images.bands import RGB
from seglight.images.decode import read_image
from seglight.images.image_header import UnreadImageError
from seglight.images.read_bands import holding
from seglight.images.tiff_bands import TiffBands
from tests.support.band_images import described, noise

WINDOWS = ((0, 97, 0, 131), (0, 1, 0, 1), (96, 97, 130, 131), (15, 65, 33, 100), (16, 32, 32, 64))

LAYOUTS: dict[str, dict[str, Any]] = {
    "in place": {"planarconfig": "contig"},
    "in place, big-endian": {"planarconfig": "contig", "byteorder": ">"},
    "planes": {"planarconfig": "separate"},
    "planes of tiles": {"planarconfig": "separate", "tile": (16, 32), "compression": "zlib", "predictor": True},
    "tiles": {"planarconfig": "contig", "tile": (32, 16), "compression": "lzw"},
    "strips": {"planarconfig": "contig", "rowsperstrip": 7, "compression": "zstd"},
    "pages": {"compression": "zlib", "metadata": None},
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize("kind", ["uint8", "uint16", "int16", "float32"])
def test_windows_are_parts_of_the_whole(kind: str, layout: str, tmp_path: Path) -> None:
    pixels = noise(5, kind, (97, 131))
    more = LAYOUTS[layout]
    stored = pixels if more.get("planarconfig") == "contig" else np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="minisblack", **more)
    windows = band_windows(tmp_path / "x.tif", described(5, kind, pages=layout == "pages"))
    assert windows.shape == (97, 131)
    for reader in (windows, pickle.loads(pickle.dumps(windows))):
        for top, bottom, left, right in WINDOWS:
            found = reader.read(slice(top, bottom), slice(left, right))
            assert found.dtype == kind
            assert np.array_equal(found, pixels[top:bottom, left:right])


def test_only_the_tiles_of_a_window_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, noise(3, "uint16", (97, 131)), planarconfig="contig", photometric="minisblack",
                     tile=(16, 16), compression="zlib")  # fmt: skip
    with tifffile.TiffFile(path) as file:
        offset, length = file.pages[0].dataoffsets[-1], file.pages[0].databytecounts[-1]
    data = bytearray(path.read_bytes())
    data[offset : offset + length] = bytes(length)
    path.write_bytes(data)
    windows = band_windows(path, described(3, "uint16"))
    windows.read(slice(0, 96), slice(0, 128))
    with pytest.raises(UserError, match="damaged"):
        windows.read(slice(90, 97), slice(120, 131))


def test_arrays_are_mapped(tmp_path: Path) -> None:
    pixels = noise(4, "int16", (97, 131))
    for stored in (pixels, np.moveaxis(pixels, -1, 0), pixels.astype(">i2")):
        np.save(tmp_path / "x.npy", stored)
        windows = pickle.loads(pickle.dumps(band_windows(tmp_path / "x.npy", described(4, "int16"))))
        assert np.array_equal(windows.read(slice(9, 50), slice(3, 131)), pixels[9:50, 3:131])
        assert windows.read(slice(0, 1), slice(0, 1)).dtype == np.int16


def test_other_formats_are_decoded_whole(tmp_path: Path) -> None:
    pixels = noise(1, "uint16")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "x.png")
    tifffile.imwrite(tmp_path / "turned.tif", pixels[..., 0], extratags=[(274, "H", 1, 3, True)])
    found = band_windows(tmp_path / "x.png", described(1, "uint16"))
    assert np.array_equal(found.read(slice(2, 9), slice(4, 50)), pixels[2:9, 4:50])
    found = band_windows(tmp_path / "turned.tif", described(1, "uint16"))
    assert np.array_equal(found.read(slice(2, 9), slice(4, 50)), pixels[::-1, ::-1][2:9, 4:50])


def test_rgb(tmp_path: Path) -> None:
    pixels = noise(3, "uint8", (97, 131))
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="rgb", tile=(16, 16))
    tifffile.imwrite(tmp_path / "turned.tif", pixels, photometric="rgb", extratags=[(274, "H", 1, 3, True)])
    tifffile.imwrite(tmp_path / "deep.tif", pixels.astype(np.uint16), photometric="rgb")
    Image.fromarray(pixels).save(tmp_path / "x.png")
    for name in ("x.tif", "x.png", "turned.tif"):
        windows = pickle.loads(pickle.dumps(band_windows(tmp_path / name, RGB)))
        assert np.array_equal(windows.read(slice(5, 40), slice(6, 90)), read_image(tmp_path / name)[5:40, 6:90])
    np.save(tmp_path / "x.npy", pixels)
    windows = band_windows(tmp_path / "x.npy", RGB)
    assert np.array_equal(windows.read(slice(5, 40), slice(6, 90)), pixels[5:40, 6:90])
    with pytest.raises(UnreadImageError, match="16 bits"):
        band_windows(tmp_path / "deep.tif", RGB)


def test_what_a_header_states_is_not_allocated(tmp_path: Path) -> None:
    """A mosaic of 10^9 x 10^9 pixels, and TIFFs whose tags state as many."""
    pytest.importorskip("rasterio")
    side = 10**9
    (tmp_path / "x.vrt").write_text(
        f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}">'
        '<VRTRasterBand dataType="UInt16" band="1"/></VRTDataset>'
    )
    with pytest.raises(UserError, match=r"x\.vrt: 1000000000 x 1000000000 pixels: its rows are decoded whole, up to"):
        band_windows(tmp_path / "x.vrt", described(1, "uint16"))
    for name, more in (("strips", {"rowsperstrip": 8}), ("tiles", {"tile": (16, 16), "compression": "zlib"})):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, noise(1, "uint16", (64, 64))[..., 0], **more)
        with tifffile.TiffFile(path, mode="r+b") as file:
            for tag in ("ImageWidth", "ImageLength"):
                file.pages[0].tags[tag].overwrite(10**6, dtype="I")
        with pytest.raises(UserError, match=rf"{name}\.tif: not readable as a TIFF"):
            band_windows(path, described(1, "uint16"))
    (tmp_path / "x.vrt").write_bytes(b'<VRTDataset rasterXSize="\xe8">')
    with pytest.raises(UserError, match=r"x\.vrt: not readable as a raster"):
        band_windows(tmp_path / "x.vrt", described(1, "uint16"))


def test_pages_are_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = noise(5, "uint16", (97, 131))
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.moveaxis(pixels, -1, 0), photometric="minisblack", compression="zlib", metadata=None)
    opened: list[Path] = []
    of_file = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *args: opened.append(self) or of_file(self, *args))  # type: ignore[func-returns-value]
    held = holding(path)
    opened.clear()
    found = TiffBands(path, held)
    assert np.array_equal(found.read(slice(3, 60), slice(5, 130)), pixels[3:60, 5:130])
    assert opened == [path]
