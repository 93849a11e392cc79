"""Frequencies, weights and sizes against numpy and scikit-learn.

Covers: commands.doctor.edges.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from seglight.commands.doctor.edges import edges
from seglight.commands.doctor.statistics import class_fractions, class_weights, crop_size
from seglight.data.datasets.cityscapes import CODEC
from tests.support import fabricate
from tests.support import planting as plant
from tests.support.command import Ran

CLI = Callable[..., Ran]


def test_frequencies_are_those_of_the_masks(seglight_cli: CLI, cityscapes: Path, tmp_path: Path) -> None:
    config = plant.recipe(tmp_path / "recipe.yaml", "CityscapesDataModule", cityscapes)
    ran = seglight_cli("doctor", "--config", config, "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    masks = np.stack([CODEC.read(path) for path in sorted((cityscapes / "gtFine" / "train").glob("*/*"))])
    classes = list(report["splits"]["train"]["classes"].values())
    assert [one["pixels"] for one in classes] == [int((masks == index).sum()) for index in range(19)]
    assert [one["images"] for one in classes] == [int((masks == index).any((1, 2)).sum()) for index in range(19)]
    assert report["splits"]["train"]["ignored_share"] == pytest.approx((masks == 255).mean())
    assert f"class_weights: {report['class_weights']}" in ran.out
    places = [
        "data.init_args.augmentation",
        "crop_size:",
        "rare_class_crops:",
        "init_args of its loss",
        "class_weights:",
    ]
    assert sorted(places, key=ran.out.rindex) == places, "where to paste"
    assert f"rare_class_crops: {report['rare_class_crops']}" in ran.out


def test_weights_are_the_root_of_balanced_ones_with_mean_one() -> None:
    pixels = np.array([5000, 300, 20, 900])
    labels = np.repeat(np.arange(4), pixels)
    balanced = np.sqrt(compute_class_weight("balanced", classes=np.arange(4), y=labels))
    assert class_weights(pixels) == pytest.approx(balanced / balanced.mean(), rel=5e-3)
    assert np.mean(class_weights(pixels)) == pytest.approx(1, rel=5e-3)


def test_a_class_without_pixels() -> None:
    assert class_weights(np.array([100, 0, 100])) == [1, 1, 1]
    assert class_weights(np.zeros(3, np.int64)) == [1, 1, 1]
    assert class_fractions(np.array([300, 0, 100])) == [0.75, 0, 0.25]
    assert class_fractions(np.zeros(2, np.int64)) == [0, 0]


def test_shares_keep_four_digits_of_rare_classes() -> None:
    assert class_fractions(np.array([987_654_321, 12_345])) == [1.0, 1.25e-5]


@pytest.mark.parametrize(
    ("sizes", "crop"),
    [
        ({(360, 480): 367}, 288),
        ({(1024, 2048): 10}, (512, 1024)),
        ({(375, 500): 5, (500, 375): 4, (333, 500): 3}, 288),
        ({(2048, 1024): 10}, (1024, 512)),
        ({(20, 30): 1}, 32),
        ({}, None),
    ],
)
def test_crop_suits_the_sizes(sizes: dict[tuple[int, int], int], crop: object) -> None:
    assert crop_size(Counter(sizes)) == crop


def test_edges_counted_by_hand() -> None:
    found = edges(np.array([[0, 0, 4, 9, 9, 2, 2], [0, 0, 4, 9, 9, 2, 2]], np.uint8))
    assert (found.passes, found.ramps, found.others, found.peaks) == (6, 2, 0, 0)
    assert (found.commonest, found.pixels) == (1.0, 14)
    found = edges(np.array([[1, 5, 1, 0, 1, 7, 4]], np.uint8))
    assert (found.passes, found.ramps, found.others, found.peaks) == (6, 2, 1, 3)


def test_grid_tells_blocks_of_eight_from_chance_and_blocks_of_four() -> None:
    rng = np.random.default_rng(0)
    assert edges(rng.integers(0, 20, (160, 160), np.uint8)).grid == pytest.approx(1, abs=0.1)
    assert edges(fabricate.labels(rng, (160, 160), range(20), 4)).grid == pytest.approx(1, abs=0.1)
    assert edges(fabricate.labels(rng, (160, 160), range(20), 8)).grid > 100


def test_a_class_that_always_lies_between_two_others_is_no_interpolation() -> None:
    mask = np.zeros((60, 60), np.uint8)
    mask[10:50, 10:50] = 1
    mask[11:49, 11:49] = 2
    assert edges(mask).ramps == 4 * 38
    assert not edges(mask).smeared


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("block", [1, 2, 3, 5])
def test_sharp_masks_and_noise_are_not_smeared(block: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for number in (3, 11, 20):
        assert not edges(fabricate.labels(rng, (60, 80), range(number), block)).smeared
