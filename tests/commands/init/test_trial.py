import pytest
import torch

from seglight.commands.init.trial import _batch
from seglight.images.bands import RGB, Bands


@pytest.mark.parametrize(("classes", "dtype"), [(255, torch.uint8), (1000, torch.int32)])
def test_the_labels_of_trial_steps_are_of_the_type_of_masks(classes: int, dtype: torch.dtype) -> None:
    mask = _batch(2, (320, 290), classes, RGB)["mask"]
    assert (mask.dtype, mask.shape) == (dtype, (2, 320, 290))
    assert 0 <= int(mask.min()) <= int(mask.max()) < classes


def test_the_images_of_trial_steps_are_of_the_declared_bands() -> None:
    image = _batch(1, (32, 48), 2, Bands(("red", "nir"), "uint16", (1.0,) * 2, (1.0,) * 2))["image"]
    assert (image.dtype, image.shape) == (torch.uint16, (1, 2, 32, 48))
