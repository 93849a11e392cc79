"""Padding against numpy's edge and constant modes.

Covers: ops.sizes.
"""

import numpy as np
import pytest
import torch

from seglight.ops.padding import pad_image, pad_mask


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize(
    ("size", "padded"), [((1, 1), (32, 32)), ((33, 64), (64, 64)), ((65, 97), (96, 128)), ((31, 32), (32, 32))]
)
def test_pad_image_repeats_the_edge(size: tuple[int, int], padded: tuple[int, int], dtype: torch.dtype) -> None:
    image = torch.randint(0, 256, (2, 3, *size)).to(dtype)
    bottom, right = padded[0] - size[0], padded[1] - size[1]
    actual = pad_image(image, 32)
    assert actual.dtype == dtype
    np.testing.assert_array_equal(actual, np.pad(image, ((0, 0), (0, 0), (0, bottom), (0, right)), mode="edge"))


@pytest.mark.parametrize("ignore", [255, 0])
def test_pad_mask_adds_ignored_pixels(ignore: int) -> None:
    mask = torch.randint(0, 5, (2, 33, 63), dtype=torch.uint8)
    actual = pad_mask(mask, 32, ignore)
    assert actual.dtype == torch.uint8
    np.testing.assert_array_equal(actual, np.pad(mask, ((0, 0), (0, 31), (0, 1)), constant_values=ignore))


def test_nothing_to_pad() -> None:
    image, mask = torch.zeros(1, 3, 64, 32, dtype=torch.uint8), torch.zeros(1, 64, 32, dtype=torch.uint8)
    assert pad_image(image, 32) is image
    assert pad_mask(mask, 32, 255).shape == mask.shape
