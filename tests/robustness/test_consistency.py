"""Consistency of labels whose behaviour under each change is known."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seglight.robustness.consistency import SCALES, SETTINGS, SHIFTS, consistency, resized

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)


def shares(counts: NDArray[np.int64]) -> dict[tuple[str, str], float]:
    assert counts.dtype == np.int64
    return dict(zip(SETTINGS, counts[:, 0] / counts[:, 1], strict=True))


def by_colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return (image[..., 0] > 127).astype(np.uint8)


def by_column(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Stripes that stay where they are, whatever the image is."""
    return np.broadcast_to(np.arange(image.shape[1]) % 4 // 2, image.shape[:2]).astype(np.uint8)


def test_labels_of_single_pixels_are_consistent() -> None:
    found = shares(consistency(by_colour, IMAGE, by_colour(IMAGE)))
    assert found["flip", "horizontal"] == 1
    assert all(found["shift", str(shift)] == 1 for shift in SHIFTS)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (5, 7)])
def test_images_of_a_few_pixels_are_arrays_that_torch_takes(shape: tuple[int, int]) -> None:
    def by_colour_of_tensor(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return (torch.from_numpy(image)[..., 0] > 127).to(torch.uint8).numpy()

    image = IMAGE[:1, :1].repeat(shape[0], 0).repeat(shape[1], 1)
    counts = consistency(by_colour_of_tensor, image, by_colour(image))
    assert (counts[:, 0] == counts[:, 1]).all()


def test_labels_of_large_areas_are_consistent_at_any_scale() -> None:
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = 255
    found = shares(consistency(by_colour, image, by_colour(image)))
    assert all(found["scale", str(scale)] == 1 for scale in SCALES)


def test_labels_that_follow_the_column_are_not() -> None:
    """Stripes of two columns: after a shift by one, every second column agrees; after one by two, none."""
    found = shares(consistency(by_column, IMAGE, by_column(IMAGE)))
    assert found["flip", "horizontal"] == 0
    assert found["shift", "1"] == pytest.approx(20 / 39)
    assert found["shift", "2"] == 0
    assert found["shift", "4"] == found["shift", "8"] == found["shift", "16"] == 1
    # columns 0, 1, 2, ... lie in columns 0, 0, 1, ... of half the image: 0 0 0 0 1 1 1 1 against 0 0 1 1 0 0 1 1
    assert found["scale", "0.5"] == 0.5


def test_counts_of_pixels_that_are_compared() -> None:
    counts = consistency(by_colour, IMAGE, by_colour(IMAGE))
    compared = dict(zip(SETTINGS, counts[:, 1].tolist(), strict=True))
    assert compared["flip", "horizontal"] == compared["scale", "0.5"] == 24 * 40
    assert compared["shift", "16"] == 8 * 24


def test_an_image_smaller_than_a_shift() -> None:
    image = IMAGE[:3, :2]
    counts = dict(zip(SETTINGS, consistency(by_colour, image, by_colour(image)).tolist(), strict=True))
    assert counts["shift", "1"] == [2, 2]
    assert counts["shift", "2"] == counts["shift", "16"] == [0, 0]


def test_resized_images_keep_their_brightness() -> None:
    assert resized(IMAGE, (12, 20)).shape == (12, 20, 3)
    means = IMAGE.reshape(12, 2, 20, 2, 3).mean((1, 3))
    assert np.abs(resized(IMAGE, (12, 20)) - means).max() <= 1
    assert resized(IMAGE, (36, 60)).mean() == pytest.approx(IMAGE.mean(), abs=1)
