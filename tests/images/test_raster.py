"""Mosaics that GDAL reads."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from seglight.errors import UserError
from seglight.images.band_windows import band_windows
from seglight.images.read_bands import holding, read_bands
from tests.support.band_images import described, noise

rasterio = pytest.importorskip("rasterio")

VRT = """<VRTDataset rasterXSize="40" rasterYSize="20"><SRS>EPSG:32632</SRS>
<GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform>{bands}</VRTDataset>"""
BAND = """<VRTRasterBand dataType="UInt16" band="{band}"><Description>b{band}</Description>
<NoDataValue>3</NoDataValue>{sources}</VRTRasterBand>"""
SOURCE = """<SimpleSource><SourceFilename relativeToVRT="1">{name}.tif</SourceFilename><SourceBand>{band}</SourceBand>
<SrcRect xOff="0" yOff="0" xSize="20" ySize="20"/><DstRect xOff="{left}" yOff="0" xSize="20" ySize="20"/>
</SimpleSource>"""


def mosaic() -> str:
    bands = ""
    for band in (1, 2):
        sources = "".join(SOURCE.format(name=name, band=band, left=left) for name, left in (("left", 0), ("right", 20)))
        bands += BAND.format(band=band, sources=sources)
    return VRT.format(bands=bands)


def test_a_mosaic_is_one_image(tmp_path: Path) -> None:
    parts = [noise(2, "uint16", (20, 20), seed) for seed in (0, 1)]
    for index, (name, part) in enumerate(zip(("left", "right"), parts, strict=True)):
        place = rasterio.Affine(10, 0, 500000 + 200 * index, 0, -10, 5e6)
        shape = {"width": 20, "height": 20, "count": 2, "dtype": "uint16", "crs": "EPSG:32632", "transform": place}
        with rasterio.open(tmp_path / f"{name}.tif", "w", driver="GTiff", **shape) as raster:
            raster.write(np.moveaxis(part, -1, 0))
    path = tmp_path / "both.vrt"
    path.write_text(mosaic())
    assert holding(path).line() == "a VRT of 2 bands of uint16 (b1, b2), 20 x 40, no data 3"
    right = np.concatenate(parts, axis=1)
    assert np.array_equal(read_bands(path, described(2, "uint16")), right)
    windows = pickle.loads(pickle.dumps(band_windows(path, described(2, "uint16"))))
    assert np.array_equal(windows.read(slice(3, 20), slice(11, 33)), right[3:20, 11:33])
    with pytest.raises(UserError, match="declares 3 bands"):
        read_bands(path, described(3, "uint16"))
    (tmp_path / "right.tif").unlink()
    with pytest.raises(UserError, match="not readable as a raster") as caught:
        band_windows(path, described(2, "uint16")).read(slice(0, 20), slice(0, 40))
    assert "\n" not in str(caught.value)
