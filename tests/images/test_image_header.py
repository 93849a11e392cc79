"""What image files can hold beside 8-bit RGB: read without loss, or refused by what it is.

Covers: images.tiff_pages.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from seglight.commands.predict.inputs import Source, pictures
from seglight.data.labels import ColorCodec, LabelCodec
from seglight.errors import UserError
from seglight.images.decode import read_image
from seglight.images.image_header import UnreadImageError, image_header
from seglight.images.pixels import pixels_of
from seglight.images.tiff import TiffWindows, pages
from seglight.images.unread import unread_content
from tests.fuzz.mutations import chunk, damaged
from tests.support.unusual_images import FRAMES, HALF, IMAGE, OPAQUE, READ, REFUSED, RGB, TURNED, X, Y


def predicted(path: Path) -> NDArray[np.uint8]:
    """What `predict` reads of a file of one image."""
    (picture,) = pictures(Source(path, Path(path.stem)))
    pixels = picture.read()
    assert not isinstance(pixels, TiffWindows)
    return pixels


@pytest.mark.parametrize("name", READ)
def test_read_without_loss(name: str, tmp_path: Path) -> None:
    make, tolerance = READ[name]
    make(tmp_path / name)
    assert image_header(tmp_path / name).held is None
    image = read_image(tmp_path / name)
    assert (image.dtype, image.shape) == (np.uint8, RGB.shape)
    assert np.abs(image.astype(int) - RGB).max() <= tolerance
    assert np.array_equal(predicted(tmp_path / name), image)
    with Image.open(tmp_path / name) as opened:
        assert np.array_equal(pixels_of(opened), image)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_one_line(name: str, tmp_path: Path) -> None:
    make, told = REFUSED[name]
    path = tmp_path / name
    make(path)
    for read in (read_image, predicted, pixels_of):
        with pytest.raises(UnreadImageError, match=rf"^{path}: {told}.*$"):
            read(path)
    try:
        opened = Image.open(path)
    except UnidentifiedImageError:
        return
    with opened, pytest.raises(UnreadImageError, match=told):
        pixels_of(opened)


@pytest.mark.parametrize("name", ["twelve.png", "moving.gif", "alpha.png"])
def test_pillow_images_without_a_file(name: str, tmp_path: Path) -> None:
    REFUSED[name][0](tmp_path / name)
    content = io.BytesIO((tmp_path / name).read_bytes())
    with Image.open(content) as opened, pytest.raises(UnreadImageError, match=REFUSED[name][1]):
        pixels_of(opened)


def test_a_frame_that_was_chosen_is_read(tmp_path: Path) -> None:
    REFUSED["moving.png"][0](tmp_path / "moving.png")
    with Image.open(tmp_path / "moving.png") as opened:
        with pytest.raises(UnreadImageError, match=FRAMES):
            pixels_of(opened)
        assert np.array_equal(pixels_of(opened.copy()), RGB)
        opened.seek(1)
        assert np.array_equal(pixels_of(opened), np.asarray(TURNED))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_fewer_bits_are_no_loss(bits: int, tmp_path: Path) -> None:
    """Grey of few bits is spread over 0 to 255, as the PNG specification says (section 13.12)."""
    values = (X[:, :32] + Y[:, :32]) % 2**bits
    packed = np.packbits(np.unpackbits(values[..., None].astype(np.uint8), axis=2)[..., -bits:].reshape(33, -1), axis=1)
    rows = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", 32, 33, bits, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "few.png").write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    image = read_image(tmp_path / "few.png")
    assert np.array_equal(image, (values * 255 // (2**bits - 1))[..., None].repeat(3, 2))


def test_pictures_that_belong_to_the_first_are_none_of_their_own(tmp_path: Path) -> None:
    """A phone's brightness map has the size of the photo at times, and says what it is."""
    path = tmp_path / "phone.jpg"
    IMAGE.save(path, format="MPO", save_all=True, append_images=[TURNED])
    content = path.read_bytes()
    with pytest.raises(UnreadImageError, match=FRAMES):
        read_image(path)
    second = content.index(b"\xff\xd8\xff", 2)
    note = b"http://ns.adobe.com/xap/1.0/\0<hdrgm:Version>1.0</hdrgm:Version>"
    marked = content[: second + 2] + b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note + content[second + 2 :]
    place = content.index(b"MPF\0") + 4
    order = "<" if content[place : place + 2] == b"II" else ">"
    entry = content.index(struct.pack(f"{order}I", len(content) - second), place)
    marked = marked[:entry] + struct.pack(f"{order}I", len(marked) - second) + marked[entry + 4 :]
    path.write_bytes(marked)
    assert np.abs(read_image(path).astype(int) - RGB).max() <= 9


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"imagej": True, "metadata": {"axes": "CYX"}}, r"one image of 3 channels \(ImageJ\)"),
        ({"ome": True, "metadata": {"axes": "CYX"}}, r"one image of 3 channels \(OME-TIFF\)"),
        ({"imagej": True, "metadata": {"axes": "ZYX"}}, ""),
        ({"ome": True, "metadata": {"axes": "TYX"}}, ""),
        ({}, ""),
    ],
)
def test_pages_that_are_channels_are_no_pictures(options: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.moveaxis(RGB, -1, 0), photometric="minisblack", **options)
    if told:
        with pytest.raises(UnreadImageError, match=told):
            pages(path)
    else:
        found = [picture.read() for picture in pictures(Source(path, Path("stack")))]
        assert np.array_equal(np.stack(found, 2)[..., 0], RGB)
    with pytest.raises(UnreadImageError, match=told or r"3 pages \(TIFF\)"):
        read_image(path)


def test_a_smaller_copy_or_a_mask_is_no_page(tmp_path: Path) -> None:
    path = tmp_path / "pyramid.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(RGB[::2, ::2], photometric="rgb", subfiletype=1)
        file.write(RGB, photometric="rgb")
        file.write(RGB[..., 0] > 9, photometric="minisblack", subfiletype=4)
    assert np.array_equal(read_image(path), RGB)
    with Image.open(path) as opened, pytest.raises(UserError, match="its first page is a reduced copy or a mask, the"):
        pixels_of(opened)
    with Image.open(path) as opened:
        opened.seek(1)
        assert np.array_equal(pixels_of(opened), RGB)


@pytest.mark.parametrize("other", [RGB[::-1], RGB[:, ::2], np.tile(RGB, (2, 2, 1))])
def test_what_calls_itself_reduced_and_is_no_smaller_is_a_page(other: NDArray[np.uint8], tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(RGB, photometric="rgb")
        file.write(other, photometric="rgb", subfiletype=1)
    assert [*pages(path)] == [0, 1]
    with pytest.raises(UnreadImageError, match=r"2 pages \(TIFF\)"):
        read_image(path)


def test_a_row_of_pixels_is_reduced_only_in_its_length(tmp_path: Path) -> None:
    path = tmp_path / "row.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(RGB[:1], photometric="rgb")
        file.write(RGB[:1, ::2], photometric="rgb", subfiletype=1)
    assert np.array_equal(read_image(path), RGB[:1])


def test_windows_refuse_as_whole_images(tmp_path: Path) -> None:
    everything = (slice(0, 33), slice(0, 47))
    for name, values in (("opaque", OPAQUE), ("alpha", HALF)):
        pixels = np.dstack([RGB, values])
        tifffile.imwrite(
            tmp_path / f"{name}.tif", pixels, photometric="rgb", extrasamples=["unassalpha"], tile=(32, 32)
        )
    assert np.array_equal(TiffWindows(tmp_path / "opaque.tif", 0).read(*everything), RGB)
    with pytest.raises(UnreadImageError, match="alpha is below 255"):
        TiffWindows(tmp_path / "alpha.tif", 0).read(*everything)
    for name in ("nir.tif", "twelve.tif"):
        REFUSED[name][0](tmp_path / name)
        with pytest.raises(UnreadImageError, match=REFUSED[name][1]):
            TiffWindows(tmp_path / name, 0)


def test_labels_drop_nothing_either(tmp_path: Path) -> None:
    """Single samples of 16 bits are labels; pages, frames and colours of 16 bits are refused."""
    codec, colors = LabelCodec({0: 0, 4000: 1}), ColorCodec({(0, 0, 0): 0, (9, 9, 9): 1})
    deep = np.array([[0, 4000]], np.uint16)
    cv2.imwrite(str(tmp_path / "deep.png"), deep)
    tifffile.imwrite(tmp_path / "deep.tif", deep)
    for name in ("deep.png", "deep.tif"):
        assert codec.read(tmp_path / name).tolist() == [[0, 1]]
    cv2.imwrite(str(tmp_path / "colour.png"), np.full((2, 2, 3), 9 << 8, np.uint16))
    with pytest.raises(UnreadImageError, match="3 channels of 16 bits"):
        colors.read(tmp_path / "colour.png")
    tifffile.imwrite(tmp_path / "pages.tif", np.zeros((2, 4, 4), np.uint8), photometric="minisblack")
    Image.new("L", (4, 4)).save(tmp_path / "moving.png", save_all=True, append_images=[Image.new("L", (4, 4), 1)])
    for name, told in (("pages.tif", "2 pages"), ("moving.png", FRAMES)):
        with pytest.raises(UnreadImageError, match=told):
            codec.read(tmp_path / name)
    tifffile.imwrite(tmp_path / "double.tif", deep.astype(np.float64))
    for name, told in (("palette.tif", REFUSED["palette.tif"][1]), ("double.tif", "1 channel of 64 bits that Pillow")):
        if name in REFUSED:
            REFUSED[name][0](tmp_path / name)
        with pytest.raises(UnreadImageError, match=told):
            codec.read(tmp_path / name)


def test_names_of_formats() -> None:
    assert unread_content(b"\xff\x0a\0") == "JPEG XL"
    assert unread_content(b"II*\0\x10\0\0\0CR\2\0") == "camera raw (CR2)"
    assert unread_content(bytes(128) + b"DICM") == "DICOM"
    assert unread_content(RGB.tobytes()[:1024]) == ""


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", ["moving.gif", "moving.avif", "alpha.avif", "rgb.jp2", "moving.webp", "stereo.jpg"])
def test_damage_is_reported_whatever_the_decoder_raises(name: str, tmp_path: Path) -> None:
    """Pillow raises IndexError, RuntimeError and others; what is read all the same has a right type."""
    path, rng = tmp_path / name, np.random.default_rng(3)
    (READ.get(name) or REFUSED[name])[0](path)
    whole = path.read_bytes()
    told = []
    for _ in range(150):
        path.write_bytes(damaged(whole, rng))
        try:
            assert read_image(path).dtype == np.uint8
        except UserError as error:
            told.append(str(error))
    assert len(told) > 20
    assert all(line.startswith(f"{path}: ") for line in told)
