"""`seglight init` on scenes that are read by window, labelled by rasters or by vectors.

Covers: data.layouts.scenes.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seglight.commands.init.question import Answer, Question
from seglight.commands.init.scanned import data_module
from seglight.commands.init.scenes import block_size, prepare_scenes
from seglight.commands.init.trials import Trials
from seglight.data import ScenesDataModule
from seglight.data.layouts import scenes as layouts
from seglight.data.layouts.scenes import recognise_scenes
from seglight.errors import UserError
from tests.support import scenes
from tests.support.command import Ran

pytest.importorskip("rasterio")


@pytest.fixture(autouse=True)
def _small_scenes_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layouts, "LARGE", 50_000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two scenes with label rasters, without a class table."""
    found = scenes.two_scenes(tmp_path / "set")
    (found / "classes.yaml").unlink()
    return found


def module(root: Path, project: Path) -> ScenesDataModule:
    layout = recognise_scenes(root)
    assert layout is not None
    project.mkdir()
    found = data_module(prepare_scenes(layout, root, None, project).at(project))
    assert isinstance(found, ScenesDataModule)
    return found


def whole(path: Path) -> Any:
    import rasterio

    with rasterio.open(path) as file:
        return np.moveaxis(file.read(), 0, -1)


def test_label_rasters(root: Path, tmp_path: Path) -> None:
    data = module(root, tmp_path / "project")
    values = np.concatenate([whole(path).reshape(-1, 4) for path in sorted((root / "images").iterdir())])
    assert data.bands.mean == pytest.approx(values.mean(0), rel=0.02)  # of windows that overlap
    assert data.bands.std == pytest.approx(values.std(0), rel=0.02)
    for name in ("train", "val"):
        image, mask, where = data.split(name).read(0)
        path, _, box = where.rstrip("]").partition("[")
        rows, columns = (slice(*map(int, part.split(":"))) for part in box.split(", "))
        np.testing.assert_array_equal(image, whole(Path(path))[rows, columns])
        np.testing.assert_array_equal(mask, whole(root / "masks" / Path(path).name)[rows, columns, 0])


def test_scenes_of_each_split_and_their_own_class_table(root: Path, tmp_path: Path) -> None:
    scenes.classes(root)
    for kind in ("images", "masks"):
        for split, name in (("train", "a.tif"), ("val", "b.tif")):
            (root / kind / split).mkdir()
            (root / kind / name).rename(root / kind / split / name)
    data = module(root, tmp_path / "project")
    assert data.blocks is None
    assert data.classes.names == ("dark", "bright")
    assert data.bands.names == scenes.NAMES
    assert [ground.name for ground in data.grounds("val")] == [str(root / "images" / "val" / "b.tif")]


def outlines(mask: Path) -> dict[str, Any]:
    """Polygons of a mask by rasterio, in its reference system, with an attribute for the class."""
    import rasterio
    from rasterio.features import shapes

    with rasterio.open(mask) as file:
        found = list(shapes(file.read(1), transform=file.transform))
    features = [
        {"type": "Feature", "geometry": shape, "properties": {"nr": number, "crop": ("bare", "wheat")[int(value)]}}
        for number, (shape, value) in enumerate(found)
    ]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}
    return {"type": "FeatureCollection", "crs": crs, "features": features}


def test_vectors_one_file_for_each_scene(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyogrio")
    (root / "fields").mkdir()
    for mask in sorted((root / "masks").iterdir()):
        (root / "fields" / f"{mask.stem}.geojson").write_text(json.dumps(outlines(mask)))
        mask.rename(tmp_path / mask.name)
    (root / "masks").rmdir()
    data = module(root, tmp_path / "project")
    assert data.classes.names == ("background", "bare", "wheat")
    _, mask, where = data.split("val").read(0)
    path, _, box = where.rstrip("]").partition("[")
    rows, columns = (slice(*map(int, part.split(":"))) for part in box.split(", "))
    np.testing.assert_array_equal(mask, whole(tmp_path / Path(path).name)[rows, columns, 0] + 1)
    (root / "fields" / "b.geojson").unlink()
    (root / "fields" / "c.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    with pytest.raises(UserError, match=r"b\.tif: its labels .* are missing"):
        recognise_scenes(root)


def test_small_images_are_no_scenes(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(layouts, "LARGE", 1 << 26)
    assert recognise_scenes(root) is None
    assert recognise_scenes(tmp_path / "nothing") is None


def test_blocks_are_a_fortieth_of_the_ground_and_of_bounded_size() -> None:
    assert block_size(1600 * 1600) == 192  # 1600 / sqrt(40) is 253
    assert block_size(10**10) == 4096
    assert block_size(900) == 64


def test_a_recipe_that_fit_runs(
    root: Path, tmp_path: Path, seglight_cli: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(self: Trials, question: Question) -> Answer:
        return Answer(2e-6 * question.batch * question.crop[0] * question.crop[1], 0.01, 10**9)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Trials, "_measured", answer)
    out = tmp_path / "net"
    refused = seglight_cli("init", str(root), "--out", str(out), "--device", "cpu", "--folds", "3")
    assert refused.rc == 2
    assert "blocks: {block_size: ..., folds: 3, fold: 1}" in refused.err
    ran = seglight_cli("init", str(root), "--out", str(out), "--time", "10m", "--device", "cpu")
    assert ran.rc == 0, ran.err
    assert " areas of the scenes" in ran.out
    data = yaml.safe_load((out / "recipe.yaml").read_text())["data"]
    assert data["class_path"] == "seglight.data.ScenesDataModule"
    assert "rare_class_crops" not in data["init_args"]["augmentation"]
    tiny = "--model.net.init_args.encoder.init_args.name", "test_resnet.r160_in1k"
    weights = "--model.net.init_args.encoder.init_args.weights", "random"
    trained = seglight_cli("fit", "-c", str(out / "recipe.yaml"), *tiny, *weights, "--trainer.fast_dev_run", "true")
    assert trained.rc == 0, trained.err
