import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from seglight.data.labels import ColorCodec, LabelCodec, read_index
from seglight.errors import UserError
from seglight.images.decode import read_image
from tests.support import fabricate

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


RED, GREEN, BLACK = (255, 0, 0), (0, 200, 1), (0, 0, 0)
COLORS = ColorCodec({RED: 0, GREEN: 1}, ignored=(BLACK,))
PAINTED = np.array([[RED, GREEN, BLACK], [GREEN, GREEN, RED]], np.uint8)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_masks_hold_values_of_more_than_a_byte(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mask.{suffix}"
    raw = np.array([[0, 255, 256], [1000, 40000, 65535]], np.uint16)
    assert cv2.imwrite(str(path), raw)
    assert (read_index(path) == cv2.imread(str(path), cv2.IMREAD_UNCHANGED)).all()
    codec = LabelCodec({0: 0, 255: 1, 256: 2, 1000: 3, 40000: 4}, ignored=(65535,))
    assert codec.read(path).tolist() == [[0, 1, 2], [3, 4, 255]]
    with pytest.raises(UserError, match=r"label value 256 .*, 1000 .*, 40000 .*, 65535 \(1 pixels\) is not in"):
        LabelCodec({0: 0, 255: 1}).read(path)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_masks_are_refused(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "mask.tif"
    Image.fromarray(np.full((2, 2), 70000, np.int32)).convert(mode).save(path)
    with pytest.raises(UserError, match=rf"^{path}: the mask is a float or 32-bit image \(mode {mode}\)"):
        CODEC.read(path)


def test_binary_masks(tmp_path: Path) -> None:
    fabricate.save_mask(tmp_path / "mask.png", np.array([[0, 255, 255]], np.uint8))
    assert LabelCodec({0: 0, 255: 1}).read(tmp_path / "mask.png").tolist() == [[0, 1, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_other_values_are_refused_or_ignored(tmp_path: Path, dtype: type) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[7, 8, 6], [9, 7, 255]], dtype)).save(path)
    assert LabelCodec({7: 0, 8: 1}, others="ignore").read(path).tolist() == [[0, 1, 255], [255, 0, 255]]
    with pytest.raises(UserError, match=r"value 6 \(1 pixels\), 9 \(1 pixels\), 255 \(1 pixels\) .* \(7-8\)"):
        LabelCodec({7: 0, 8: 1}).read(path)


def test_every_value_goes_through_the_table(tmp_path: Path) -> None:
    """All 256 values at once against a table of their own."""
    rng = np.random.default_rng(0)
    raw = rng.permutation(256).astype(np.uint8).reshape(16, 16)
    targets = rng.integers(0, 254, 256)
    fabricate.save_mask(tmp_path / "mask.png", raw)
    codec = LabelCodec(dict(enumerate(targets.tolist())))
    assert (codec.read(tmp_path / "mask.png") == targets[raw]).all()


def test_colours_become_class_indices(tmp_path: Path) -> None:
    fabricate.save_mask(tmp_path / "mask.png", PAINTED)
    mask = COLORS.read(tmp_path / "mask.png")
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 1, 255], [1, 1, 0]]


def test_all_colours_of_a_palette(tmp_path: Path) -> None:
    """What PIL's getpalette says of a palette mask is what its colours are read as, once stored as RGB too."""
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 21, (9, 11), np.uint8)
    fabricate.save_mask(tmp_path / "p.png", raw, fabricate.voc_palette())
    with Image.open(tmp_path / "p.png") as image:
        palette = np.array(image.getpalette()).reshape(-1, 3)
        image.convert("RGB").save(tmp_path / "rgb.png")
    codec = ColorCodec({tuple(palette[k].tolist()): k for k in range(21)})
    for name in ("p.png", "rgb.png"):
        assert (codec.read(tmp_path / name) == raw).all()


def test_the_alpha_of_colours_is_left_out(tmp_path: Path) -> None:
    alpha = np.full((2, 3, 1), 128, np.uint8)
    fabricate.save_mask(tmp_path / "mask.png", np.concatenate([PAINTED, alpha], 2))
    assert mode_of(tmp_path / "mask.png") == "RGBA"
    assert COLORS.read(tmp_path / "mask.png").tolist() == [[0, 1, 255], [1, 1, 0]]


def test_colours_outside_the_table_are_named_or_ignored(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    fabricate.save_mask(path, np.array([[RED, (0, 200, 2), (0, 200, 2), (1, 2, 3)]], np.uint8))
    told = (
        r"label colour \(0, 200, 2\) \(2 pixels\), \(1, 2, 3\) \(1 pixels\) is not in the class table \(2 classes and 1"
    )
    with pytest.raises(UserError, match=rf"^{path}: {told}"):
        COLORS.read(path)
    assert ColorCodec({RED: 0, GREEN: 1}, others="ignore").read(path).tolist() == [[0, 255, 255, 255]]


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16"])
def test_a_grey_mask_is_no_mask_of_colours(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "mask.png"
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(UserError, match=rf"^{path}: the mask is a grey image \(mode {mode}\) where colours are"):
        COLORS.read(path)


@pytest.mark.parametrize("codec", [CODEC, COLORS])
def test_a_codec_reads_the_same_in_another_process(tmp_path: Path, codec: LabelCodec | ColorCodec) -> None:
    fabricate.save_mask(tmp_path / "mask.png", RAW if codec is CODEC else PAINTED)
    other = pickle.loads(pickle.dumps(codec))
    assert (other.read(tmp_path / "mask.png") == codec.read(tmp_path / "mask.png")).all()
    assert repr(other) == repr(codec)


def test_the_repr_of_a_codec_tells_all_that_decides_its_masks() -> None:
    codecs = [
        CODEC, LabelCodec({0: 0, 1: 1, 7: 3}, ignored=(9, 255)), LabelCodec(CODEC.values, ignored=(9,)),
        LabelCodec(CODEC.values, (9, 255), "ignore"), COLORS, ColorCodec({RED: 1, GREEN: 0}, (BLACK,)),
        ColorCodec(COLORS.colors), ColorCodec(COLORS.colors, (BLACK,), "ignore"),
    ]  # fmt: skip
    assert len({repr(codec) for codec in codecs}) == len(codecs)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "uint16"])
@pytest.mark.parametrize("shape", [(2, 2), (1, 2, 2), (2, 2, 1)])
def test_arrays_in_npy_files(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "mask.npy", np.array([[0, 1], [1, 0]], dtype).reshape(shape))
    assert LabelCodec({0: 1, 1: 0}).read(tmp_path / "mask.npy").tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2), np.float32), "the array is not of whole numbers"),
        (np.zeros((2, 2, 3), np.uint8), r"the array has the shape \(2, 2, 3\) where \(height, width\) is expected"),
        (np.full((2, 2), -1), "values from -1 to -1: label values lie in 0 to 65535"),
        (np.full((2, 2), 70000), "values from 70000 to 70000"),
        (np.array([[{}]]), "not a NumPy array of numbers"),
    ],
)
def test_arrays_that_are_no_masks(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "mask.npy", array)
    with pytest.raises(UserError, match=f"^{tmp_path}/mask.npy: {message}"):
        LabelCodec({0: 0}).read(tmp_path / "mask.npy")
