"""Headings and legend of panels.

Covers: images.legend.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.callbacks.panel_sheet import COLUMNS, panel_sheet
from seglight.images.draw import IGNORED, RIGHT, WRONG, panel

NAMES, PALETTE = ["road", "небо", "bus\n", "car"], [(128, 64, 128), (70, 130, 180), (0, 60, 100), (0, 0, 142)]


def made(height: int, width: int, mask: int, pred: int) -> NDArray[np.uint8]:
    image = np.full((height, width, 3), 7, np.uint8)
    return panel(image, *(np.full((height, width), label, np.uint8) for label in (mask, pred)), PALETTE, 255)


def has(picture: NDArray[np.uint8], color: tuple[int, int, int]) -> bool:
    return bool((picture == color).all(-1).any())


def test_there_are_headings_and_the_legend_shows_the_classes_that_occur() -> None:
    sheet = panel_sheet([made(50, 200, 0, 1), made(40, 160, 255, 0)], NAMES, PALETTE)
    assert sheet.shape[1] == len(COLUMNS) * 200
    head, foot = sheet[:19], sheet[19 + 50 + 4 + 40 + 4 :]
    for column in range(len(COLUMNS)):  # words in the middle of each column, nothing at its edges
        words = head[:, 200 * column : 200 * (column + 1)]
        assert (words[:, 60:140] < 128).any()
        assert (words[:, :50] == 255).all()
    assert all(has(foot, color) for color in (PALETTE[0], PALETTE[1], WRONG, RIGHT, IGNORED))
    assert not has(foot, PALETTE[2])
    assert not has(foot, PALETTE[3])


def test_columns_stand_below_each_other() -> None:
    sheet = panel_sheet([made(50, 200, 0, 0), made(40, 160, 1, 1)], NAMES, PALETTE)
    second = sheet[19 + 50 + 4]
    starts = [200 * column for column in range(4)]
    assert [tuple(second[start]) for start in starts] == [(7, 7, 7), PALETTE[1], PALETTE[1], RIGHT]
    assert (second[160:200] == 255).all()


@pytest.mark.parametrize("classes", [2, 150])
def test_a_legend_of_many_classes_takes_several_lines(classes: int) -> None:
    palette = [(k, 255 - k, k // 2) for k in range(classes)]
    mask = np.arange(classes, dtype=np.uint8).repeat(40).reshape(20, -1)
    sheet = panel_sheet(
        [panel(np.zeros((*mask.shape, 3), np.uint8), mask, mask, palette, 255)],
        [f"class {k}" for k in range(classes)],
        palette,
    )
    foot = sheet[-(len(sheet) - mask.shape[0]) :]
    assert all(has(foot, color) for color in palette)
