"""Scenes as training data, against reads of rasterio.

Covers: data.scenes.windows, data.scenes.tiles, data.scenes.files, data.scenes.labels.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seglight.data import Augmentation, Blocks, VectorFiles
from seglight.data.scenes.tiles import Tiles
from seglight.data.scenes.windows import RandomWindows
from seglight.errors import UserError
from seglight.images import open_rasters
from tests.support import scenes

rasterio = pytest.importorskip("rasterio")
PLACED = "<SRS>EPSG:32632</SRS><GeoTransform>500000, 10, 0, 5000000, 0, -10</GeoTransform>"
STILL = Augmentation(32, (1.0, 1.0), flip=0, photometric=0)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenes.two_scenes(tmp_path_factory.mktemp("scenes"))


def placed(name: str) -> tuple[str, tuple[slice, slice]]:
    """Path, and rows and columns of a window that is named "path[top:bottom, left:right]"."""
    path, *sides = re.fullmatch(r"(.*)\[(\d+):(\d+), (\d+):(\d+)\]", name).groups()  # type: ignore[union-attr]
    top, bottom, left, right = map(int, sides)
    return path, (slice(top, bottom), slice(left, right))


def read(name: str) -> tuple[Any, Any, tuple[slice, slice]]:
    """Image and mask of a window by rasterio, and its rows and columns."""
    path, place = placed(name)
    window = tuple((side.start, side.stop) for side in place)
    with rasterio.open(path) as image, rasterio.open(path.replace("images", "masks")) as mask:
        return image.read(window=window).transpose(1, 2, 0), mask.read(1, window=window), place


def all_samples(root: Path, workers: int = 0, start: int = 0, **options: Any) -> list[dict[str, Any]]:
    data = scenes.module(root, num_workers=workers, **options)
    data.setup("fit")
    data.start_at(0, start, 0)
    return list(data.train_dataloader())  # type: ignore[arg-type]


def test_windows_and_tiles_are_those_of_rasterio(root: Path) -> None:
    data = scenes.module(root, augmentation=STILL)
    for name in ("train", "val"):
        split = data.split(name)
        for index in range(len(split)):
            image, mask, where = split.read(index)
            expected, labels, _ = read(where)
            assert np.array_equal(image, expected)
            assert np.array_equal(mask, labels)
            assert str(split.sources(index)[0]) == where.partition("[")[0]
    samples = all_samples(root, augmentation=STILL)
    for batch in samples:
        for image, mask, where in zip(batch["image"], batch["mask"], batch["name"], strict=True):
            expected, labels, _ = read(where)
            assert image.dtype == torch.uint16
            assert np.array_equal(image.permute(1, 2, 0).numpy(), expected)
            assert np.array_equal(mask.numpy(), np.where((expected == 0).all(2), 255, labels))


def test_training_windows_never_touch_a_validation_tile(root: Path) -> None:
    """On the ground: the second scene begins at row 120 and column 250 of the first one."""
    data = scenes.module(root, windows_per_epoch=300)
    shift = {"a.tif": (0, 0), "b.tif": (120, 250)}
    ground = {name: np.zeros((400, 500), np.bool_) for name in ("train", "val")}
    count = {name: np.zeros((400, 500), np.int64) for name in shift}
    for name, covered in ground.items():
        split = data.split(name)
        for index in range(len(split)):
            _, _, where = split.read(index)
            path, (rows, columns) = placed(where)
            scene = Path(path).name
            down, across = shift[scene]
            place = slice(rows.start + down, rows.stop + down), slice(columns.start + across, columns.stop + across)
            covered[place] = True
            count[scene][rows, columns] += name == "val"
    assert not (ground["train"] & ground["val"]).any()
    assert all(values.max() == 1 for values in count.values())
    areas = data.areas("val")[1]
    assert sum(values.sum() for values in count.values()) == sum(area.pixels for area in areas)
    assert ground["train"].sum() > 0.6 * 140_000


def test_the_samples_depend_on_seed_epoch_and_index_only(root: Path) -> None:
    alone = all_samples(root)
    assert len(alone) == 4
    for workers in (1, 2):
        for ours, theirs in zip(alone, all_samples(root, workers), strict=True):
            assert ours["name"] == theirs["name"]
            assert torch.equal(ours["image"], theirs["image"])
            assert torch.equal(ours["mask"], theirs["mask"])
    rest = all_samples(root, 2, start=8)
    assert [batch["name"] for batch in rest] == [batch["name"] for batch in alone[2:]]
    assert all(torch.equal(a["image"], b["image"]) for a, b in zip(rest, alone[2:], strict=True))
    assert [batch["name"] for batch in all_samples(root, seed=1)] != [batch["name"] for batch in alone]
    split = scenes.module(root).split("train")
    assert isinstance(split, RandomWindows)
    assert split.draw((1, 0)).name != split.draw((0, 0)).name


def test_windows_are_as_large_as_the_crop_at_their_scale(root: Path) -> None:
    split = scenes.module(root, windows_per_epoch=200).split("train")
    assert isinstance(split, RandomWindows)
    sides = []
    for index in range(200):
        drawn = split.draw((0, index))
        assert drawn.image.shape[:2] == drawn.mask.shape == (round(32 / drawn.factor),) * 2
        sides.append(drawn.mask.shape[0])
    assert min(sides) < 20
    assert max(sides) > 55


def test_windows_without_data_are_drawn_again(tmp_path: Path) -> None:
    image = np.full((256, 256, 4), 7, np.uint16)
    image[:, :200] = 0
    scenes.write(tmp_path / "images/a.tif", image)
    scenes.write(tmp_path / "masks/a.tif", np.ones((256, 256, 1), np.uint8))
    scenes.classes(tmp_path)
    both: dict[str, str | list[str]] = {"train": ["images/a.tif"], "val": ["images/a.tif"]}
    split = scenes.module(tmp_path, images=both, augmentation=STILL).split("train")
    empty = [not split.read(index)[0].any() for index in range(16)]
    assert sum(empty) < 5  # three quarters of the places are empty, and a tenth of ten such draws in a row


def test_the_validation_is_divided_among_the_ranks_without_a_tile_twice(root: Path) -> None:
    data = scenes.module(root)
    data.setup("validate")
    names = [name for batch in data.val_dataloader() for name in batch["name"]]  # type: ignore[attr-defined]
    split = data.split("val")
    assert isinstance(split, Tiles)
    assert sorted(names) == sorted(split.read(index)[2] for index in range(len(split)))
    assert len(set(names)) == len(names)


def test_scenes_are_divided_by_files(root: Path) -> None:
    by_files: dict[str, str | list[str]] = {"train": ["images/a.tif"], "val": ["images/b.tif"], "test": "images"}
    data = scenes.module(root, images=by_files)
    assert {data.split("train").sources(index)[0].name for index in range(16)} == {"a.tif"}
    assert sum(data.split("test").read(index)[1].size for index in range(len(data.split("test")))) == 120_000 + 62_400
    with pytest.raises(UserError, match=r"b.tif: 27000 of its pixels show a place of the training scene .*a.tif:"):
        data.check_disjoint()


def test_a_mosaic_is_a_scene(tmp_path: Path) -> None:
    scenes.scene(tmp_path, "parts/a.tif", (200, 150))
    scenes.scene(tmp_path, "parts/b.tif", (200, 150), (500_000 + 150 * scenes.PIXEL, 5_000_000))
    scenes.classes(tmp_path)
    for kind, bands, dtype in (("images", 4, "UInt16"), ("masks", 1, "Byte")):
        of_bands = ""
        for band in range(1, bands + 1):
            sources = "".join(
                f'<SimpleSource><SourceFilename relativeToVRT="1">parts/{part}.tif</SourceFilename>'
                f'<SourceBand>{band}</SourceBand><SrcRect xOff="0" yOff="0" xSize="150" ySize="200"/>'
                f'<DstRect xOff="{x}" yOff="0" xSize="150" ySize="200"/></SimpleSource>'
                for part, x in (("a", 0), ("b", 150))
            )
            of_bands += f'<VRTRasterBand dataType="{dtype}" band="{band}">{sources}</VRTRasterBand>'
        text = f'<VRTDataset rasterXSize="300" rasterYSize="200">{PLACED}{of_bands}</VRTDataset>'
        (tmp_path / kind / "all.vrt").write_text(text, "utf-8")
    data = scenes.module(tmp_path)
    split = data.split("train")
    for index in range(8):
        image, mask, where = split.read(index)
        expected, labels, _ = read(where)
        assert where.startswith(str(tmp_path / "images/all.vrt"))
        assert np.array_equal(image, expected)
        assert np.array_equal(mask, labels)


def test_vectors_are_burned_in(tmp_path: Path) -> None:
    pytest.importorskip("pyogrio")
    scenes.scene(tmp_path, "a.tif", (200, 200))
    scenes.classes(tmp_path)
    x, y = 500_000, 5_000_000
    ring = [[x + 505, y - 505], [x + 1505, y - 505], [x + 1505, y - 1205], [x + 505, y - 1205], [x + 505, y - 505]]
    feature = {
        "type": "Feature",
        "properties": {"what": "bright"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    content = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}},
        "features": [feature],
    }
    (tmp_path / "labels.geojson").write_text(json.dumps(content), "utf-8")
    data = scenes.module(tmp_path, vectors=VectorFiles("labels.geojson", attribute="what"))
    tiles = data.tiles("train")
    mask = np.zeros((200, 200), np.int64)
    for index in range(len(tiles)):
        _, labels, where = tiles.read(index)
        mask[placed(where)[1]] = labels
    for index in range(len(data.tiles("val"))):
        _, labels, where = data.tiles("val").read(index)
        mask[placed(where)[1]] = labels
    expected = np.zeros((200, 200), np.int64)
    expected[51:121, 51:151] = 1  # the polygon has its corners half a pixel beyond the middle of pixels
    assert abs(mask - expected).sum() <= 2 * (70 + 100)
    assert mask[60:110, 60:140].all()
    assert mask.sum() == 70 * 100


def test_each_file_of_a_band_is_read(tmp_path: Path) -> None:
    import yaml

    scenes.scene(tmp_path, "all.tif", (200, 200))
    scenes.classes(tmp_path)
    with rasterio.open(tmp_path / "images/all.tif") as file:
        image = file.read().transpose(1, 2, 0)
    (tmp_path / "images/all.tif").unlink()
    (tmp_path / "masks/all.tif").rename(tmp_path / "masks/here.tif")
    for k, band in enumerate(scenes.NAMES):
        scenes.write(tmp_path / f"images/here_{band}.tif", image[..., k : k + 1])
    table = yaml.safe_load((tmp_path / "classes.yaml").read_text("utf-8"))
    table["bands"]["files"] = "{name}_{band}.tif"
    (tmp_path / "classes.yaml").write_text(yaml.safe_dump(table), "utf-8")
    split = scenes.module(tmp_path, augmentation=STILL).tiles("train")
    for index in range(3):
        pixels, _, where = split.read(index)
        top, bottom, left, right = map(int, re.findall(r"\d+", where.rpartition("[")[2]))
        assert np.array_equal(pixels, image[top:bottom, left:right])
    assert len(split.sources(0)) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"augmentation": None}, "give its crop_size"),
        ({"blocks": None}, "divide the scenes by data.blocks"),
        ({"images": {"train": "images"}, "blocks": Blocks(80)}, "not both"),
        ({"windows_per_epoch": 0}, "windows_per_epoch 0"),
        ({"augmentation": Augmentation(32, rare_class_crops=[0.5, 0.5])}, "rare_class_crops"),
        ({"blocks": Blocks(8)}, "raise data.blocks.block_size"),
        ({"images": {"train": ["images/c.tif"]}}, "c.tif: no such file"),
        ({"images": {"val": "images"}}, "names no scenes for the train split"),
        ({"masks": "labels"}, "labels.* are missing"),
    ],
)
def test_what_is_not_valid_is_refused(root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        scenes.module(root, **options).split("train")


def test_scenes_of_other_bands_and_masks_of_other_sizes_are_refused(tmp_path: Path) -> None:
    scenes.scene(tmp_path, "a.tif", (200, 200))
    scenes.classes(tmp_path)
    scenes.write(tmp_path / "masks/a.tif", np.zeros((100, 200, 1), np.uint8))
    with pytest.raises(UserError, match=r"a.tif: it is 200x200 and its mask"):
        scenes.module(tmp_path).split("train")
    for mask, held in (
        (np.zeros((200, 200, 4), np.uint8), "4 bands of uint8"),
        (np.zeros((200, 200, 1), "f4"), "1 band of"),
    ):
        scenes.write(tmp_path / "masks/a.tif", mask)
        with pytest.raises(UserError, match=rf"masks/a.tif: a mask of {held}.*: save it as one band of class indices$"):
            scenes.module(tmp_path).split("train")
    scenes.write(tmp_path / "images/a.tif", np.zeros((200, 200, 3), np.uint8))
    with pytest.raises(UserError, match=r"a.tif: .*3 bands of uint8"):
        scenes.module(tmp_path).split("train")


MOVED = (500_000 + 3 * scenes.PIXEL, 5_000_000.0)


@pytest.mark.parametrize(
    ("corner", "options", "message"),
    [
        (MOVED, {}, r"a.tif: it lies up to 3.0 pixels away from .*images/a.tif, whose labels it holds: bring it to"),
        ((500_000.0, 5_000_000.0), {"crs": "EPSG:32633"}, r"masks/a.tif: it lies up to .* pixels away from"),
        ((500_004.0, 5_000_000.0), {}, None),
        ((500_000.0, 5_000_000.0), {"crs": "EPSG:25832"}, None),
        (None, {}, None),
    ],
)
def test_masks_lie_where_their_images_do(
    tmp_path: Path, corner: tuple[float, float] | None, options: dict[str, Any], message: str | None
) -> None:
    """Within a pixel, in any reference system; those without a georeference are taken as they are."""
    scenes.scene(tmp_path, "a.tif", (200, 200))
    scenes.classes(tmp_path)
    scenes.write(tmp_path / "masks/a.tif", np.zeros((200, 200, 1), np.uint8), corner, **options)
    if message is None:
        assert len(scenes.module(tmp_path).split("train")) == 16
        return
    with pytest.raises(UserError, match=message):
        scenes.module(tmp_path).split("train")


def test_vectors_need_a_place_before_anything_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pyogrio")
    scenes.scene(tmp_path, "a.tif", (200, 200), None)
    scenes.classes(tmp_path)
    content = {"type": "FeatureCollection", "features": [{"type": "Feature", "properties": {}, "geometry": None}]}
    (tmp_path / "labels.geojson").write_text(json.dumps(content), "utf-8")
    with pytest.raises(UserError, match=r"images/a.tif has no georeference, which tells where its pixels lie"):
        scenes.module(tmp_path, vectors=VectorFiles("labels.geojson")).split("train")


def test_scenes_without_a_place_smaller_than_a_window_are_samples(tmp_path: Path) -> None:
    """Of a scene of 20 x 45 pixels, windows are 20 pixels high, and the crop is filled up with ignored pixels."""
    scenes.scene(tmp_path, "a.tif", (20, 45), None)
    scenes.scene(tmp_path, "b.tif", (60, 50), None)
    scenes.classes(tmp_path)
    scenes.write(tmp_path / "images/a.tif", np.full((20, 45, 4), 7, np.uint16), None)
    by_files: dict[str, str | list[str]] = {"train": ["images/a.tif"], "val": ["images/b.tif"]}
    (batch, *_) = all_samples(tmp_path, images=by_files, augmentation=STILL)
    assert batch["image"].shape == (4, 4, 32, 32)
    for image, mask in zip(batch["image"], batch["mask"], strict=True):
        rows = (image[0].numpy() == 7).all(1)
        assert rows.sum() == 20
        assert (mask.numpy()[~rows] == 255).all()
        assert (mask.numpy()[rows] != 255).all()


def test_many_scenes_are_opened_once_each_by_tiles_and_as_few_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_rasters, "MOST_OPEN", 4)
    opened: list[str] = []
    real = open_rasters.open_raster
    monkeypatch.setattr(open_rasters, "open_raster", lambda path, cache: opened.append(path.name) or real(path, cache))
    for name in "abcdef":
        scenes.scene(tmp_path, f"{name}.tif", (90, 90))
    scenes.classes(tmp_path)
    data = scenes.module(tmp_path, images={"train": "images", "val": "images"}, eval_size=32)
    tiles = data.split("val")
    opened.clear()
    for index in range(len(tiles)):
        image, mask, where = tiles.read(index)
        expected, labels, _ = read(where)
        assert np.array_equal(image, expected)
        assert np.array_equal(mask, labels)
        assert tiles.scenes.rasters.files <= 4
    assert len(tiles) == 6 * 9
    assert len(opened) == 6 * 2
