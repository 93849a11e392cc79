from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglight.data.labels import LabelCodec, read_image, read_index
from seglight.errors import UserError
from tests import fabricate

CODEC = LabelCodec({0: 0, 1: 1, 7: 2}, ignored=(9, 255))
RAW = np.array([[0, 1, 7], [9, 255, 1]], np.uint8)


def mode_of(path: Path) -> str:
    with Image.open(path) as image:
        return image.mode


def test_values_become_class_indices_and_void_becomes_255(tmp_path: Path) -> None:
    fabricate.save_mask(tmp_path / "mask.png", RAW)
    mask = CODEC.read(tmp_path / "mask.png")
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 1, 2], [255, 255, 1]]


def test_palette_mask_is_read_as_index_whatever_its_colours(tmp_path: Path) -> None:
    black = np.zeros((256, 3), np.uint8)
    rainbow = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    for palette in (black, rainbow):
        fabricate.save_mask(tmp_path / "mask.png", RAW, palette)
        assert mode_of(tmp_path / "mask.png") == "P"
        assert read_index(tmp_path / "mask.png").tolist() == RAW.tolist()


def test_one_bit_mask_holds_classes_0_and_1(tmp_path: Path) -> None:
    Image.fromarray(np.array([[True, False], [False, False]])).save(tmp_path / "mask.png")
    assert mode_of(tmp_path / "mask.png") == "1"
    assert CODEC.read(tmp_path / "mask.png").tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colour_mask_is_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "mask.png"
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(UserError, match=rf"^{path}: the mask is a colour image \(mode {mode}\).*8-bit index"):
        CODEC.read(path)


def test_values_outside_the_table_are_named_with_their_pixels_and_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    fabricate.save_mask(path, np.array([[0, 5, 5], [6, 5, 255]], np.uint8))
    with pytest.raises(
        UserError, match=rf"^{path}: label value 5 \(3 pixels\), 6 \(1 pixels\) is not in the class table"
    ):
        CODEC.read(path)
    with pytest.raises(UserError, match=r"\(0-1, 7, 9, 255\)"):
        CODEC.read(path)


def test_many_values_outside_the_table_are_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    fabricate.save_mask(path, np.arange(20, 40, dtype=np.uint8).reshape(4, 5))
    with pytest.raises(UserError, match=r"27 \(1 pixels\) and 12 further values is not in"):
        CODEC.read(path)


@pytest.mark.parametrize("name", ["cut.png", "cut.jpg"])
def test_cut_off_file_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    fabricate.save_image(path, np.random.default_rng(0), (32, 32))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=rf"^{path}: not readable as an image .*cut off or damaged, fetch it again"):
        read_image(path)
    with pytest.raises(UserError, match=rf"^{path}: not readable as an image"):
        read_index(path)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>"])
def test_file_that_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{path}: not readable as an image"):
        read_image(path)


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "RGB"])
def test_any_image_comes_as_rgb(tmp_path: Path, mode: str) -> None:
    grey = Image.new("RGB", (3, 2), (10, 10, 10))
    (grey.quantize() if mode == "P" else grey.convert(mode)).save(tmp_path / "image.png")
    assert mode_of(tmp_path / "image.png") == mode
    image = read_image(tmp_path / "image.png")
    assert image.dtype == np.uint8
    assert image.tolist() == np.full((2, 3, 3), 10).tolist()
