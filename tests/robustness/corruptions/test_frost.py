"""Drawn frost: as bright and as rough as the photographs of the published package, and blended by its weights."""

import numpy as np
import pytest

from seglight.robustness.corruptions.frost import FROST, frost, texture
from tests.support import published_corruptions as published


def test_brightness_and_contrast_are_those_of_the_photographs() -> None:
    with np.load(published.PATH) as stored:
        *means, spread = stored["frost"]
    frosted = np.stack([frost(np.zeros((200, 300, 3), np.uint8), 1, np.random.default_rng(seed)) for seed in range(4)])
    assert np.allclose(frosted.mean((0, 1, 2)), means, atol=2)
    assert frosted.mean(-1).std((1, 2)).mean() == pytest.approx(spread, rel=0.1)


def test_the_image_is_blended_with_the_frost() -> None:
    image = published.drawn_image(50, 60)
    own, ice = FROST[2]
    expected = np.clip(own * image + 255 * ice * texture(50, 60, np.random.default_rng(1)), 0, 255)
    assert np.abs(frost(image, 3, np.random.default_rng(1)) - np.floor(expected)).max() <= 1
