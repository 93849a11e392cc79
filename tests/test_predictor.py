"""What is taken for an image, and what is refused in a line."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seglight.errors import UserError
from seglight.predictor import pixels_of

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    "image",
    [PIXELS, Image.fromarray(PIXELS), torch.from_numpy(PIXELS).permute(2, 0, 1)],
    ids=["array", "Pillow", "tensor"],
)
def test_images_in_memory(image: Any) -> None:
    np.testing.assert_array_equal(pixels_of(image), PIXELS, strict=True)


UINT8 = torch.zeros(3, 4, 5, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (torch.rand(3, 4, 5, requires_grad=True), "a float32 tensor (3, 4, 5)"),
        (UINT8.bfloat16(), "a bfloat16 tensor (3, 4, 5)"),
        (UINT8[0, 0, 0], "a uint8 tensor ()"),
        (UINT8[0], "a uint8 tensor (4, 5)"),
        (UINT8[None], "a uint8 tensor (1, 3, 4, 5)"),
        (UINT8.permute(1, 2, 0), "a uint8 tensor (4, 5, 3)"),
        (UINT8.to("meta"), "a meta uint8 tensor"),
        (UINT8.to_sparse(), "a sparse_coo uint8 tensor"),
        (torch.nested.nested_tensor([UINT8[0], UINT8[1, :2]], layout=torch.jagged), "a nested uint8 tensor"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tensors_that_are_no_image(image: Any, told: str) -> None:
    with pytest.raises(UserError) as caught:
        pixels_of(image)
    taken = "a path, a Pillow image, a uint8 array (H, W, 3) or a uint8 tensor (3, H, W)"
    assert str(caught.value) == f"an image is {taken}, not {told}"


def test_a_pillow_image_that_cannot_become_rgb() -> None:
    """Grey with its transparency multiplied in."""
    with pytest.raises(UserError, match=r"^the Pillow image: pixels of mode La; .*: convert it to PNG, JPEG or TIFF$"):
        pixels_of(Image.new("La", (5, 5)))
