"""Regions of an image, worked by hand.

Covers: commands.doctor.label_errors.components, commands.doctor.label_errors.region.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.commands.doctor.label_errors.compare import Disagreement
from seglight.commands.doctor.label_errors.components import components
from seglight.commands.doctor.label_errors.find_regions import Regions, find_regions, rarity_of
from seglight.commands.doctor.label_errors.region import Box

ROAD, CAR, SKY = range(3)


def maps(
    labels: NDArray[np.uint8], predicted: NDArray[np.uint8], sure: float = 0.9, left: float = 0.001
) -> Disagreement:
    """A net that is sure of the class that it finds, and leaves another label some probability."""
    agree = labels == predicted
    return Disagreement(
        labels,
        np.where(agree, sure, left).astype(np.float32),
        predicted,
        np.full(labels.shape, sure, np.float32),
        ~agree & (labels != 255),
        255,
        0.5,
    )


def regions_of(found: Disagreement) -> Regions:
    return find_regions(found, np.ones((3, 3)))


def street() -> NDArray[np.uint8]:
    """Sky above a road with two cars."""
    labels = np.full((60, 80), ROAD, np.uint8)
    labels[:20] = SKY
    labels[30:40, 10:26] = CAR
    labels[30:40, 50:66] = CAR
    return labels


def test_a_flipped_object_is_one_region_with_the_class_it_should_have() -> None:
    truth = street()
    labels = truth.copy()
    labels[30:40, 10:26] = SKY
    found = regions_of(maps(labels, truth))
    assert len(found.scores) == 1
    region = found.region(1, 7, "street.png")
    assert (region.index, region.image, region.size) == (7, "street.png", (60, 80))
    assert (region.label, region.suggested, region.pixels) == (SKY, CAR, 160)
    assert region.box == Box(10, 30, 16, 10)
    assert region.inside.all()
    assert (region.confidence, region.label_probability) == (pytest.approx(0.9), pytest.approx(0.001))
    np.testing.assert_array_equal(region.predicted, region.seen.of(truth))


def test_a_dropped_object_ranks_above_the_strip_of_a_border() -> None:
    truth = street()
    labels = truth.copy()
    labels[30:40, 10:26] = ROAD
    labels[18:20] = ROAD  # 160 pixels as well, 2 pixels wide
    found = regions_of(maps(labels, truth))
    boxes = {found.region(number, 0, "").box: score for number, score in enumerate(found.scores.tolist(), 1)}
    assert set(boxes) == {Box(10, 30, 16, 10), Box(0, 18, 80, 2)}
    # both have 160 pixels and the same evidence; 4 pixels are between the border and the middle of the object
    assert boxes[Box(10, 30, 16, 10)] / boxes[Box(0, 18, 80, 2)] == pytest.approx((4.5 / 5.5) / (0.5 / 1.5), rel=0.02)
    assert boxes[Box(0, 18, 80, 2)] == pytest.approx(np.log(900) * 160**0.25 / 3)


def test_a_net_that_leaves_the_label_some_probability_is_less_sure_evidence() -> None:
    truth = street()
    labels = truth.copy()
    labels[30:40, 10:26] = ROAD
    (sure,), (doubtful,) = (regions_of(maps(labels, truth, 0.6, left)).scores for left in (0.001, 0.3))
    assert sure > 3 * doubtful > 0


def test_a_pair_of_classes_that_is_contradicted_everywhere_counts_less() -> None:
    contradicted = np.zeros((3, 3), np.int64)
    contradicted[ROAD, CAR] = 81
    contradicted[SKY, CAR] = 16
    contradicted[SKY, ROAD] = 3
    rarity = rarity_of(contradicted)
    assert rarity[SKY, CAR] / rarity[ROAD, CAR] == pytest.approx(3 / 2)
    assert rarity[CAR, SKY] == pytest.approx(10), "a pair that never occurs is as rare as one of 0.01 %"
    truth = street()
    labels = truth.copy()
    labels[30:40, 10:26] = ROAD
    labels[30:40, 50:66] = SKY
    found = find_regions(maps(labels, truth), rarity)
    scores = {found.region(k, 0, "").label: found.scores[k - 1] for k in (1, 2)}
    assert scores[SKY] / scores[ROAD] == pytest.approx(3 / 2)


def test_a_labelled_object_in_which_several_classes_are_found_is_one_region() -> None:
    labels = street()
    predicted = labels.copy()
    predicted[30:40, 10:20] = SKY
    predicted[30:40, 20:26] = ROAD
    found = regions_of(maps(labels, predicted))
    assert len(found.scores) == 1
    region = found.region(1, 0, "")
    assert (region.label, region.suggested, region.pixels) == (CAR, SKY, 160)


def test_ignored_pixels_are_in_no_region() -> None:
    truth = street()
    labels = truth.copy()
    labels[30:40, 10:26] = 255
    assert len(regions_of(maps(labels, truth)).scores) == 0
    labels[32:38, 12:24] = ROAD
    found = regions_of(maps(labels, truth))
    assert found.region(1, 0, "").pixels == 6 * 12


def test_the_pixels_of_a_region_with_a_hole() -> None:
    truth = street()
    labels = truth.copy()
    predicted = truth.copy()
    predicted[45:55, 30:40] = CAR
    predicted[48:52, 33:37] = ROAD
    region = regions_of(maps(labels, predicted)).region(1, 0, "")
    expected = np.ones((10, 10), bool)
    expected[3:7, 3:7] = False
    np.testing.assert_array_equal(region.inside, expected)
    assert region.pixels == 84


def test_components_are_connected_by_corners_and_have_one_value() -> None:
    values = np.array([[1, 2, 2, 1], [2, 1, 2, 1], [3, 3, 1, 3]], np.uint8)
    inside = np.ones(values.shape, bool)
    inside[2, 3] = False
    found = components(values, inside)
    assert found.areas.tolist() == [1, 5, 4, 2]
    assert found.numbers.tolist() == [[1, 2, 2, 1], [2, 1, 2, 1], [3, 3, 1, 0]]


def test_a_box_grows_within_its_image() -> None:
    assert Box(3, 10, 4, 5).grown(6, (20, 100)) == Box(0, 4, 13, 16)
