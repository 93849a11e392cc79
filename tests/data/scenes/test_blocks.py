"""Splits by place, checked pixel by pixel.

Covers: data.scenes.area, data.scenes.leaks.
"""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.data.scenes.area import Area, tiles
from seglight.data.scenes.blocks import Blocks, Ground
from seglight.data.scenes.leaks import check_one_grid, check_places, meetings
from seglight.errors import UserError
from seglight.images.placement import Placement


def drawn(area: Area, size: tuple[int, ...]) -> NDArray[np.int64]:
    """Number of boxes that hold each pixel."""
    count = np.zeros(size[:2], np.int64)
    for top, left, bottom, right in area.boxes():
        count[top:bottom, left:right] += 1
    return count


def at(x: float, y: float, pixel: float = 1.0, crs: str = "metres") -> Placement:
    return Placement(crs, x, y, pixel, pixel)


SHIFTED = [
    Ground("a", (100, 130), at(0, 0)),
    Ground("b", (90, 70), at(60.25, -40.5)),
    Ground("c", (40, 50), at(-13, 7, 2.0)),
]


@pytest.mark.parametrize("scenes", [[Ground("alone", (100, 130), None)], SHIFTED])
@pytest.mark.parametrize("blocks", [Blocks(20), Blocks(37, 0.4, seed=3), Blocks(20, folds=4, fold=2)])
def test_no_place_is_in_two_splits(scenes: list[Ground], blocks: Blocks) -> None:
    """Each pixel covers cells of a quarter unit on the ground; no cell is covered by pixels of both splits."""
    areas = blocks.areas(scenes)
    covered = {name: np.zeros((800, 800), np.bool_) for name in ("train", "val")}
    for scene, train, val in zip(scenes, areas["train"], areas["val"], strict=True):
        masks = {"train": drawn(train, scene.size), "val": drawn(val, scene.size)}
        assert max(mask.max() for mask in masks.values()) == 1
        assert not (masks["train"] & masks["val"]).any()
        place = scene.placement or at(0, 0)
        for name, mask in masks.items():
            for y, x in np.argwhere(mask):
                top, left = (place.height * y - place.top) * 4 + 200, (place.width * x + place.left) * 4 + 200
                side = round(place.width * 4)
                covered[name][round(top) : round(top) + side, round(left) : round(left) + side] = True
    assert not (covered["train"] & covered["val"]).any()
    assert covered["val"].any()


def test_windows_lie_at_all_places_of_the_training_area_and_nowhere_else() -> None:
    areas = Blocks(20, 0.25).areas([Ground("alone", (70, 90), None)])
    val = drawn(areas["val"][0], (70, 90))
    height, width = 13, 24
    possible = {
        (y, x)
        for y, x in itertools.product(range(70 - height + 1), range(90 - width + 1))
        if not val[y : y + height, x : x + width].any()
    }
    rng = np.random.default_rng(0)
    found = [areas["train"][0].draw(rng, height, width) for _ in range(15 * len(possible))]
    counts = np.unique(np.array(found), axis=0, return_counts=True)[1]
    assert set(found) == possible
    assert counts.min() > 2
    assert counts.max() < 45
    assert areas["train"][0].fits(height, width)
    assert not areas["train"][0].fits(69, 89)
    assert not areas["train"][0].fits(71, 5)


def test_whole_areas_hold_windows_of_their_own_size() -> None:
    area = Area.whole((30, 40))
    assert area.draw(np.random.default_rng(0), 30, 40) == (0, 0)
    assert area.pixels == 1200


def test_each_block_is_in_the_validation_of_one_fold() -> None:
    scene = [Ground("alone", (100, 130), None)]
    sums = sum(drawn(Blocks(20, folds=5, fold=k).areas(scene)["val"][0], (100, 130)) for k in range(1, 6))
    assert (sums == 1).all()


@pytest.mark.parametrize("fraction", [0.1, 0.2, 0.5])
def test_the_fraction_of_the_validation_is_that_of_pixels(fraction: float) -> None:
    area = Blocks(16, fraction).areas([Ground("alone", (333, 510), None)])["val"][0]
    assert area.pixels / (333 * 510) == pytest.approx(fraction, abs=0.01)


def test_the_seed_decides() -> None:
    scene = [Ground("alone", (100, 130), None)]
    first, again, other = (drawn(Blocks(20, seed=seed).areas(scene)["val"][0], (100, 130)) for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_the_choice_depends_neither_on_the_folder_nor_on_how_a_system_is_written() -> None:
    for here, there in (
        (Ground("data/images/a.tif", (100, 130), None), Ground("/mnt/data/images/a.tif", (100, 130), None)),
        (Ground("a", (100, 130), at(0, 0, crs="EPSG:3857")), Ground("a", (100, 130), at(0, 0, crs="PROJCRS[...]"))),
    ):
        first, second = (drawn(Blocks(20).areas([scene])["val"][0], (100, 130)) for scene in (here, there))
        assert (first == second).all()


def test_tiles_hold_each_pixel_once_and_have_about_one_size() -> None:
    count = np.zeros((100, 130), np.int64)
    for top, left, bottom, right in tiles((3, 5, 96, 130), 32):
        assert max(bottom - top, right - left) <= 32
        assert min(bottom - top, right - left) >= 23
        count[top:bottom, left:right] += 1
    assert (count[3:96, 5:] == 1).all()
    assert count.sum() == 93 * 125


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Blocks(0), "block_size 0"),
        (lambda: Blocks(9, 1.5), "val_fraction 1.5"),
        (lambda: Blocks(9, 0.2, 4), "val_fraction or folds"),
        (lambda: Blocks(9, folds=1), "folds 1"),
        (lambda: Blocks(9, folds=3, fold=4), "fold 4"),
        (lambda: Blocks(200).areas([Ground("alone", (100, 130), None)]), "1 block, too few for two splits"),
        (
            lambda: Blocks(9).areas([Ground("t.tif", (9, 9), Placement("", 0, 0, 1, 1, upright=False))]),
            "t.tif: it is rotated",
        ),
    ],
)
def test_what_can_not_be_divided_is_refused(make: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()  # type: ignore[operator]


def test_scenes_that_overlap_or_touch_are_found() -> None:
    here = Ground("a", (100, 100), at(0, 0))
    assert meetings([here], [Ground("b", (50, 50), at(90, -80))], 0) == [("a", "b", 200)]
    assert meetings([here], [Ground("b", (50, 50), at(100, 0))], 0) == []
    assert meetings([here], [Ground("b", (50, 50), at(105, 0))], 8) == [("a", "b", 0)]
    assert meetings([here], [Ground("b", (50, 50), at(109, 0))], 8) == []
    assert meetings([here], [Ground("b", (50, 50), None)], 8) == []
    assert meetings([here], [here], 0) == [("a", "a", 10_000)]
    check_places([here], [Ground("b", (50, 50), at(100, 0))])
    with pytest.raises(UserError, match="b: 200 of its pixels show a place of the training scene a:"):
        check_places([here], [Ground("b", (50, 50), at(90, -80))])


def test_scenes_of_two_systems_that_overlap_have_no_grid() -> None:
    rasterio = pytest.importorskip("rasterio")
    utm, degrees = (rasterio.crs.CRS.from_epsg(code).to_wkt() for code in (32632, 4326))
    here = Ground("a", (100, 100), Placement(utm, 500_000, 5_000_000, 10, 10))
    inside, far = (Ground("b", (100, 100), Placement(degrees, x, 45.153, 1e-4, 1e-4)) for x in (9.0, 9.5))
    check_one_grid([here, far])
    with pytest.raises(UserError, match="a and b show the same place in different"):
        check_one_grid([here, inside])
