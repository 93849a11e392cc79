"""The picture of an image's errors, with colours at places chosen by hand."""

import numpy as np
import pytest

from seglight.commands.card.pictures import GAP, LEAST, LONGEST, NARROWEST, PAPER, error_picture
from seglight.commands.card.robustness import unsuited
from seglight.images.bands import RGB, Bands
from seglight.images.draw import IGNORED

PALETTE = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
NAMES = ["red", "green\n", "b" * 100]


def drawn(mask: np.ndarray, prediction: np.ndarray, grey: int = 100, bands: int = 3) -> np.ndarray:
    image = np.full((*mask.shape, bands), grey, np.uint8)
    return error_picture(image, mask, prediction, PALETTE, NAMES, 255)


def has(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((picture == color).all(-1).any())


def test_the_four_parts() -> None:
    mask = np.zeros((240, 300), np.uint8)
    mask[:, 100:200] = 1
    mask[:, 200:] = 255
    prediction = np.zeros((240, 300), np.uint8)
    prediction[:, 150:] = 2
    sheet = drawn(mask, prediction)
    assert sheet.shape[1] == 2 * 300 + GAP
    assert sheet.shape[0] > 2 * 240 + GAP
    row = 200
    below = 240 + GAP + row
    right = 300 + GAP
    assert tuple(sheet[row, 50]) == (100, 100, 100)
    # labels of opacity 0.65 over grey 100: 35 + 0.65 * 200
    assert tuple(sheet[row, right + 50]) == (165, 35, 35)
    assert tuple(sheet[row, right + 120]) == (35, 165, 35)
    assert tuple(sheet[row, right + 250]) == (50, 50, 50), "no label"
    assert tuple(sheet[below, 50]) == (165, 35, 35)
    assert tuple(sheet[below, 250]) == (35, 35, 165)
    assert tuple(sheet[below, right + 50]) == (185, 185, 185), "right: 0.35 * 100 + 150"
    assert tuple(sheet[below, right + 120]) == PALETTE[0], "taken for red"
    assert tuple(sheet[below, right + 170]) == PALETTE[2], "taken for blue"
    assert tuple(sheet[below, right + 250]) == IGNORED
    foot = sheet[2 * 240 + GAP :]
    assert has(foot, PALETTE[0])
    assert has(foot, PALETTE[2])
    assert not has(foot, PALETTE[1]), "nothing is taken for green"


def test_without_an_error_the_legend_says_so() -> None:
    mask = np.zeros((240, 240), np.uint8)
    foot = drawn(mask, mask)[2 * 240 + GAP :]
    assert not has(foot, PALETTE[0])
    assert (foot != PAPER).any()


@pytest.mark.parametrize(("side", "factor"), [(40, 6), (240, 1), (LONGEST + 1, 0.5), (4 * LONGEST, 0.25)])
def test_small_images_are_enlarged_and_large_ones_are_reduced(side: int, factor: float) -> None:
    mask = np.zeros((side, side), np.uint8)
    width = (drawn(mask, mask).shape[1] - GAP) / 2
    assert width == int(np.ceil(side * factor))
    assert LEAST <= width <= LONGEST


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (5, 7), (3, 400), (1, 3 * LONGEST), (3 * LONGEST, 1)])
def test_images_of_a_few_pixels_have_a_picture(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.uint8)
    prediction = np.ones(shape, np.uint8)
    sheet = drawn(mask, prediction)
    assert sheet.shape[1] >= 2 * NARROWEST[0] + GAP
    assert has(sheet, PALETTE[1])


def test_a_line_of_errors_keeps_its_colour_in_a_large_image() -> None:
    mask = np.zeros((2000, 2000), np.uint8)
    prediction = mask.copy()
    prediction[:, 1000:1010] = 1
    sheet = drawn(mask, prediction)
    assert has(sheet, PALETTE[1])


def test_an_image_of_other_bands_is_grey() -> None:
    mask = np.zeros((240, 240), np.uint8)
    assert tuple(drawn(mask, mask, 77, bands=5)[200, 100]) == (77, 77, 77)
    assert tuple(drawn(mask, mask, 77, bands=1)[200, 100]) == (77, 77, 77)
    assert drawn(mask.astype(np.int64), mask.astype(np.int16)).dtype == np.uint8


def test_pixels_without_data_are_grey_in_all_parts_and_wrong_in_none() -> None:
    bands = Bands(("nir", "swir"), "uint16", (900.0,) * 2, (100.0,) * 2, nodata=0)
    image = np.random.default_rng(0).integers(500, 4000, (LEAST, LEAST, 2)).astype(np.uint16)
    image[:, :60] = 0
    mask, prediction = np.zeros((LEAST, LEAST), np.uint8), np.zeros((LEAST, LEAST), np.int64)
    prediction[:, :60] = 255
    sheet = error_picture(image, mask, prediction, PALETTE, NAMES, 255, bands)
    for top in (0, LEAST + GAP):
        for left in (0, LEAST + GAP):
            assert (sheet[top + 60 : top + LEAST, left : left + 60] == 120).all()


def test_what_corruptions_and_attacks_are_defined_for() -> None:
    assert unsuited(RGB) is None
    assert unsuited(Bands(mean=(90.0,) * 3, std=(20.0,) * 3)) is None
    assert unsuited(Bands(nodata=0)) == (
        "corruptions and attacks are defined for 8-bit RGB, and the images are 3 bands of uint8 (red, green, blue), of "
        "which some values are no data"
    )
    assert unsuited(Bands(("t",), "uint16", (1.0,), (1.0,))) is not None
