"""GeoTIFFs of label maps, against rasterio and gdalinfo."""

import resource
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images.geo import Georeference, georeference
from seglight.images.geotiff import write_geotiff
from seglight.images.label_rows import LabelsInMemory
from tests.support.gdalinfo import place
from tests.support.samples import samples

rasterio = pytest.importorskip("rasterio")

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),  # rasterio's own, of rotated bounds
]

NAMES = ("road", "field", "lake")
PALETTE = ((128, 64, 128), (0, 200, 0), (0, 0, 255))


def labels_of(size: tuple[int, int]) -> NDArray[np.uint8]:
    labels = np.random.default_rng(0).integers(0, 3, size, dtype=np.uint8)
    labels[0, 0] = 255
    return labels


def written(
    path: Path, image: Path, labels: NDArray[Any] | None = None, names: tuple[str, ...] = NAMES
) -> NDArray[Any]:
    geo = georeference(image)
    labels = labels_of(geo.size) if labels is None else labels
    write_geotiff(path, LabelsInMemory(labels), geo, names, PALETTE)
    return labels


def scene(path: Path, size: tuple[int, int] = (60, 40), **profile: Any) -> Path:
    grid = {"crs": "EPSG:32632", "transform": rasterio.Affine(10, 0, 4e5, 0, -10, 5e6)}
    options = {"height": size[0], "width": size[1], "count": 1, "dtype": "uint8", **(profile or grid)}
    tags = options.pop("tags", {})
    with rasterio.open(path, "w", driver="GTiff", **options) as dataset:
        dataset.update_tags(**tags)
        dataset.write(np.zeros((1, *size), np.uint8))
    return path


def test_real_files_keep_their_place_to_the_last_digit(tmp_path: Path) -> None:
    images = [path for path in sorted((samples() / "geo").rglob("*")) if path.suffix.lower() == ".tif"]
    assert len(images) == 20
    for image in images:
        labels = written(tmp_path / "out.tif", image)
        with rasterio.open(image) as before, rasterio.open(tmp_path / "out.tif") as after:
            assert (after.crs, after.transform, after.bounds) == (before.crs, before.transform, before.bounds)
            assert np.array_equal(after.read(1), labels)
        if shutil.which("gdalinfo"):
            assert place(tmp_path / "out.tif") == place(image), image


def test_what_the_file_holds(tmp_path: Path) -> None:
    labels = written(
        tmp_path / "out.tif", scene(tmp_path / "a.tif", (700, 1300)), np.repeat(labels_of((70, 1300)), 10, 0)
    )
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert np.array_equal(dataset.read(1), labels)
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.block_shapes == [(512, 512)]
        assert dataset.compression.value == "DEFLATE"
        assert dataset.nodata == 255
        assert dataset.overviews(1) == [2, 4]
        assert [dataset.colormap(1)[index][:3] for index in range(3)] == [*PALETTE]
        assert dataset.descriptions == ("class",)
        assert [dataset.tags(1)[f"CLASS_{index}"] for index in range(3)] == [*NAMES]
    with rasterio.open(tmp_path / "out.tif", overview_level=0) as half:
        assert set(np.unique(half.read(1))) <= {0, 1, 2, 255}, "classes are not averaged"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "out.tif"]


def test_points_stay_points(tmp_path: Path) -> None:
    grid = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.1, 0, 5, 0, -0.1, 50)}
    image = scene(tmp_path / "a.tif", **grid, tags={"AREA_OR_POINT": "Point"})
    written(tmp_path / "out.tif", image)
    with rasterio.open(image) as before, rasterio.open(tmp_path / "out.tif") as after:
        assert before.tags()["AREA_OR_POINT"] == after.tags()["AREA_OR_POINT"] == "Point"
        assert before.transform == after.transform


def test_control_points_and_coefficients_are_carried(tmp_path: Path) -> None:
    corners = [(0, 0), (0, 40), (60, 0), (60, 40)]
    points = [rasterio.control.GroundControlPoint(row, col, 10 + col / 7, 50 - row / 7) for row, col in corners]
    written(tmp_path / "out.tif", scene(tmp_path / "a.tif", gcps=points, crs="EPSG:4326"))
    with rasterio.open(tmp_path / "a.tif") as before, rasterio.open(tmp_path / "out.tif") as after:
        assert after.gcps[1] == before.gcps[1] == rasterio.crs.CRS.from_epsg(4326)
        assert [(p.row, p.col, p.x, p.y) for p in after.gcps[0]] == [(p.row, p.col, p.x, p.y) for p in before.gcps[0]]
    line = [1.0] + [0.01 * index for index in range(19)]
    coefficients = rasterio.rpc.RPC(10, 5, 48, 0.1, line, line, 30, 30, 11, 0.1, line, line, 20, 20, None, None)
    written(tmp_path / "out.tif", scene(tmp_path / "b.tif", rpcs=coefficients))
    with rasterio.open(tmp_path / "b.tif") as before, rasterio.open(tmp_path / "out.tif") as after:
        assert before.rpcs is not None
        assert after.rpcs.to_gdal() == before.rpcs.to_gdal()


def test_each_label_of_no_class_is_nodata(tmp_path: Path) -> None:
    labels = np.array([[0, 1, 2], [254, 255, 3]], np.uint8).repeat(30, 0).repeat(20, 1)[:60, :40]
    written(tmp_path / "out.tif", scene(tmp_path / "a.tif"), labels)
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert np.array_equal(dataset.read(1), np.where(labels > 2, 255, labels))


def test_an_image_without_a_place_becomes_a_tiled_tiff(tmp_path: Path) -> None:
    labels = written(tmp_path / "out.tif", scene(tmp_path / "a.tif", nodata=3))
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.crs is None
        assert dataset.transform == rasterio.Affine.identity()
        assert np.array_equal(dataset.read(1), labels)


def test_many_classes(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 1000, (60, 40)).astype(np.uint16)
    written(tmp_path / "out.tif", scene(tmp_path / "a.tif"), labels, tuple(f"class {index}" for index in range(1000)))
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.dtypes == ("uint16",)
        assert dataset.nodata == 65535
        assert np.array_equal(dataset.read(1), labels)
        assert dataset.tags(1)["CLASS_999"] == "class 999"


def test_a_class_of_index_255_is_no_nodata(tmp_path: Path) -> None:
    written(tmp_path / "out.tif", scene(tmp_path / "a.tif"), None, tuple(map(str, range(256))))
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.nodata is None


def test_another_size_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    image = scene(tmp_path / "a.tif")
    with pytest.raises(UserError, match=r"a\.tif is 60 x 40 pixels, and its label map \(2, 2\)"):
        written(tmp_path / "out.tif", image, np.zeros((2, 2), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_full_disk_leaves_no_file_or_the_whole(tmp_path: Path) -> None:
    """A limit of a file's size stands for a full disk: writes fail from there on, the last ones as files are closed."""
    image = scene(tmp_path / "a.tif", (600, 700))
    labels = written(tmp_path / "whole.tif", image)
    size = (tmp_path / "whole.tif").stat().st_size
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    for most in np.linspace(4096, size, 12, dtype=int).tolist():
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, former[1]))
        try:
            written(tmp_path / "out.tif", image, labels)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017 - some sizes are enough
            assert not (tmp_path / "out.tif").exists()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, former)
    assert {path.name for path in tmp_path.iterdir()} <= {"a.tif", "whole.tif", "out.tif"}
    if (tmp_path / "out.tif").exists():
        assert (tmp_path / "out.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_without_rasterio_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    with pytest.raises(UserError, match=r'--save geotiff needs rasterio: pip install "seglight\[geo\]"'):
        write_geotiff(
            tmp_path / "a.tif", LabelsInMemory(labels_of((4, 4))), Georeference(tmp_path, (4, 4)), NAMES, PALETTE
        )
