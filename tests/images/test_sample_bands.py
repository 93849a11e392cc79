"""Every real image of the collection is read with the values that other libraries read, or refused with a reason."""

from typing import Any

import numpy as np
import pytest

from seglight.errors import UserError
from seglight.images.band_windows import band_windows
from seglight.images.bands import RGB
from seglight.images.read_bands import decode_bands, holding, read_bands
from tests.support.band_images import described, fitting
from tests.support.samples import readings, samples

FRAMES = "an image is one picture"
TYPES = "seglight reads uint8, uint16, int16, float32"

REFUSED = {
    "apng/delay.png": FRAMES,
    "apng/dispose_op_background_p_mode.png": FRAMES,
    "apng/mode_16bit.png": FRAMES,
    "apng/mode_palette.png": FRAMES,
    "broken/corrupt.tif": "damaged",
    "broken/truncated.heic": FRAMES,
    "broken/truncated.jpg": "damaged",
    "gif/chi.gif": FRAMES,
    "gif/dispose_bgnd.gif": FRAMES,
    "heif/zPug_3.heic": FRAMES,
    "tiff/gray.u4.tif": TYPES,
    "tiff/multipage_rgb.tif": TYPES,
    "tiff/multipage_three_sizes.tiff": "pages differ",
}

CONVERTED = {"jpeg/cmyk.jpg": "inks"}
"""Files whose reading by other libraries has other bands than the colours that are read."""


def images() -> list[str]:
    return sorted(readings(samples())["images"])


def test_every_image_is_read_or_refused() -> None:
    wrong = []
    for name in images():
        path = samples() / "images" / name
        told = readings(samples())["images"][name]
        try:
            held = holding(path)
            read = read_bands(path, fitting(held))
        except UserError as error:
            if REFUSED.get(name, "-") not in str(error) or "\n" in str(error) or not str(error).startswith(f"{path}: "):
                wrong.append(str(error))
            continue
        assert name not in REFUSED, name
        assert read.shape == (held.height, held.width, held.bands * held.pages), name
        wrong += _unlike(name, told, read)
        if np.any(decode_bands(path.read_bytes(), path.name, fitting(held)) != read):
            wrong.append(f"{name}: other values from memory")
    assert not wrong


def _unlike(name: str, told: dict[str, Any], read: np.ndarray[Any, Any]) -> list[str]:
    """Values that other libraries read differently."""
    if name in CONVERTED:
        return []
    factor = 1.0
    means: list[float] = []
    if "tifffile" in told:
        means = told["tifffile"]["page_means"]
        factor = 255.0 if told["tifffile"]["page0"][1] == "bool" else 1.0
    elif len(told.get("imagecodecs", ())) == 4:
        means = [told["imagecodecs"][3]]
        if told["imagecodecs"][1] != str(read.dtype) or np.prod(told["imagecodecs"][0]) != read.size:
            return [f"{name}: {read.shape} {read.dtype} where imagecodecs has {told['imagecodecs']}"]
    bands = read.shape[2] // max(1, len(means))
    tolerance = {"jpg": 0.1, "tif": 1e-3 * factor}.get(name[-3:], 1e-3)  # JPEG decoders differ by one
    found = [read[..., page * bands : (page + 1) * bands].mean() for page in range(len(means))]
    close = np.allclose(found, factor * np.array(means), rtol=0, atol=0.1 if "jpeg" in name else tolerance)
    return [] if close else [f"{name}: {found} where {means} is right"]


@pytest.mark.parametrize("folder", ["geo", "geo/multiband-made"])
def test_every_raster_is_read_with_all_bands(folder: str) -> None:
    for name, told in readings(samples())[folder].items():
        path = samples() / folder / name
        held = holding(path)
        count, height, width = told["shape_bands_h_w"]
        assert (held.bands, held.height, held.width, held.type) == (count, height, width, told["dtype"]), name
        assert held.nodata == pytest.approx(None if told["nodata"] is None else float(told["nodata"]), nan_ok=True), (
            name
        )
        read = read_bands(path, fitting(held)).astype(np.float64)
        means = np.nanmean(read, axis=(0, 1))
        assert means == pytest.approx(told["band_mean"], rel=1e-6, abs=2e-3), name
        assert band_windows(path, fitting(held)).shape == (height, width)


def test_values_are_those_of_rasterio() -> None:
    rasterio = pytest.importorskip("rasterio")
    for name in ("rasterio/RGBA.uint16.tif", "torchgeo/naip-4band.tif", "multiband-made/thirteen_uint16.tif"):
        path = samples() / "geo" / name
        with rasterio.open(path) as raster:
            right = np.moveaxis(raster.read(), 0, -1)
        bands = fitting(holding(path))
        assert np.array_equal(read_bands(path, bands), right)
        found = band_windows(path, bands).read(slice(3, 30), slice(5, 31))
        assert np.array_equal(found, right[3:30, 5:31])


def test_names_that_the_files_state() -> None:
    told = {
        "geo/multiband-made/four_uint16.tif": ("red", "green", "blue", "nir"),
        "geo/rasterio/RGBA.uint16.tif": ("blue", "green", "red", "alpha"),
        "images/ome-tiff-made/4ch_uint16.ome.tif": ("DAPI", "GFP", "RFP", "Cy5"),
    }
    assert {name: holding(samples() / name).names for name in told} == told


def test_channels_of_ome_are_bands() -> None:
    path = samples() / "images" / "ome-tiff-made" / "4ch_uint16.ome.tif"
    told = readings(samples())["images/ome-tiff-made"][path.name]
    held = holding(path)
    assert (held.bands, held.pages, held.axes) == (told["shape"][0], 1, told["axes"])
    read = read_bands(path, fitting(held))
    assert read.mean((0, 1)) == pytest.approx(told["channel_means"], abs=1e-4)
    assert read.max() == told["max"]


def test_the_refusal_shows_content_and_declaration() -> None:
    path = samples() / "geo" / "multiband-made" / "four_uint16.tif"
    for bands in (RGB, described(3, "uint16")):
        with pytest.raises(UserError) as caught:
            read_bands(path, bands)
        assert "a TIFF of 4 bands of uint16 (red, green, blue, nir), 128 x 128, no data 0" in str(caught.value)
        assert "bands: {names: [red, green, blue, nir], type: uint16, nodata: 0}" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_heic_is_read_as_rgb_without_a_description() -> None:
    pi_heif = pytest.importorskip("pi_heif")
    path = samples() / "images" / "heif" / "RGB_8__128x128.heif"
    assert np.array_equal(read_bands(path, RGB), np.array(pi_heif.open_heif(path)))
