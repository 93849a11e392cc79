"""What doctor finds in scenes.

Covers: commands.doctor.tile_facts.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seglight.commands.doctor.command import doctor
from tests.support import scenes

pytest.importorskip("rasterio")


def test_the_tiles_of_blocks_are_counted_and_their_pixels_without_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = scenes.two_scenes(tmp_path / "data")
    assert doctor(scenes.module(root, eval_size=128)) == 0
    out = capsys.readouterr().out
    data = scenes.module(root, eval_size=128)
    for name in ("train", "val"):
        tiles = data.tiles(name)
        images = [tiles.read(index)[0] for index in range(len(tiles))]
        share = sum((image == 0).all(2).sum() for image in images) / sum(image[..., 0].size for image in images)
        if share:
            assert f"no-data in {name}: " in out
            assert f"{share:.2%} of the pixels" in out


def test_scenes_of_two_splits_that_overlap_or_touch_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = scenes.two_scenes(tmp_path / "data")
    by_files: dict[str, str | list[str]] = {"train": ["images/a.tif"], "val": ["images/b.tif"]}
    assert doctor(scenes.module(root, eval_size=128, images=by_files)) == 1
    out = capsys.readouterr().out
    assert "shared-place in train, val, 1 file" in out
    assert "27000 pixels, with" in out
    scenes.scene(root, "b.tif", (100, 100), (500_000 + 420 * scenes.PIXEL, 5_000_000))
    assert doctor(scenes.module(root, eval_size=128, images=by_files)) == 0
    assert "touching-places in train, val, 1 file" in capsys.readouterr().out


def test_a_damaged_tile_is_a_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenes.scene(tmp_path, "a.tif", (300, 300))
    scenes.classes(tmp_path)
    scenes.write(tmp_path / "masks/a.tif", np.full((300, 300, 1), 7, np.uint8))
    assert doctor(scenes.module(tmp_path, eval_size=128)) == 1
    out = capsys.readouterr().out
    assert "unreadable-label in train" in out
    assert "a.tif[0:" in out


def test_processes_that_read_tiles_start_without_torch() -> None:
    code = "import sys, seglight.commands.doctor.tile_facts; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_split_without_data_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenes.scene(tmp_path, "a.tif", (200, 200))
    scenes.scene(tmp_path, "b.tif", (100, 100), (600_000, 5_000_000))
    scenes.write(tmp_path / "images/b.tif", np.zeros((100, 100, 4), np.uint16), (600_000, 5_000_000))
    scenes.classes(tmp_path)
    by_files: dict[str, str | list[str]] = {"train": ["images/a.tif"], "val": ["images/b.tif"]}
    assert doctor(scenes.module(tmp_path, images=by_files)) == 0
    out = capsys.readouterr().out
    assert "no-data in val: " in out
    assert "100.00% of the pixels" in out
