"""Pixels of 16 bits are moved as they are."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from seglight.ops.padding import pad_image
from seglight.ops.unsigned import moved

ON_CUDA = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=ON_CUDA)])
def test_pixels_move_as_in_numpy(device: str, dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (2, 3, 5, 7)).astype(dtype)
    image = torch.from_numpy(pixels).to(device)
    mirror: Callable[[Tensor], Tensor] = lambda values: values.flip(-1)  # noqa: E731
    np.testing.assert_array_equal(moved(image, mirror).cpu().numpy(), pixels[..., ::-1])
    padded = pad_image(image, 4)
    assert padded.dtype == image.dtype
    np.testing.assert_array_equal(padded.cpu().numpy(), np.pad(pixels, ((0, 0), (0, 0), (0, 3), (0, 1)), mode="edge"))
