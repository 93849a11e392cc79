"""Crops, scales and weights as pure functions of facts; the numbers are worked by hand.

Covers: commands.init.choice, commands.init.facts.
"""

import numpy as np
import pytest

from seglight.commands.doctor.facts import Header, ImageFacts, LabelTable, MaskFacts, Pair, PairFacts
from seglight.commands.init import samples
from seglight.commands.init.facts import DataFacts, data_facts


def facts(**changes: object) -> DataFacts:
    """Street scenes of 360x480 in three classes, the last of them a tenth of the pixels."""
    values: dict[str, object] = {
        "names": ("road", "car", "sign"),
        "train": 100,
        "val": 20,
        "pixels": (6400, 2600, 1000),
        "images_with": (100, 80, 60),
        "size": (360, 480),
        "largest": (360, 480),
        "extent": 90,
        "suffix": ".png",
    }
    return DataFacts(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "extent", "device", "crop"),
    [
        ((360, 480), 90, "cpu", 320),  # 0.9 * 360 = 324
        ((160, 160), 70, "cpu", 160),  # small images whole
        ((28, 28), 9, "cpu", 32),  # tiny ones padded to one step of the encoder
        ((100, 120), 30, "gpu", 96),
        ((1080, 1440), 100, "cpu", 384),
        ((1080, 1440), 100, "gpu", 512),
        ((3000, 4000), 600, "gpu", 608),  # a class fills 600: the next multiple of 32
        ((3000, 4000), 2000, "gpu", 768),
        ((3000, 4000), 2000, "cpu", 512),
        ((1024, 2048), 100, "gpu", (512, 1024)),
        ((2048, 1024), 100, "gpu", (1024, 512)),
        ((64, 300), 20, "cpu", (64, 128)),
        ((5, 10), 2, "cpu", (32, 32)),
    ],
)
def test_crop_follows_images_and_objects(size: tuple[int, int], extent: int, device: str, crop: object) -> None:
    chosen = samples.crop_size(facts(size=size, extent=extent), device)
    assert chosen.value == crop
    assert f"{size[0]}x{size[1]}" in chosen.reason


def test_a_smaller_crop_has_the_fraction_of_the_pixels_in_multiples_of_32() -> None:
    assert samples.smaller_crop(320, 0.5) == 224  # 226.3
    assert samples.smaller_crop((512, 1024), 0.25) == (256, 512)
    assert samples.smaller_crop(320, 0.01) == 160
    assert samples.smaller_crop(320, 1e-6, 0.0) == 64
    assert samples.smaller_crop(32, 0.1, 0.0) == 32


def test_a_single_training_image_has_more_than_one_place_at_the_coarsest_stride() -> None:
    assert samples.crop_size(facts(train=1, size=(40, 40)), "cpu").value == 64
    assert samples.crop_size(facts(train=2, size=(40, 40)), "cpu").value == 32


def test_short_trainings_are_not_augmented() -> None:
    assert samples.scale(4, facts(), 320).value == [1.0, 1.0]
    assert "in 4 epochs an image" in samples.scale(4, facts(), 320).reason
    assert "in 1 epoch an image" in samples.scale(1, facts(), 320).reason
    assert "in less than an epoch an image" in samples.scale(0, facts(), 320).reason
    assert samples.photometric(4).value == 0.0
    assert samples.scale(12, facts(), 320).value == [0.75, 2.0]
    assert samples.photometric(12).value == 0.4


def test_objects_larger_than_a_crop_are_made_smaller() -> None:
    assert samples.scale(50, facts(extent=2000), 512).value == [0.5, 1.5]


def test_class_weights_are_those_of_doctor_and_limited() -> None:
    # 1 / sqrt(0.64, 0.26, 0.1) = 1.25, 1.961, 3.162; their mean is 2.124
    weights = samples.weights_of_classes(facts(), rare_crops=False)
    assert weights is not None
    assert weights.value == pytest.approx([0.588, 0.923, 1.49], abs=0.01)
    many = facts(names=tuple("abcdefghijklmnopqrstu"), pixels=(1, *[10**8] * 20), images_with=(1, *[100] * 20))
    limited = samples.weights_of_classes(many, rare_crops=False)
    assert limited is not None
    assert (max(limited.value), "at most 10" in limited.reason) == (10.0, True)


def test_equal_classes_have_no_weights() -> None:
    assert samples.weights_of_classes(facts(names=("no", "yes"), pixels=(500, 500)), rare_crops=False) is None


def test_crops_are_placed_on_a_class_that_random_ones_miss() -> None:
    # 3 of 100 images; a crop of 320 covers 8/9 of the height and 2/3 of the width: 0.03 * 0.593 = 1.8%
    rare = facts(images_with=(100, 80, 3), pixels=(9000, 900, 100))
    chosen = samples.rare_class_crops(rare, 320)
    assert chosen is not None
    assert chosen.value == [0.9, 0.09, 0.01]
    assert "sign in about 1.8%" in chosen.reason
    assert samples.weights_of_classes(rare, rare_crops=True) is None
    assert samples.rare_class_crops(facts(), 320) is None


def test_a_class_without_a_pixel_is_not_looked_for() -> None:
    assert samples.rare_class_crops(facts(images_with=(100, 80, 0), pixels=(9000, 1000, 0)), 320) is None


def pair(name: str, size: tuple[int, int], classes: tuple[int, int]) -> PairFacts:
    """An image and its index mask."""
    header = Header(name, mode="L", size=size)
    values = np.array([0, 1], np.int64)
    counts = np.array(classes, np.int64)
    mask = MaskFacts(header, values=values, counts=counts, classes=counts)
    return PairFacts(Pair(*[name] * 4), ImageFacts(header), mask)


def test_facts_of_a_scan() -> None:
    table = LabelTable(("ground", "cat"), ((0, 0, 0), (1, 1, 1)), {0: 0, 1: 1})
    train = [
        pair("a.JPG", (40, 60), (2300, 100)),
        pair("b.jpg", (60, 80), (4800, 0)),
        pair("c.png", (50, 70), (3100, 400)),
    ]
    found = data_facts(train, [pair("d.png", (90, 90), (8100, 0))], [], table)
    assert (found.train, found.val) == (3, 1)
    assert found.pixels == (10200, 500)
    assert found.images_with == (3, 2)
    assert (found.size, found.largest) == ((50, 70), (90, 90))
    assert found.extent == 15  # the median of 10 and 20
    assert found.suffix == ".jpg"
