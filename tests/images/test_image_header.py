"""What image files can hold beside 8-bit RGB: read without loss, or refused by what it is.

Covers: images.tiff_pages.
"""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
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

Y, X = np.mgrid[:33, :47]
RGB = np.stack((4 * X, 5 * Y, 120 + X - Y), 2).astype(np.uint8)
TWELVE = RGB.astype(np.uint16) * 16
IMAGE = Image.fromarray(RGB)
TURNED = IMAGE.transpose(Image.Transpose.ROTATE_180)
PALETTE = IMAGE.quantize(8)
OPAQUE = np.full((33, 47, 1), 255, np.uint8)
HALF = OPAQUE.copy()
HALF[5, 7] = 128
NIR = np.dstack([RGB, RGB[..., :1]])

Make = Callable[[Path], Any]


def save(image: Image.Image, **options: Any) -> Make:
    return lambda path: image.save(path, **options)


def tiff(pixels: NDArray[Any], **options: Any) -> Make:
    return lambda path: tifffile.imwrite(path, pixels, **options)


def write(content: bytes) -> Make:
    return lambda path: path.write_bytes(content)


def alpha(values: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.dstack([RGB, values]))


def netpbm(most: int, pixels: NDArray[Any], kind: bytes = b"P6") -> bytes:
    return kind + f" 47 33 {most}\n".encode() + pixels.astype(np.uint8 if most < 256 else ">u2").tobytes()


READ: dict[str, tuple[Make, int]] = {
    "opaque.png": (save(alpha(OPAQUE)), 0),
    "opaque.tif": (save(alpha(OPAQUE)), 0),
    "opaque.webp": (save(alpha(OPAQUE), lossless=True), 0),
    "opaque.jp2": (save(alpha(OPAQUE)), 0),
    "key_of_no_pixel.png": (save(IMAGE, transparency=(1, 1, 1)), 0),
    "planar.tif": (tiff(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate"), 0),
    "rgb.ome.tif": (tiff(RGB, photometric="rgb", metadata={"axes": "YXS"}), 0),
    "one_frame.png": (save(IMAGE, save_all=True), 0),
    "rgb.ppm": (write(netpbm(255, RGB)), 0),
    "rgb.jp2": (write(imagecodecs.jpeg2k_encode(RGB, level=0)), 0),
    "rgb.j2k": (write(imagecodecs.jpeg2k_encode(RGB, level=0, codecformat="j2k")), 0),
    "rgb.avif": (write(imagecodecs.avif_encode(RGB, level=100)), 2),
    "one_frame.gif": (save(PALETTE), 60),
    "palette_opaque.png": (save(PALETTE, transparency=bytes([255] * 8)), 60),
    "with_thumbnail.mpo": (save(IMAGE, format="MPO", save_all=True, append_images=[IMAGE.resize((20, 15))]), 9),
}

DEEP, FRAMES = r"; seglight reads unsigned integers of 8 bits: save it as 8-bit RGB", "2 frames or pictures in one file"
REFUSED: dict[str, tuple[Make, str]] = {
    "twelve.png": (lambda path: cv2.imwrite(str(path), TWELVE), f"3 channels of 16 bits{DEEP}"),
    "twelve.tif": (tiff(TWELVE, photometric="rgb"), f"3 channels of 16 bits{DEEP}"),
    "twelve.jp2": (write(imagecodecs.jpeg2k_encode(TWELVE, level=0)), f"3 channels of 16 bits{DEEP}"),
    "ten.avif": (write(imagecodecs.avif_encode(TWELVE // 4, bitspersample=10)), f"3 channels of 10 bits{DEEP}"),
    "twelve.avif": (write(imagecodecs.avif_encode(TWELVE, bitspersample=12)), f"3 channels of 12 bits{DEEP}"),
    "twelve.ppm": (write(netpbm(4095, TWELVE)), f"3 channels of 16 bits{DEEP}"),
    "twelve.pgm": (write(netpbm(4095, TWELVE[..., 0], b"P5")), f"1 channel of 16 bits{DEEP}"),
    "text.ppm": (write(b"P3 1 1 65535 1 2 3\n"), f"3 channels of 16 bits{DEEP}"),
    "float.tif": (tiff(RGB / np.float32(255), photometric="rgb"), f"3 channels of 32 bits, floating point{DEEP}"),
    "signed.tif": (tiff(RGB[..., 0].astype(np.int8)), f"1 channel of 8 bits, signed integers{DEEP}"),
    "nir.tif": (tiff(NIR, photometric="rgb", extrasamples=["unspecified"]), r"4 channels of 8 bits \(RGB and 1 more"),
    "nir_planar.tif": (
        tiff(np.moveaxis(NIR, -1, 0), photometric="rgb", planarconfig="separate", extrasamples=["unspecified"]),
        r"4 channels of 8 bits \(RGB and 1 more",
    ),
    "lab.tif": (save(IMAGE.convert("LAB")), "a TIFF of colours CIELAB; .*: convert it to PNG"),
    "cmyk_alpha.tif": (
        tiff(np.dstack([NIR, OPAQUE]), photometric="separated", extrasamples=["unassalpha"]),
        r"5 channels of 8 bits \(SEPARATED and 1 more\)",
    ),
    "palette.tif": (
        tiff(TWELVE[..., 0], photometric="palette", colormap=np.zeros((3, 65536), np.uint16)),
        "a TIFF of palette indices, 1 channel of 16 bits; .*: convert it to PNG",
    ),
    "jp2k.tif": (tiff(RGB, photometric="rgb", compression="jpeg2000"), "a TIFF compressed as JPEG2000"),
    "alpha.png": (save(alpha(HALF)), "1 pixel whose alpha is below 255: transparent, or another band"),
    "alpha.tif": (save(alpha(HALF)), "1 pixel whose alpha"),
    "alpha.webp": (save(alpha(HALF)), "1 pixel whose alpha"),
    "alpha.avif": (save(alpha(HALF), quality=100), "1 pixel whose alpha"),
    "alpha.jp2": (save(alpha(HALF)), "1 pixel whose alpha"),
    "grey_alpha.png": (save(alpha(HALF).convert("LA")), "1 pixel whose alpha"),
    "key.png": (save(IMAGE, transparency=(28, 30, 121)), "1 pixel whose alpha"),
    "palette_key.png": (save(PALETTE, transparency=3), r"\d+ pixels whose alpha"),
    "grey_key.png": (save(Image.fromarray(RGB[..., 0]), transparency=8), "33 pixels whose alpha"),
    "key.gif": (save(PALETTE, transparency=3), r"\d+ pixels whose alpha"),
    "moving.gif": (save(PALETTE, save_all=True, append_images=[TURNED.quantize(8)]), FRAMES),
    "moving.png": (save(IMAGE, save_all=True, append_images=[TURNED]), FRAMES),
    "beside.png": (save(IMAGE, save_all=True, default_image=True, append_images=[TURNED]), FRAMES),
    "moving.webp": (save(IMAGE, save_all=True, append_images=[TURNED]), FRAMES),
    "moving.avif": (save(IMAGE, save_all=True, append_images=[TURNED]), FRAMES),
    "stereo.jpg": (save(IMAGE, format="MPO", save_all=True, append_images=[TURNED]), FRAMES),
    "two.ppm": (write(netpbm(255, RGB) * 2), FRAMES),
    "volume.tif": (
        tiff(np.zeros((4, 16, 16), np.uint8), volumetric=True, tile=(4, 16, 16), photometric="minisblack"),
        "a volume of 4 slices",
    ),
    "heic.jpg": (write(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)), "HEIC or HEIF; .*: convert it to PNG, JPEG"),
    "drawing.png": (write(b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'), "SVG; "),
    "layers.png": (write(b"8BPS\0\1" + bytes(30)), "Photoshop; "),
    "photo.nef": (tiff(RGB, photometric="rgb"), r"camera raw \(NEF\); "),
}


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
