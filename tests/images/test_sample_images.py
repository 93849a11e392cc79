"""Every file of the collection of unusual images: read with its right values, or refused by what it holds.

Covers: commands.predict.inputs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.predict.inputs import Source, pictures
from seglight.errors import UserError
from seglight.images.decode import read_image
from seglight.images.image_header import image_header
from seglight.images.tiff import TiffWindows
from tests.support.samples import readings, samples

HEIC, DEEP = "HEIC or HEIF; seglight does not read", "seglight reads unsigned integers of 8 bits"
TRANSPARENT = "whose alpha is below 255"

FIRST = "Landscape_1.jpg"

READ = {
    "avif/rot1mir0.avif", "jp2/test-card-lossless.jp2", "jpeg/cmyk.jpg", "jpeg/orientation_rectangle.jpg",
    "png/one_bit.png", "png/one_bit_2.png", *(f"exif-orientation/Landscape_{k}.jpg" for k in range(1, 9)),
}  # fmt: skip

REFUSED = {
    "apng/delay.png": "5 frames",
    "apng/dispose_op_background_p_mode.png": "2 frames",
    "apng/mode_16bit.png": "3 frames",
    "apng/mode_palette.png": "3 frames",
    "avif/transparency.avif": TRANSPARENT,
    "broken/corrupt.tif": "not readable as an image",
    "broken/truncated.heic": HEIC,
    "broken/truncated.jpg": "not readable as an image",
    "gif/chi.gif": "31 frames",
    "gif/dispose_bgnd.gif": "5 frames",
    "heif/RGBA_8__29x100.heif": HEIC,
    "heif/RGB_10__29x100.heif": HEIC,
    "heif/RGB_8__128x128.heif": HEIC,
    "heif/zPug_3.heic": HEIC,
    "jp2/16bit.cropped.jp2": f"1 channel of 16 bits; {DEEP}",
    "jpeg/rgb_12bit.jpg": f"3 channels of 12 bits; {DEEP}",
    "png/LA_16__29x100.png": f"2 channels of 16 bits; {DEEP}",
    "png/LA_8__29x100.png": TRANSPARENT,
    "png/L_16__128x128.png": f"1 channel of 16 bits; {DEEP}",
    "png/RGBA_16__29x100.png": f"4 channels of 16 bits; {DEEP}",
    "png/RGB_16__128x128.png": f"3 channels of 16 bits; {DEEP}: save it as 8-bit RGB",
    "png/grey16_with_trns.png": f"1 channel of 16 bits; {DEEP}",
    "png/interlaced_palette.png": TRANSPARENT,
    "png/interlaced_rgba.png": TRANSPARENT,
    "png/rgb16_chessboard.png": f"3 channels of 16 bits; {DEEP}",
    "png/rgb_with_trns.png": TRANSPARENT,
    "ome-tiff-made/4ch_uint16.ome.tif": "one image of 4 channels (OME-TIFF)",
    "tiff/12in16bit.tif": f"1 channel of 16 bits; {DEEP}",
    "tiff/gray.b1.tif": "2 pages",
    "tiff/gray.bigendian.u2.tif": "2 pages",
    "tiff/gray.bigtiff.u1.tif": "2 pages",
    "tiff/gray.f4.tif": "2 pages",
    "tiff/gray.stack.u1.tif": "13 pages",
    "tiff/gray.u4.tif": "2 pages",
    "tiff/grey16_bigendian_chessboard.tif": f"1 channel of 16 bits; {DEEP}",
    "tiff/multipage.tif": "2 pages",
    "tiff/multipage_rgb.tif": "2 pages",
    "tiff/multipage_three_sizes.tiff": "3 pages",
    "tiff/rgb.predict.u1.tif": "2 pages",
    "tiff/rgb.separate.u1.tif": "2 pages",
    "tiff/rgb.tiled.jpeg.u1.tif": "2 pages",
    "tiff/rgb.tiled.jpeg2000.u1.tif": "2 pages",
    "tiff/rgba.separate.tiled.u1.tif": "2 pages",
}

PAGES_REFUSED = {
    "gray.bigendian.u2.tif": "1 channel of 16 bits",
    "gray.f4.tif": "1 channel of 32 bits, floating point",
    "gray.u4.tif": "1 channel of 32 bits",
    "multipage_rgb.tif": "3 channels of 64 bits, floating point",
    "rgb.tiled.jpeg2000.u1.tif": "a TIFF compressed as JPEG2000",
    "rgba.separate.tiled.u1.tif": TRANSPARENT,
}

GEO = {
    "rasterio/RGB.byte.tif": None,
    "rasterio/RGBA.uint16.tif": f"4 channels of 16 bits; {DEEP}",
    "rasterio/cogeo.tif": None,
    "rasterio/float_nan.tif": f"1 channel of 32 bits, floating point; {DEEP}",
    "rasterio/float_raster_with_nodata.tif": "1 channel of 32 bits, floating point",
    "rasterio/rotated.tif": None,
    "torchgeo/airphen-6band.tif": "6 channels of 16 bits",
    "torchgeo/dem-float32.tif": "floating point",
    "torchgeo/landsat7-cloud/image.TIF": "9 channels of 8 bits",
    "torchgeo/naip-4band.tif": f"{TRANSPARENT}: transparent, or another band",
    "torchgeo/sentinel2-13band-cloud/image.tif": "13 channels of 16 bits",
}


def source(path: Path) -> Source:
    return Source(path, Path(path.stem))


def predicted(path: Path) -> list[NDArray[np.uint8]]:
    """What `predict` reads of a file."""
    found = []
    for picture in pictures(source(path)):
        pixels = picture.read()
        assert not isinstance(pixels, TiffWindows)
        found.append(pixels)
    return found


def test_no_file_is_forgotten() -> None:
    files = {path.relative_to(samples() / "images").as_posix() for path in (samples() / "images").rglob("*.*")}
    assert files == READ | REFUSED.keys()


@pytest.mark.parametrize("read", [read_image, predicted])
@pytest.mark.parametrize("name", sorted(READ))
def test_read_with_its_right_values(name: str, read: Callable[[Path], Any]) -> None:
    path = samples() / "images" / name
    told = readings(samples())["images"][name]
    image = read(path) if read is read_image else read(path)[0]
    assert image.dtype == np.uint8
    assert image_header(path).size == image.shape[:2]
    assert image_header(path).held is None
    size = tuple(reversed(told["pillow"]["size"]))
    assert image.shape == (*(size[::-1] if told.get("exif_orientation", 1) > 4 else size), 3)
    if len(told["imagecodecs"]) > 3 and name != "jpeg/cmyk.jpg":  # turning keeps the mean; JPEG decoders differ by 1
        assert image.mean() == pytest.approx(told["imagecodecs"][3], abs=0.1 if "jpg" in name else 1e-4)


def test_cmyk_is_converted_by_the_plain_formula() -> None:
    """Without the colour profile, as Pillow converts: R = 255 - min(255, C + K); docs/tasks/images.md says so."""
    path = samples() / "images" / "jpeg" / "cmyk.jpg"
    with Image.open(path) as image:
        assert image.mode == "CMYK"
        inks = np.asarray(image).astype(int)
    expected = (255 - inks[..., :3]) * (255 - inks[..., 3:]) / 255
    assert np.abs(read_image(path) - expected).max() <= 1


@pytest.mark.parametrize("number", range(1, 9))
def test_orientations_of_one_photo(number: int) -> None:
    """Each was saved anew with a digit painted in; turned the wrong way it is more than 40 grey levels off."""
    folder, name = samples() / "images" / "exif-orientation", f"Landscape_{number}.jpg"
    grey = [np.asarray(Image.fromarray(read_image(folder / file)).convert("L"), int) for file in (FIRST, name)]
    told = readings(samples())["images"][f"exif-orientation/{name}"]["after_turning"]["mean_abs_diff_to_1"]
    assert np.abs(grey[0] - grey[1]).mean() == pytest.approx(told, abs=0.01)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_by_what_it_holds(name: str) -> None:
    path = samples() / "images" / name
    with pytest.raises(UserError) as caught:
        read_image(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert REFUSED[name] in str(caught.value)
    assert "\n" not in str(caught.value)
    if "pages" not in REFUSED[name]:
        with pytest.raises(UserError) as caught:
            predicted(path)
        assert REFUSED[name] in str(caught.value)


@pytest.mark.parametrize("name", sorted(name for name, told in REFUSED.items() if "pages" in told))
def test_pages_are_predicted_each_by_itself(name: str) -> None:
    path, told = samples() / "images" / name, readings(samples())["images"][name]["tifffile"]
    if path.name in PAGES_REFUSED:
        with pytest.raises(UserError, match=PAGES_REFUSED[path.name]):
            predicted(path)
        return
    pages = predicted(path)
    assert len(pages) == told["pages"]
    if path.name != "multipage_three_sizes.tiff":  # a palette, whose indices were averaged
        factor = 255 if told["page0"][1] == "bool" else 1
        means = [factor * mean for mean in told["page_means"]]
        assert [page.mean() for page in pages] == pytest.approx(means, abs=0.02 if factor == 255 else 0.11)


@pytest.mark.parametrize("name", sorted(GEO))
def test_bands_of_the_earth(name: str) -> None:
    path, told = samples() / "geo" / name, GEO[name]
    if told is None:
        key = readings(samples())["geo"][name]["band_mean"]
        image = read_image(path)
        assert image.mean((0, 1)) == pytest.approx(key if len(key) == 3 else key * 3, abs=0.2)
        assert np.array_equal(predicted(path)[0], image)
        return
    for read in (read_image, predicted):
        with pytest.raises(UserError) as caught:
            read(path)
        assert told in str(caught.value)
