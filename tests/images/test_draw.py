"""Pictures of label maps, pixel by pixel."""

from pathlib import Path

import numpy as np
from PIL import Image

from seglight.images.draw import colorize, error_map, overlay, palette_image, panel

PALETTE = [(10, 20, 30), (200, 0, 0)]
WHITE, GREY = [255, 255, 255], [120, 120, 120]
MASK = np.array([[0, 1, 255]], np.uint8)
PRED = np.array([[0, 0, 1]], np.uint8)
IMAGE = np.full((1, 3, 3), 100, np.uint8)


def test_colorize() -> None:
    assert colorize(MASK, PALETTE).tolist() == [[[10, 20, 30], [200, 0, 0], WHITE]]


def test_error_map_right_wrong_ignored() -> None:
    assert error_map(MASK, PRED, 255).tolist() == [[[235, 235, 235], [214, 39, 40], GREY]]


def test_panel_is_image_truth_prediction_error() -> None:
    picture = panel(IMAGE, MASK, PRED, PALETTE, 255)
    assert picture.dtype == np.uint8
    assert picture.shape == (1, 12, 3)
    assert picture[0, :3].tolist() == [[100] * 3] * 3
    assert picture[0, 3:6].tolist() == [[10, 20, 30], [200, 0, 0], WHITE]
    assert picture[0, 6:9].tolist() == [[10, 20, 30], [10, 20, 30], [200, 0, 0]]
    assert picture[0, 9:].tolist() == [[235, 235, 235], [214, 39, 40], GREY]


def test_overlay_mixes() -> None:
    assert overlay(IMAGE, MASK, PALETTE, 0.5)[0, 1].tolist() == [150, 50, 50]
    assert overlay(IMAGE, MASK, PALETTE, 0.0).tolist() == IMAGE.tolist()
    assert overlay(IMAGE, MASK, PALETTE, 1.0).tolist() == colorize(MASK, PALETTE).tolist()


def test_palette_image_keeps_indices_and_shows_colours(tmp_path: Path) -> None:
    palette_image(MASK, PALETTE).save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as read:
        assert read.mode == "P"
        assert np.asarray(read).tolist() == MASK.tolist()
        assert np.asarray(read.convert("RGB")).tolist() == [[[10, 20, 30], [200, 0, 0], WHITE]]
