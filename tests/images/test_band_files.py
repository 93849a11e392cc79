"""One file a band."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from seglight.errors import UserError
from seglight.images.band_files import band_files, image_name
from seglight.images.band_windows import band_windows
from seglight.images.bands import Bands
from seglight.images.pixels import read_pixels
from seglight.images.read_bands import decode_bands, read_bands
from tests.support.band_images import described, noise

PATTERNS = ("{name}_{band}.tif", "{band}/{name}.tif", "{name}/{name}_{band}.tif", "{band}-{name}.tif")


def written(folder: Path, bands: Bands) -> np.ndarray:
    pixels = noise(len(bands.names), bands.type)
    for index, band in enumerate(bands.names):
        path = folder / bands.files.format(name="T32_a", band=band)
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, pixels[..., index], tile=(16, 16))
    return pixels


@pytest.mark.parametrize("pattern", PATTERNS)
def test_bands_of_several_files(pattern: str, tmp_path: Path) -> None:
    bands = described(3, "uint16", files=pattern)
    pixels = written(tmp_path, bands)
    first = tmp_path / pattern.format(name="T32_a", band="band1")
    assert image_name(first, bands) == "T32_a"
    assert band_files(first, bands) == [tmp_path / pattern.format(name="T32_a", band=band) for band in bands.names]
    assert np.array_equal(read_bands(first, bands), pixels)
    windows = band_windows(first, bands)
    assert windows.shape == (37, 53)
    assert np.array_equal(windows.read(slice(5, 30), slice(11, 53)), pixels[5:30, 11:53])


def test_bytes_of_one_file_hold_all_bands(tmp_path: Path) -> None:
    bands = described(3, "uint16", files="{name}_{band}.tif")
    pixels = written(tmp_path, bands)
    np.save(tmp_path / "asked.npy", pixels)
    tifffile.imwrite(tmp_path / "asked.tif", pixels, planarconfig="contig", photometric="minisblack")
    for asked in (tmp_path / "asked.npy", tmp_path / "asked.tif"):
        assert np.array_equal(decode_bands(asked.read_bytes(), asked.name, bands), pixels)


def test_what_is_wrong_with_the_files(tmp_path: Path) -> None:
    bands = described(3, "uint16", files="{name}_{band}.tif")
    written(tmp_path, bands)
    first, second, third = (tmp_path / f"T32_a_band{index}.tif" for index in (1, 2, 3))
    assert image_name(second, bands) is None
    with pytest.raises(UserError, match="no file of the first band"):
        read_bands(second, bands)
    with pytest.raises(UserError, match=r"T32_a_band1.tif: a TIFF of 1 band"):
        decode_bands(first.read_bytes(), first.name, bands)
    tifffile.imwrite(third, noise(1, "uint16", (10, 20))[..., 0])
    for read in (read_bands, band_windows):
        with pytest.raises(UserError, match=r"10 x 20; .*band1.tif has 37 x 53 pixels: resample the bands") as caught:
            read(first, bands)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match=r"band3.tif: .* 10 x 20; .*band1.tif has 37 x 53 pixels: resample the bands"):
        read_pixels(first, bands)  # as a net reads them
    tifffile.imwrite(third, noise(2, "uint16"), planarconfig="contig", photometric="minisblack")
    for read in (read_bands, read_pixels):
        with pytest.raises(UserError, match=r"band3.tif: a TIFF of 2 bands"):
            read(first, bands)
    second.unlink()
    third.unlink()
    with pytest.raises(UserError, match=r"band2.tif and 1 more: missing beside .*band1.tif"):
        read_bands(first, bands)
