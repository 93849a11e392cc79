"""What is taken for an image, and what is refused in a line.

Covers: inference.batches, inference.exported.predictor.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seglight.errors import UserError
from seglight.images.pixels import pixels_of
from seglight.inference import SlidingWindow
from seglight.inference.exported.windows import WindowedPredictor
from seglight.inference.load import load
from tests.support.checkpoint_files import checkpoint
from tests.support.exported import Blurred

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


SOUND = np.zeros((64, 64, 3), np.uint8)
NO_IMAGES = {
    "float32 (64, 64, 3)": SOUND.astype(np.float32),
    "bool (64, 64, 3)": SOUND.astype(bool),
    "int64 (64, 64, 3)": SOUND.astype(np.int64),
    "object (64, 64, 3)": SOUND.astype(object),
    "uint8 (64, 64)": SOUND[..., 0],
    "uint8 (3, 64, 64)": np.moveaxis(SOUND, -1, 0),
    "uint8 (64, 64, 4)": np.zeros((64, 64, 4), np.uint8),
    "uint8 (1, 64, 64, 3)": SOUND[None],
    "list": SOUND.tolist(),
    "str": "photo.png",
}


class Strips:
    """Read by windows, of which each is the same."""

    shape = (64, 64)

    def __init__(self, found: Any) -> None:
        self.found = found

    def read(self, rows: slice, columns: slice) -> Any:
        return self.found


@pytest.fixture(scope="module", params=["torch", "exported", "windowed"])
def predictor(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param == "torch":
        return load(checkpoint(tmp_path_factory.mktemp("net") / "net.ckpt"), device="cpu", inferer=SlidingWindow(64))
    return Blurred() if request.param == "exported" else WindowedPredictor(Blurred())


@pytest.mark.parametrize("got", NO_IMAGES)
def test_what_a_batch_and_windows_may_not_hold(got: str, predictor: Any) -> None:
    with pytest.raises(UserError) as caught:
        predictor.predict_batch([SOUND, NO_IMAGES[got]])
    taken = "the net takes uint8 arrays (H, W, 3)"
    assert str(caught.value) == f"image 1 of the batch is {got}, and {taken}"
    if hasattr(predictor, "rows"):
        with pytest.raises(UserError) as caught:
            list(predictor.rows(Strips(NO_IMAGES[got])))
        place = "rows 0 to 64 and columns 0 to 64 of the image"
        assert str(caught.value) == f"{place} are read as {got}, not as a uint8 array (64, 64, 3)"


def test_no_pixels_and_no_windows(predictor: Any) -> None:
    with pytest.raises(UserError, match="an image of 0 x 64 pixels: there is nothing to predict"):
        predictor.predict_batch([SOUND[:0]])
    assert predictor.predict_batch([]) == []
    if hasattr(predictor, "rows"):
        assert np.concatenate(list(predictor.rows(Strips(SOUND)))).shape == (64, 64)
        with pytest.raises(UserError, match="64, 64, 3"):
            list(predictor.rows(Strips(SOUND[:9])))
        with pytest.raises(UserError, match="unlike ndarray: `predict` takes images in memory"):
            list(predictor.rows(SOUND))


def test_bands_are_the_rows_of_a_label_map(predictor: Any) -> None:
    """By windows there are several, and an image that is seen whole is one."""
    if isinstance(predictor, Blurred):
        predictor = WindowedPredictor(predictor)
    image = np.random.default_rng(1).integers(0, 256, (200, 150, 3), np.uint8)
    bands = [*predictor.label_bands(image)]
    assert (len(bands) > 1) == (not isinstance(predictor, WindowedPredictor))
    np.testing.assert_array_equal(np.concatenate(bands), predictor.predict(image))
    with pytest.raises(UserError, match="an image is a path, a Pillow image, "):
        next(iter(predictor.label_bands(image.astype(np.float32))))


def test_what_a_predictor_takes_and_gives(predictor: Any) -> None:
    assert predictor.size is None
    assert predictor.has_probabilities
    # this torch predictor goes through each image by windows
    assert not predictor.takes_batches


def test_a_whole_image_is_one_band_and_batches_are_passes(tmp_path: Path) -> None:
    net = load(checkpoint(tmp_path / "net.ckpt"), device="cpu")
    image = np.random.default_rng(1).integers(0, 256, (70, 50, 3), np.uint8)
    (band,) = net.label_bands(image)
    np.testing.assert_array_equal(band, net.predict(image))
    assert net.takes_batches
