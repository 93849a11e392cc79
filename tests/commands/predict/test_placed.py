"""`seglight predict` of georeferenced images: GeoTIFFs, polygons and areas, against rasterio, gdalinfo and ogrinfo."""

import csv
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.predict.band_inputs import further_versions
from seglight.commands.predict.inputs import Source, single
from seglight.commands.predict.memory_budget import MemoryBudget
from seglight.commands.predict.placed import place_for_areas
from seglight.data.vectors import Vectors
from seglight.errors import UserError
from seglight.images.bands import Bands
from tests.support.gdalinfo import place
from tests.support.samples import samples
from tests.support.stand_in import Reds

rasterio = pytest.importorskip("rasterio")
pyogrio = pytest.importorskip("pyogrio")

pytestmark = [
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
    pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning"),  # rasterio's own, of rotated bounds
]

Cli = Callable[..., Any]

KINDS = ("geotiff", "polygons", "geojson", "csv")


class FirstBand(Reds):
    """Class by the first band of any images; pixels without data in every band are ignored."""

    def __init__(self, bands: Bands) -> None:
        super().__init__()
        self.card = replace(Reds.card, image=None if bands.is_rgb8 else bands)

    def predict_batch(self, images: Sequence[NDArray[Any]]) -> list[NDArray[np.uint8]]:
        self.batches.append(len(images))
        found = []
        for image in images:
            first = np.nan_to_num(image[..., 0].astype(np.float64), nan=0, posinf=0, neginf=0)
            labels = (np.abs(first) // 64 % 4).astype(np.uint8)
            labels[self.card.pixels.without_data(image)] = 255
            found.append(labels)
        return found


def use(monkeypatch: pytest.MonkeyPatch, model: Reds) -> None:
    monkeypatch.setattr("seglight.commands.predict.command.load", lambda *args, **options: model)


@pytest.fixture
def reds(monkeypatch: pytest.MonkeyPatch) -> Reds:
    model = FirstBand(Bands())
    use(monkeypatch, model)
    return model


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"model")
    return path


def scene(path: Path, crs: str | None = "EPSG:32632", size: tuple[int, int] = (70, 50), seed: int = 0) -> Path:
    coarse = np.random.default_rng(seed).integers(0, 250, (size[0] // 10, size[1] // 10, 3), dtype=np.uint8)
    pixels = np.moveaxis(coarse.repeat(10, 0).repeat(10, 1), -1, 0)
    step = 1e-4 if crs == "EPSG:4326" else 10
    corner = (12.0, 47.25) if crs == "EPSG:4326" else (4e5, 5e6)
    place = {} if crs is None else {"crs": crs, "transform": rasterio.Affine(step, 0, corner[0], 0, -step, corner[1])}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        path, "w", driver="GTiff", height=size[0], width=size[1], count=3, dtype="uint8", photometric="RGB", **place
    ) as dataset:
        dataset.write(pixels)
    return path


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as found:
        return np.asarray(found)


def bands_of(path: Path) -> Bands:
    with rasterio.open(path) as dataset:
        count, kind, nodata = dataset.count, dataset.dtypes[0], dataset.nodata
    if (count, kind) == (3, "uint8"):
        return Bands() if nodata is None else Bands(nodata=nodata)
    names = tuple(f"band {index}" for index in range(count))
    return Bands(names, kind, (0.0,) * count, (1.0,) * count, nodata)


@pytest.mark.slow
def test_every_real_file_stays_where_it_is(
    tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch, seglight_cli: Cli
) -> None:
    images = [path for path in sorted((samples() / "geo").rglob("*")) if path.suffix.lower() == ".tif"]
    assert len(images) == 20
    for number, image in enumerate(images):
        out = tmp_path / f"{number}"
        bands = bands_of(image)
        use(monkeypatch, FirstBand(bands))
        ran = seglight_cli("predict", weights, image, "--out", out, "--save", *KINDS)
        with rasterio.open(image) as before, rasterio.open(out / "geotiff" / f"{image.stem}.tif") as after:
            assert (after.crs, after.transform, after.bounds) == (before.crs, before.transform, before.bounds)
            labels = read(out / f"{image.stem}.png")
            assert np.array_equal(after.read(1), labels)
            on_grid = before.crs is not None
            if bands.nodata is not None:
                nothing = (before.read_masks() == 0).all(0)
                assert np.array_equal(labels == 255, nothing), image
        if shutil.which("gdalinfo"):
            assert place(out / "geotiff" / f"{image.stem}.tif") == place(image), image
        assert ran.rc == (0 if on_grid else 1), ran.err
        for path in (out / "polygons" / f"{image.stem}.gpkg", out / "geojson" / f"{image.stem}.geojson"):
            assert path.exists() == on_grid
            if on_grid and path.suffix == ".gpkg":
                rows, columns = (slice(0, side) for side in labels.shape)
                assert np.array_equal(Vectors(path, None, "class_index", None, 255).read(image, rows, columns), labels)
        if not on_grid:
            assert "names no coordinate reference system: add it (gdal_edit.py -a_srs EPSG:...)" in ran.err


def test_polygons_of_a_window_by_window_prediction(
    tmp_path: Path, weights: Path, reds: Reds, monkeypatch: pytest.MonkeyPatch, seglight_cli: Cli
) -> None:
    """As of one in memory; and an image that is predicted already is not decoded again for them."""
    image = scene(tmp_path / "scene.tif")
    assert seglight_cli("predict", weights, image, "--out", tmp_path / "whole", "--save", *KINDS).rc == 0
    monkeypatch.setattr("seglight.commands.predict.inputs.LARGE", 10)
    monkeypatch.setattr("seglight.images.label_rows.BAND", 1000)
    assert seglight_cli("predict", weights, image, "--out", tmp_path / "rows").rc == 0
    assert reds.batches == [1]
    ran = seglight_cli("predict", weights, image, "--out", tmp_path / "rows", "--save", *KINDS, "--max_memory", "16GB")
    assert ran.rc == 0, ran.err
    labels = read(tmp_path / "whole/scene.png")
    for folder in ("whole", "rows"):
        again = Vectors(tmp_path / folder / "polygons/scene.gpkg", attribute="class_index", background=255)
        assert np.array_equal(again.read(image, slice(0, 70), slice(0, 50)), labels)
        with rasterio.open(tmp_path / folder / "geotiff/scene.tif") as dataset:
            assert np.array_equal(dataset.read(1), labels)
    assert (tmp_path / "whole/geojson/scene.geojson").read_bytes() == (
        tmp_path / "rows/geojson/scene.geojson"
    ).read_bytes()
    fields = pyogrio.raw.read(tmp_path / "whole/polygons/scene.gpkg")[3]
    areas = [fields[2][fields[1] == index].sum() for index in range(4)]
    assert areas == [100.0 * count for count in np.bincount(labels.ravel(), minlength=4)]


def test_outputs_are_skipped_and_made_again_with_their_label_map(
    tmp_path: Path, weights: Path, reds: Reds, seglight_cli: Cli
) -> None:
    image = scene(tmp_path / "images/a.tif")
    arguments = ("predict", weights, tmp_path / "images", "--out", tmp_path / "out", "--save", *KINDS)
    made = [tmp_path / "out" / name for name in ("geotiff/a.tif", "polygons/a.gpkg", "geojson/a.geojson")]
    assert seglight_cli(*arguments).rc == 0
    times = [path.stat().st_mtime_ns for path in made]
    assert seglight_cli(*arguments).rc == 0
    assert [path.stat().st_mtime_ns for path in made] == times
    scene(image, seed=1)
    assert seglight_cli(*arguments[:5]).rc == 0
    assert not any(path.exists() for path in made), "made from the former label map"


def test_square_metres_beside_the_fractions(tmp_path: Path, weights: Path, reds: Reds, seglight_cli: Cli) -> None:
    scene(tmp_path / "images/a.tif")
    scene(tmp_path / "images/b.tif", "EPSG:4326")
    scene(tmp_path / "images/c.tif", None)
    ran = seglight_cli("predict", weights, tmp_path / "images", "--out", tmp_path / "out", "--save", "csv")
    assert ran.rc == 0, ran.err
    with (tmp_path / "out/shares.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["image", *Reds.class_names, *(f"{name} (m2)" for name in Reds.class_names)]
    counts = [np.bincount(read(tmp_path / f"out/{name}.png").ravel(), minlength=4) for name in "abc"]
    for row, count in zip(rows, counts, strict=True):
        assert row[1:5] == [f"{share:.6f}" for share in count / 3500]
    assert [float(area) for area in rows[0][5:]] == [100.0 * count for count in counts[0]]
    # a pixel of 1e-4 degrees at 47.2465 degrees north: radii of curvature of WGS 84 by hand
    sine = np.sin(np.radians(47.2465))
    squared = 0.00669437999014
    meridian, normal = (
        6378137 * (1 - squared) / (1 - squared * sine**2) ** 1.5,
        6378137 / (1 - squared * sine**2) ** 0.5,
    )
    pixel = np.radians(1e-4) ** 2 * meridian * normal * np.cos(np.radians(47.2465))
    assert [float(area) for area in rows[1][5:]] == pytest.approx(pixel * counts[1], rel=1e-4)
    assert rows[2][5:] == [""] * 4


def test_without_rasterio_a_line_is_said_of_georeferenced_images_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("seglight.commands.predict.placed.say_once", said.append)
    for module in ("seglight.commands.predict.placed", "seglight.images.placement"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: None)
    for name, crs in (("a.tif", None), ("b.tif", "EPSG:32632")):
        source = Source(scene(tmp_path / name, crs), Path(name))
        assert place_for_areas(single(source)) is None
        assert len(said) == (0 if crs is None else 1)
    assert 'need rasterio: pip install "seglight[geo]"' in said[0]


def test_tables_of_shards_are_that_of_one_process(tmp_path: Path) -> None:
    from seglight.commands.predict.class_fractions import ClassFractions
    from seglight.commands.predict.shards.merge import merge_tables
    from seglight.images.geo import georeference

    labels = np.random.default_rng(0).integers(0, 2, (70, 50), dtype=np.uint8)
    geo = georeference(scene(tmp_path / "a.tif"))
    parts = []
    whole = ClassFractions(("a", "b"), True, {"one": geo})
    for name in ("one", "two"):
        part = ClassFractions(("a", "b"), True, {"one": geo})
        part.add(name, labels)
        whole.add(name, labels)
        part.write(tmp_path / name / "shares.csv")
        parts.append(tmp_path / name)
    whole.write(tmp_path / "whole.csv")
    merge_tables(["csv"], ("a", "b"), parts, tmp_path)
    assert (tmp_path / "shares.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_pages_have_places_of_their_own(tmp_path: Path, weights: Path, reds: Reds, seglight_cli: Cli) -> None:
    with rasterio.Env():
        for page in range(2):
            with rasterio.open(
                tmp_path / "a.tif",
                "w",
                driver="GTiff",
                height=20,
                width=30,
                count=3,
                dtype="uint8",
                photometric="RGB",
                crs="EPSG:32632",
                transform=rasterio.Affine(10 + page, 0, 4e5, 0, -10, 5e6),
                APPEND_SUBDATASET=page > 0,
            ) as dataset:
                dataset.write(np.full((3, 20, 30), 70, np.uint8))
    ran = seglight_cli("predict", weights, tmp_path / "a.tif", "--out", tmp_path / "out", "--save", "geotiff", "csv")
    assert ran.rc == 0, ran.err
    for page in range(2):
        with rasterio.open(tmp_path / f"out/geotiff/a/{page + 1:04}.tif") as dataset:
            assert dataset.transform[0] == 10 + page
    with (tmp_path / "out/shares.csv").open(encoding="utf-8", newline="") as file:
        assert [row[6] for row in csv.reader(file)][1:] == ["60000", "66000"]


def test_a_mosaic_alone_in_a_folder(tmp_path: Path, weights: Path, reds: Reds, seglight_cli: Cli) -> None:
    """GDAL's mosaics are images of nets for 8-bit RGB, too; beside images they are not, as these are their parts."""
    image = scene(tmp_path / "parts/a.tif")
    (tmp_path / "maps").mkdir()
    for folder in ("parts", "maps"):
        pytest.importorskip("rasterio.shutil").copy(str(image), str(tmp_path / folder / "all.vrt"), driver="VRT")
    for folder in ("parts", "maps"):
        ran = seglight_cli(
            "predict", weights, tmp_path / folder, "--out", tmp_path / f"of_{folder}", "--save", "geotiff"
        )
        assert ran.rc == 0, ran.err
    assert sorted(path.name for path in (tmp_path / "of_parts").glob("*.png")) == ["a.png"]
    assert np.array_equal(read(tmp_path / "of_maps/all.png"), read(tmp_path / "of_parts/a.png"))
    with rasterio.open(image) as before, rasterio.open(tmp_path / "of_maps/geotiff/all.tif") as after:
        assert (after.crs, after.transform) == (before.crs, before.transform)
    mosaic = Source(tmp_path / "maps/all.vrt", Path("all"))
    version = further_versions(mosaic, Bands())
    assert further_versions(mosaic, Bands()) == version
    os.utime(image, (0, 0))
    assert further_versions(mosaic, Bands()) != version, "predicted again if a part has changed"
    assert further_versions(Source(image, Path("a")), Bands()) == ""


def test_an_image_without_a_place(tmp_path: Path, weights: Path, reds: Reds, seglight_cli: Cli) -> None:
    image = scene(tmp_path / "a.tif", None)
    ran = seglight_cli("predict", weights, image, "--out", tmp_path / "out", "--save", "geotiff", "polygons")
    assert ran.rc == 1
    assert f"--save geotiff: {image} has no georeference: a tiled TIFF without a place on the map is written" in ran.err
    assert f"failed: --save polygons: {image} has no georeference, which tells where its pixels lie" in ran.err
    assert (tmp_path / "out/geotiff/a.tif").exists()
    assert not (tmp_path / "out/polygons").exists() or not [*(tmp_path / "out/polygons").iterdir()]


def test_what_is_missing_is_said_before_anything_is_predicted(
    tmp_path: Path, weights: Path, reds: Reds, monkeypatch: pytest.MonkeyPatch, seglight_cli: Cli
) -> None:
    image = scene(tmp_path / "a.tif")
    (tmp_path / "b.mp4").write_bytes(b"")
    ran = seglight_cli("predict", weights, tmp_path / "b.mp4", "--out", tmp_path / "out", "--save", "polygons")
    assert ran.rc == 2
    assert "b.mp4 is a video, whose frames have no place on a map" in ran.err
    for module in ("pyogrio", "rasterio"):
        monkeypatch.setitem(__import__("sys").modules, module, None)
        ran = seglight_cli("predict", weights, image, "--out", tmp_path / "out", "--save", "polygons")
        assert ran.rc == 2
        assert f'--save polygons needs {module}: pip install "seglight[geo]"' in ran.err
    assert not (tmp_path / "out/a.png").exists()


def test_outlines_that_do_not_fit_are_reported() -> None:
    MemoryBudget(None).check_corners("polygons", 10**12)
    MemoryBudget(10**11).check_corners("polygons", 10**8)
    with pytest.raises(
        UserError, match=r"polygons: the outlines of regions with 100.0 million corners takes? 23.03 GB"
    ):
        MemoryBudget(8 * 10**9).check_corners("polygons", 10**8)
