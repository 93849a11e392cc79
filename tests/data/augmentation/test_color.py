import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.transforms import v2

from seglight.data.augmentation.color import color_matrix

STILL = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0, "hue": 0.0}


def picture() -> NDArray[np.uint8]:
    """Colours far enough from black and white that nothing is cut off."""
    return np.random.default_rng(0).integers(80, 140, (16, 16, 3), np.uint8)


def ours(image: NDArray[np.uint8], **changes: float) -> NDArray[np.uint8]:
    return cv2.transform(image, color_matrix(cv2.mean(image)[:3], **{**STILL, **changes}))


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.4])
@pytest.mark.parametrize("what", ["brightness", "contrast", "saturation"])
def test_each_factor_is_torchvisions(what: str, factor: float) -> None:
    image = picture()
    theirs = getattr(v2.functional, f"adjust_{what}")(torch.from_numpy(image).permute(2, 0, 1), factor)
    difference = ours(image, **{what: factor}).astype(int) - theirs.permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 1


def test_all_together_are_torchvisions_in_a_row() -> None:
    image = picture()
    theirs = torch.from_numpy(image).permute(2, 0, 1)
    for what, factor in (("brightness", 1.2), ("contrast", 0.8), ("saturation", 1.3)):
        theirs = getattr(v2.functional, f"adjust_{what}")(theirs, factor)
    difference = ours(image, brightness=1.2, contrast=0.8, saturation=1.3).astype(int) - theirs.permute(1, 2, 0).numpy()
    assert np.abs(difference).max() <= 3  # they round three times


def test_hue_turns_colours_and_leaves_greys_and_brightness() -> None:
    grey = np.full((4, 4, 3), 90, np.uint8)
    assert (ours(grey, hue=0.2) == 90).all()
    image = picture()
    turned = ours(image, hue=0.25)
    luma = np.array((0.299, 0.587, 0.114))
    assert np.abs(image @ luma - turned @ luma).max() < 1
    assert np.abs(turned.astype(int) - image).max() > 20
    assert np.abs(ours(image, hue=1.0).astype(int) - image).max() <= 1, "once round"
    red = np.array([[[160, 90, 90]]], np.uint8)
    assert ours(red, hue=1 / 3).argmax() == 1, "a third of the circle from red is green"
    assert ours(red, hue=-1 / 3).argmax() == 2
