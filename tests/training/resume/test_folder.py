"""Runs and what else is written lie apart from the data set."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seglight.data import FolderDataModule
from seglight.errors import UserError
from seglight.training.resume.folder import check_apart, check_outside
from tests.support import fabricate
from tests.support.small_sweeps import written

RECIPE = """
trainer: {{accelerator: cpu, max_steps: 1, enable_progress_bar: false}}
model: {{net: {{class_path: tests.support.tiny.TinyNet}}}}
data: {{class_path: seglight.data.{module}, init_args: {{root: {root}, num_workers: 0, batch_size: 2}}}}
"""

ROOTS: dict[str, Callable[[Path], Path]] = {
    "CamVidDataModule": fabricate.camvid,
    "VOCDataModule": fabricate.voc,
    "FolderDataModule": fabricate.folder,
    "LabelMeDataModule": fabricate.labelme,
    "COCOPolygonsDataModule": fabricate.coco_json,
}


def test_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, link, other = tmp_path / "data" / "set", tmp_path / "link", tmp_path / "other"
    root.mkdir(parents=True)
    other.mkdir()
    link.symlink_to(root)
    (other / "linked").symlink_to(root)
    monkeypatch.chdir(root)
    for inside in (root, root / "run", root / "a" / ".." / "run", link, link / "run", Path("."), Path("runs/x")):
        with pytest.raises(UserError, match=r"--run_dir .* lies in the data set .*: choose a place outside of it$"):
            check_apart(inside, root, "--run_dir")
    for around in (tmp_path, tmp_path / "data", tmp_path / "other" / "..", Path("..")):
        with pytest.raises(UserError, match=r"--out .*: the data set .* lies in it: choose a folder of its own$"):
            check_apart(around, link, "--out")
        check_outside(around, root, "--out")
    for apart in (tmp_path / "data" / "set2", tmp_path / "runs" / "x", other, Path("../runs")):
        check_apart(apart, root, "--run_dir")
        check_apart(apart, link, "--run_dir")
    check_apart(root, None, "--run_dir")
    with pytest.raises(UserError):  # the link of a folder below leads to the data
        check_apart(other / "linked" / "run", root, "--run_dir")
    check_apart(root, tmp_path / "none" / "there", "--run_dir")  # what is missing, the data module says


def test_a_name_that_is_not_utf8(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    root = fabricate.folder(tmp_path / "data")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(module="FolderDataModule", root=root))
    for command in ("fit", "validate"):
        ran = seglight_cli(command, "-c", recipe, "--run_dir", f"{tmp_path}/rx{chr(0xDCFF)}")
        assert ran.rc == 2
        assert ran.err == f"seglight: error: --run_dir {tmp_path}/rx\\xff: the name is not UTF-8: choose another\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "recipe.yaml"]


@pytest.mark.parametrize("module", ROOTS)
def test_no_run_in_the_data_set(module: str, tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    root = ROOTS[module](tmp_path / "data")
    (tmp_path / "link").symlink_to(root)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(module=module, root=root))
    before = sorted(root.rglob("*"))
    for command in ("fit", "validate"):
        for run_dir in (root, root / "run", tmp_path / "link" / "run", tmp_path):
            ran = seglight_cli(command, "-c", recipe, "--run_dir", run_dir)
            assert (ran.rc, ran.err.count("\n")) == (2, 1), ran.err
            assert ran.err.startswith(f"seglight: error: --run_dir {run_dir}: "), ran.err
    assert sorted(root.rglob("*")) == before


def test_a_default_folder_in_the_data_set(
    tmp_path: Path, seglight_cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = fabricate.folder(tmp_path / "data")
    monkeypatch.chdir(root)
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(module="FolderDataModule", root="."))
    ran = seglight_cli("fit", "-c", "../recipe.yaml")
    assert (ran.rc, ran.err.count("\n")) == (2, 1), ran.err
    assert "lies in the data set .: choose a place outside of it" in ran.err
    assert not (root / "runs").exists()


def test_other_outputs(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    root = fabricate.folder(tmp_path / "data")
    recipe = tmp_path / "own.yaml"
    recipe.write_text(RECIPE.format(module="FolderDataModule", root=root))
    sweep = written(tmp_path, configs=[str(recipe)], space={"data.init_args.batch_size": {"choice": [1, 2]}})
    images = tmp_path / "birds"
    for split in ("train", "val"):
        fabricate.save_image(images / split / "wren" / "0.png", fabricate.np.random.default_rng(0), (32, 32))
        fabricate.save_image(images / split / "robin" / "0.png", fabricate.np.random.default_rng(1), (32, 32))
    pretrain = tmp_path / "pretrain.yaml"
    pretrain.write_text(
        "trainer: {accelerator: cpu, max_steps: 1}\nmodel: {name: test_resnet}\n"
        f"data: {{class_path: seglight.data.ImageFolderDataModule, init_args: {{root: {images}}}}}\n"
    )
    before = sorted(tmp_path.rglob("*"))
    for option, place, *command in (
        ("--out", root / "cache", "cache", "-c", recipe),
        ("--out", root, "cache", "-c", recipe),
        ("--out", root / "soup.ckpt", "soup", "a.ckpt", "b.ckpt", "-c", recipe),
        ("--out", root / "sweep", "sweep", "-c", sweep),
        ("--run_dir", images / "run", "pretrain", "-c", pretrain),
        ("--run_dir", tmp_path, "pretrain", "-c", pretrain),
    ):
        ran = seglight_cli(*command, option, place)
        assert (ran.rc, ran.err.count("\n")) == (2, 1), (command, ran)
        assert f"{option} {place}: " in ran.err, ran.err
    assert sorted(tmp_path.rglob("*")) == before


def test_predicted_masks_never_replace_labels(tmp_path: Path, seglight_cli: Callable[..., Any]) -> None:
    """`predict --out` knows of no data set, but replaces no label map that it has not written."""
    root = fabricate.folder(tmp_path / "data")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(module="FolderDataModule", root=root))
    assert seglight_cli("fit", "-c", recipe, "--run_dir", tmp_path / "run").rc == 0
    checkpoint = tmp_path / "run" / "checkpoints" / "last.ckpt"
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    for out in (root / "masks" / "val", root / "images" / "val"):
        ran = seglight_cli("predict", checkpoint, root / "images" / "val", "--out", out)
        assert ran.rc != 0
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before
    assert len(FolderDataModule(str(root)).split("val")) == 2
