"""--fix writes a copy in which what could be repaired is, and leaves the source as it was.

Covers: commands.doctor.repair.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from seglight.data.datasets.voc import CLASSES as VOC
from tests.support import fabricate
from tests.support import planting as plant
from tests.support.command import Ran
from tests.support.planting import two_classes

CLI = Callable[..., Ran]
Report = dict[str, Any]


@pytest.fixture
def fix(seglight_cli: CLI, tmp_path: Path) -> Callable[..., tuple[Path, Report, Report]]:
    """Fix a data set and look at the copy: where it is, and what is said of the source and of the copy."""

    def run(class_path: str, root: Path) -> tuple[Path, Report, Report]:
        config = plant.recipe(tmp_path / "recipe.yaml", class_path, root)
        before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
        target, reports = tmp_path / "fixed", []
        for more in (["--fix", target], ["--data.init_args.root", target]):
            ran = seglight_cli("doctor", "--config", config, "--json", tmp_path / "report.json", *more)
            reports.append(json.loads((tmp_path / "report.json").read_text()))
            assert ran.rc == (1 if reports[-1]["mistakes"] else 0), ran.err
        assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
        assert not list(tmp_path.glob("*.part*"))
        return target, *reports

    return run


Fix = Callable[..., tuple[Path, Report, Report]]


def slugs(report: Report) -> list[str]:
    return [finding["slug"] for finding in report["findings"]]


def same_mask(path: Path, mask: Any) -> None:
    np.testing.assert_array_equal(fabricate.raw(path), mask)


def test_voc(fix: Fix, voc: Path) -> None:
    jpgs, pngs = (sorted((voc / folder).iterdir()) for folder in ("JPEGImages", "SegmentationClass"))
    masks = [fabricate.raw(path) for path in pngs]
    pictures = [fabricate.raw(path) for path in jpgs]
    palette = [*VOC.palette, *[(224, 224, 192)] * 235]
    plant.remap(pngs[0], lambda mask: np.array(palette, np.uint8)[mask])
    plant.adaptive(pngs[1], VOC.palette)
    plant.with_exif(jpgs[2], 6, turn=False)
    plant.as_mode(jpgs[3], "CMYK", quality=95)
    plant.as_mode(jpgs[4], "L")
    plant.rename(jpgs[5], f"{jpgs[5].stem}.JPEG")
    target, told, after = fix("VOCDataModule", voc)
    assert set(slugs(told)) == {
        "colour-mask", "adaptive-palette", "exif-rotated", "cmyk-image", "grey-image", "misnamed-file",
    }  # fmt: skip
    assert slugs(after) == []
    assert told["fix"]["left"] == []
    for path, mask in zip(pngs, masks, strict=True):
        same_mask(target / path.relative_to(voc), mask)
    kept = fabricate.raw(target / jpgs[2].relative_to(voc)).astype(int)
    assert np.abs(kept - pictures[2]).mean() < 25, "noise through JPEG twice, but as it was stored"
    assert fabricate.raw(target / jpgs[5].relative_to(voc)).shape == pictures[5].shape


def test_camvid(fix: Fix, camvid: Path) -> None:
    images, masks = (sorted((camvid / folder).iterdir()) for folder in ("train", "trainannot"))
    truth = [fabricate.raw(path) for path in masks]
    picture = fabricate.raw(images[0])
    plant.transparent(images[0])
    plant.deep(images[1])
    deep = images[1].read_bytes()
    plant.rename(masks[2], f"{masks[2].stem}_L.png")
    plant.as_mode(masks[3], "RGB")
    plant.cut(camvid / "val" / "0001TP_000000.png")
    plant.remap(camvid / "valannot" / "0001TP_000030.png", lambda mask: mask[1:])
    target, told, after = fix("CamVidDataModule", camvid)
    assert {"transparent-image", "deep-image", "misnamed-file", "rgb-index-mask"} < set(slugs(told))
    assert sorted(slugs(after)) == ["deep-image", "size-mismatch", "truncated"]
    assert (target / "train" / images[1].name).read_bytes() == deep, "which of its values count is not guessed"
    left = {(Path(one["file"]).relative_to(camvid).as_posix(), one["slug"]) for one in told["fix"]["left"]}
    assert left == {
        ("val/0001TP_000000.png", "truncated"), ("val/0001TP_000030.png", "size-mismatch"),
        (f"train/{images[1].name}", "deep-image"),
    }  # fmt: skip
    for path, mask in zip(masks, truth, strict=True):
        same_mask(target / path.relative_to(camvid), mask)
    assert not (target / "trainannot" / f"{masks[2].stem}_L.png").exists()
    flat = fabricate.raw(target / "train" / images[0].name)
    np.testing.assert_array_equal(flat[4:], picture[4:])
    assert not flat[:4].any(), "transparent on black"


def test_folder(fix: Fix, folder: Path) -> None:
    masks = sorted((folder / "masks" / "train").iterdir())
    truth = [fabricate.raw(path) for path in masks]
    plant.luma(masks[0], fabricate.COLORS[:3])
    plant.remap(masks[0], lambda mask: mask)
    truth[1] = np.where(truth[1] == 255, 0, truth[1])
    plant.pack(masks[1])
    plant.rename(masks[2], f"{masks[2].stem}_gt.png")
    target, told, after = fix("FolderDataModule", folder)
    assert set(slugs(told)) == {"luma-mask", "packed-mask", "misnamed-file"}
    assert slugs(after) == []
    for path, mask in zip(masks, truth, strict=True):
        same_mask(target / path.relative_to(folder), mask)
    assert (target / "classes.yaml").read_bytes() == (folder / "classes.yaml").read_bytes()


def test_binary_masks(fix: Fix, folder: Path) -> None:
    two_classes(folder)
    target, told, after = fix("FolderDataModule", folder)
    assert slugs(told) == ["binary-mask"] * 3
    assert slugs(after) == []
    for path in folder.glob("masks/*/*"):
        same_mask(target / path.relative_to(folder), (fabricate.raw(path) == 255).astype(np.uint8))


def test_what_255_stands_for_is_not_guessed_among_many_classes(fix: Fix, camvid: Path) -> None:
    path = camvid / "trainannot" / "0001TP_000000.png"
    plant.remap(path, lambda mask: np.where(mask == 8, 255, 0).astype(np.uint8))
    target, told, after = fix("CamVidDataModule", camvid)
    assert slugs(told) == slugs(after) == ["binary-mask"]
    assert told["fix"] == {"repaired": [], "left": [{"file": str(path), "slug": "binary-mask"}]}
    same_mask(target / "trainannot" / path.name, fabricate.raw(path))


def test_stretched_masks(fix: Fix, camvid: Path) -> None:
    path = camvid / "trainannot" / "0001TP_000000.png"
    mask = np.minimum(fabricate.raw(path), 10)
    plant.remap(path, lambda _: mask * 25)
    target, told, after = fix("CamVidDataModule", camvid)
    assert (slugs(told), slugs(after)) == (["stretched-mask"], [])
    same_mask(target / "trainannot" / path.name, mask)


@pytest.mark.parametrize("spoil", [plant.as_jpeg, plant.jpeg_ghosts, plant.interpolate])
def test_values_far_apart_are_snapped(spoil: Callable[[Path], Path], fix: Fix, tmp_path: Path) -> None:
    root = plant.wide_folder(tmp_path / "data")
    path = root / "masks" / "train" / "001.png"
    mask = fabricate.raw(path)
    spoil(path)
    target, told, after = fix("tests.support.planting.WideDataModule", root)
    assert slugs(told) == ["interpolated-mask" if spoil is plant.interpolate else "jpeg-mask"]
    assert slugs(after) == []
    if spoil is not plant.interpolate:
        same_mask(target / path.relative_to(root), mask)


@pytest.mark.parametrize("spoil", [plant.as_jpeg, plant.jpeg_ghosts, plant.interpolate])
def test_values_close_together_are_left(spoil: Callable[[Path], Path], fix: Fix, folder: Path) -> None:
    path = spoil(folder / "masks" / "train" / "001.png")
    target, told, after = fix("FolderDataModule", folder)
    assert slugs(told) == slugs(after)
    assert [one["file"] for one in told["fix"]["left"]] == [str(path)]
    assert (target / path.relative_to(folder)).read_bytes() == path.read_bytes()


def test_where_the_copy_may_go(seglight_cli: CLI, camvid: Path, tmp_path: Path) -> None:
    config = plant.recipe(tmp_path / "recipe.yaml", "CamVidDataModule", camvid)

    def says(target: Path) -> str:
        ran = seglight_cli("doctor", "--config", config, "--fix", target)
        assert ran.rc == 2
        return ran.err

    for target in (camvid, camvid / "new", camvid.parent):
        assert f"--fix {target}: it overlaps the data set {camvid}" in says(target)
    other = tmp_path / "other"
    other.mkdir()
    assert seglight_cli("doctor", "--config", config, "--fix", other).rc == 0, "an empty folder is as good as none"
    assert "the folder is not empty" in says(other)
    assert "the folder is not empty" in says(config)


def test_interrupted_copies_leave_nothing(
    seglight_cli: CLI, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.transparent(camvid / "train" / "0001TP_000030.png")

    def fail(*_: object) -> Image.Image:
        raise OSError("disk full")

    monkeypatch.setattr("seglight.commands.doctor.fix.repaired_image", fail)
    config = plant.recipe(tmp_path / "recipe.yaml", "CamVidDataModule", camvid)
    ran = seglight_cli("doctor", "--config", config, "--fix", tmp_path / "fixed")
    assert ran.rc == 2
    assert ran.err.endswith("fixed: the copy can't be written: disk full\n")
    assert not list(tmp_path.glob("fixed*"))
