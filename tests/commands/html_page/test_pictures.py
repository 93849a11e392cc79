"""Embedded pictures: the pixels, their size, and a text for those who do not see them."""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from seglight.commands.html_page.element import markup
from seglight.commands.html_page.pictures import WIDEST, embedded, picture


def decoded(address: str) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(base64.b64decode(address.partition(",")[2]))))


def test_flat_colours_are_embedded_as_they_are(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, 20:40] = (200, 10, 30)
    address, width, height = embedded(pixels)
    assert address.startswith("data:image/png;base64,")
    assert (width, height) == (60, 40)
    assert (decoded(address) == pixels).all()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert embedded(tmp_path / "a.png") == (address, width, height)


def test_noise_is_smaller_as_jpeg() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    address, _, _ = embedded(noise)
    assert address.startswith("data:image/jpeg;base64,")


def test_a_large_picture_is_reduced() -> None:
    address, width, height = embedded(np.zeros((WIDEST // 2, 2 * WIDEST, 3), np.uint8))
    assert (width, height) == (WIDEST, WIDEST // 4)
    assert decoded(address).shape[:2] == (height, width)


def test_the_figure_has_a_text_and_a_caption() -> None:
    text = markup(picture(np.zeros((2, 3, 3), np.uint8), 'a "picture"', "below"))
    assert 'alt="a &quot;picture&quot;" width="3" height="2"' in text
    assert "<figcaption>below</figcaption>" in text
