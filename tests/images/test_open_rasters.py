"""Windows of rasters equal those that rasterio reads.

Covers: images.deflated, images.tile_cache, images.tiled_tiff, images.placement.
"""

import os
import pickle
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images import deflated
from seglight.images.open_rasters import GdalRaster, OpenRasters, open_raster
from seglight.images.placement import _of_tags, placement
from seglight.images.tile_cache import TileCache
from seglight.images.tiled_tiff import TiledTiff
from tests.support import scenes

rasterio = pytest.importorskip("rasterio")
SIZE = (301, 277)


def pixels(kind: str, bands: int) -> NDArray[Any]:
    values = np.random.default_rng(0).random((*SIZE, bands)) * 200
    values[:130, :130] = 0
    return values.astype(kind)


def windows(number: int = 6) -> list[tuple[slice, slice]]:
    rng = np.random.default_rng(1)
    corners = [sorted(rng.choice(side + 1, 2, replace=False).tolist()) for _ in range(number) for side in SIZE]
    return [(slice(*down), slice(*across)) for down, across in zip(corners[::2], corners[1::2], strict=True)]


def equals(path: Path, raster: Any) -> bool:
    with rasterio.open(path) as file:
        return all(
            np.array_equal(
                raster.read(rows, columns),
                file.read(window=((rows.start, rows.stop), (columns.start, columns.stop))).transpose(1, 2, 0),
            )
            for rows, columns in windows()
        )


@pytest.mark.parametrize("kept", [0, 1 << 20])
@pytest.mark.parametrize("options", [{}, {"interleave": "band"}, {"tiled": False, "blockysize": 7}], ids=str)
@pytest.mark.parametrize(
    ("compress", "predictor", "kind"),
    [
        ("none", 1, "uint16"), ("deflate", 1, "uint8"), ("deflate", 2, "int16"), ("deflate", 3, "float32"),
        ("deflate", 2, "float32"), ("lzw", 2, "uint16"), ("zstd", 1, "float32"),
    ],
)  # fmt: skip
def test_windows_are_those_of_gdal(
    tmp_path: Path, compress: str, predictor: int, kind: str, options: dict[str, Any], kept: int
) -> None:
    path = tmp_path / "scene.tif"
    extra = {"predictor": predictor} if compress != "none" else {}
    scenes.write(path, pixels(kind, 3), compress=compress, sparse_ok=True, **extra, **options)
    raster = open_raster(path, TileCache(kept))
    assert isinstance(raster, TiledTiff)
    assert (raster.shape, raster.dtype) == ((*SIZE, 3), kind)
    assert equals(path, raster)


def test_large_tiles_are_decoded_only_as_far_as_needed(tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    noise = np.random.default_rng(0).integers(0, 2**16, (700, 600, 3)).astype(np.uint16)
    noise[:, 300:] = 5  # parts of the stream are stored, others compressed
    scenes.write(path, noise, blockxsize=512, blockysize=512)
    raster = open_raster(path, TileCache(0))
    for stop in (1, 40, 300, 511, 512, 700):
        assert np.array_equal(raster.read(slice(0, stop), slice(3, 590)), noise[:stop, 3:590])


def test_the_beginning_of_a_stream_is_that_of_zlib(monkeypatch: pytest.MonkeyPatch) -> None:
    content = np.random.default_rng(0).integers(0, 9, 400_000).astype(np.uint8)
    for stream in (zlib.compress(content.tobytes(), level) for level in (0, 1, 9)):
        for length in (1, 70_000, 400_000):
            assert np.array_equal(deflated.inflated(stream, length, 400_000)[:length], content[:length])
            with monkeypatch.context() as patch:
                patch.setattr(deflated, "_has_libdeflate", lambda: False)
                assert np.array_equal(deflated.inflated(stream, length, 400_000)[:length], content[:length])
        for patched in (deflated._has_libdeflate, lambda: False):
            monkeypatch.setattr(deflated, "_has_libdeflate", patched)
            assert [deflated.holds_more(stream, most) for most in (399_999, 400_000, 800_000)] == [True, False, False]
        monkeypatch.undo()
    with pytest.raises(ValueError, match="other bytes"):
        deflated.inflated(zlib.compress(b"short"), 400, 400)


def test_damaged_tiles_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "scene.tif"
    scenes.write(path, pixels("uint16", 3))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    raster = open_raster(path, TileCache(0))
    with pytest.raises(UserError, match=r"scene\.tif"):
        raster.read(slice(0, SIZE[0]), slice(0, SIZE[1]))


def test_gdal_reads_mosaics_and_jpeg_tiles(tmp_path: Path) -> None:
    scenes.write(tmp_path / "jpeg.tif", pixels("uint8", 3), compress="jpeg", photometric="ycbcr", blockysize=64)
    (tmp_path / "all.vrt").write_text(
        f'<VRTDataset rasterXSize="{SIZE[1]}" rasterYSize="{SIZE[0]}"><SRS>EPSG:32632</SRS>'
        '<GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform><VRTRasterBand dataType="Byte" band="1">'
        f'<SimpleSource><SourceFilename relativeToVRT="1">jpeg.tif</SourceFilename><SourceBand>2</SourceBand>'
        "</SimpleSource></VRTRasterBand></VRTDataset>",
        "utf-8",
    )
    for name in ("jpeg.tif", "all.vrt"):
        raster = open_raster(tmp_path / name, TileCache())
        assert isinstance(raster, GdalRaster)
        assert equals(tmp_path / name, raster)


def test_bands_in_files_of_their_own_are_read_together(tmp_path: Path) -> None:
    paths = tuple(tmp_path / f"band{k}.tif" for k in range(3))
    for k, path in enumerate(paths):
        scenes.write(path, pixels("uint16", 3)[..., k : k + 1])
    raster = OpenRasters().get(paths)
    assert raster.shape == (*SIZE, 3)
    assert np.array_equal(raster.read(slice(9, 60), slice(5, 200)), pixels("uint16", 3)[9:60, 5:200])
    scenes.write(tmp_path / "small.tif", pixels("uint16", 3)[:50, :50, :1])
    with pytest.raises(UserError, match=r"small.tif: 50x50 pixels .* one size and type"):
        OpenRasters().get((paths[0], tmp_path / "small.tif"))


def test_a_process_opens_a_file_once_and_a_copy_of_it_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scene.tif"
    scenes.write(path, pixels("uint8", 1))
    rasters = OpenRasters()
    first = rasters.get((path,))
    assert rasters.get((path,)) is first
    assert pickle.loads(pickle.dumps(rasters)).get((path,)) is not first
    monkeypatch.setattr(os, "getpid", lambda: -1)  # as in a process that was forked off
    assert rasters.get((path,)) is not first


def test_a_cache_of_tiles_keeps_the_latest_within_its_bytes() -> None:
    cache = TileCache(250)
    for key in range(3):
        cache.put(key, np.zeros(100, np.uint8))
    assert [cache.get(key) is not None for key in range(3)] == [False, True, True]
    cache.get(1)
    cache.put(3, np.zeros(100, np.uint8))
    assert [cache.get(key) is not None for key in range(4)] == [False, True, False, True]
    cache.put(4, np.zeros(300, np.uint8))
    assert cache.get(4) is None
    assert cache.bytes == 200


def test_missing_files_and_pages_are_refused(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    with pytest.raises(UserError, match="no such file"):
        open_raster(tmp_path / "none.tif", TileCache())
    tifffile.imwrite(tmp_path / "pages.tif", np.zeros((3, 64, 64), np.uint16), photometric="minisblack", metadata=None)
    with pytest.raises(UserError, match="3 pages"):
        open_raster(tmp_path / "pages.tif", TileCache())


def test_positions_are_those_of_gdal_with_and_without_it(tmp_path: Path) -> None:
    scenes.write(tmp_path / "scene.tif", pixels("uint8", 1), (500_000.5, 4_999_990.25))
    found = placement(tmp_path / "scene.tif", SIZE)
    tags = _of_tags(tmp_path / "scene.tif", SIZE)
    assert found is not None
    assert tags is not None
    with rasterio.open(tmp_path / "scene.tif") as file:
        left, bottom, right, top = file.bounds
    for place in (found, tags):
        assert (place.left, place.top, place.width, place.height, place.upright) == (left, top, 10, 10, True)
        assert (place.left + SIZE[1] * place.width, place.top - SIZE[0] * place.height) == (right, bottom)
    scenes.write(tmp_path / "plain.tif", pixels("uint8", 1), None)
    assert placement(tmp_path / "plain.tif", SIZE) is None
    assert _of_tags(tmp_path / "plain.tif", SIZE) is None
