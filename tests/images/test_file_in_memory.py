"""Bytes of an image are decoded as the file that holds them, and no file is opened."""

import io
import re
import struct
import sys
import tracemalloc
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from seglight.errors import UserError
from seglight.images import decode, file_content
from seglight.images.decode import decode_image, read_image, size_of
from seglight.images.exif import RAW_PROFILE
from seglight.images.image_header import UnknownFormatError, UnreadImageError
from tests.fuzz.mutations import chunk, damaged, hostile_tiffs, png
from tests.support.samples import samples
from tests.support.unusual_images import READ, REFUSED, RGB

Outcome = tuple[type, str] | NDArray[np.uint8]

FORMATS = ["PNG", "JPEG", "TIFF", "WEBP", "AVIF", "BMP", "GIF", "PPM", "JPEG2000"]


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """The file of an image."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def of_file(path: Path) -> Outcome:
    """The pixels of a file, or its refusal."""
    try:
        return read_image(path)
    except UserError as error:
        return type(error), str(error)


def of_bytes(data: bytes, name: str) -> Outcome:
    """The same of bytes."""
    try:
        return decode_image(data, name)
    except UserError as error:
        return type(error), str(error)


def assert_same(path: Path) -> None:
    data = path.read_bytes()
    expected = of_file(path)
    found = of_bytes(data, str(path))
    if isinstance(expected, tuple) or isinstance(found, tuple):
        assert found == expected
        return
    np.testing.assert_array_equal(found, expected)
    assert size_of(data, path.name) == expected.shape[:2]


@pytest.fixture(scope="module")
def unusual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of all unusual kinds."""
    folder = tmp_path_factory.mktemp("unusual")
    for name, (make, _) in (READ | REFUSED).items():
        make(folder / name)
    return folder


@pytest.mark.parametrize("name", READ | REFUSED)
def test_bytes_are_decoded_as_the_file(name: str, unusual: Path) -> None:
    assert_same(unusual / name)


@pytest.mark.parametrize("folder", ["images", "geo"])
def test_real_files_are_decoded_from_their_bytes(folder: str) -> None:
    for path in sorted((samples() / folder).rglob("*.*")):
        if re.fullmatch(r"Landscape_[2-8]\.jpg", path.name):  # large, and turned as the small images below
            continue
        assert_same(path)


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("compression", [None, "deflate", "lzw", "packbits", "jpeg"])
def test_tiffs_of_all_compressions(compression: str | None, tile: tuple[int, int] | None, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, photometric="rgb", compression=compression, tile=tile, rowsperstrip=5)
    assert not isinstance(of_file(path), tuple)
    assert_same(path)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("name", ["a.tif", "planar.tif", "alpha.png", "rgb.jp2", "rgb.avif"])
def test_damage_is_refused_in_the_same_words(name: str, unusual: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    path = tmp_path / name
    tifffile.imwrite(path, RGB, photometric="rgb", compression="lzw")
    whole = (path if name == "a.tif" else unusual / name).read_bytes()
    for _ in range(40):
        path.write_bytes(damaged(whole, rng))
        expected = of_file(path)
        found = of_bytes(path.read_bytes(), str(path))
        if isinstance(expected, tuple):
            assert found == expected
        else:
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["planar.tif", "rgb.ome.tif", "rgb.jp2", "one_frame.png", "rgb.avif"])
def test_no_file_is_opened(name: str, unusual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = (unusual / name).read_bytes()
    decode_image(data, name)  # which imports the decoder

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened")

    with monkeypatch.context() as patch:
        for function in ("builtins.open", "io.open", "os.open"):
            patch.setattr(function, refuse)
        decode_image(data, name)
        size_of(data, name)


def test_the_name_is_that_of_the_message() -> None:
    with pytest.raises(UnreadImageError, match=r"^upload\.nef: camera raw \(NEF\)"):
        decode_image(saved(Image.fromarray(RGB), "TIFF"), "upload.nef")
    with pytest.raises(UserError, match=r"^image: not readable as an image"):
        decode_image(b"", "image")


def test_no_more_bytes_than_an_image_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_content, "MOST_BYTES", 100)
    with pytest.raises(UserError, match=r"^image: .* more than an image can have"):
        decode_image(saved(Image.fromarray(RGB), "PNG"), "image")


@pytest.mark.parametrize("form", FORMATS)
def test_the_size_needs_no_pixels(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(Image.new("RGB", (7, 5), (40, 50, 60)), form)

    def refuse(image: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    assert size_of(data, "image") == (5, 7)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_the_size_is_that_of_the_turned_image(form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    data = saved(Image.new("RGB", (7, 5)), form, exif=exif)
    assert size_of(data, "image") == ((7, 5) if orientation > 4 else (5, 7)) == decode_image(data, "image").shape[:2]


def test_a_tiff_of_two_sizes_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server grants memory by the one, and the other would be decoded."""
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as file:
        file.write(np.zeros((5, 7, 3), np.uint8), photometric="rgb", subfiletype=1)
        file.write(np.zeros((50, 70, 3), np.uint8), photometric="rgb")
    reduced = struct.pack("<HHII", 254, 4, 1, 1)
    assert buffer.getvalue().count(reduced) == 1
    data = buffer.getvalue().replace(reduced, struct.pack("<HHII", 254, 9, 1, 1))  # of type SLONG

    def refuse(image: Image.Image) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.load", refuse)
    assert size_of(data, "image") == (5, 7), "of the reduced copy"
    with pytest.raises(UserError, match=r"^image: not readable as an image \(its tags state different sizes\)"):
        decode_image(data, "image")


@pytest.mark.parametrize("data", [b"", b"hello", bytes(99), b"<html>", b"RIFF\4\0\0\0WAVE"])
def test_what_is_no_image_has_no_size(data: bytes) -> None:
    with pytest.raises(UnknownFormatError, match=r"^image: not readable as an image \(of no known format\)"):
        size_of(data, "image")


def test_the_size_of_what_is_not_supported() -> None:
    for data, told in (
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC or HEIF"),
        (saved(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG"), "1 channel of 16 bits"),
    ):
        with pytest.raises(UnreadImageError, match=f"^image: {told}"):
            size_of(data, "image")


def test_an_image_without_pixels_has_no_size() -> None:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 5, 8, 2, 0, 0, 0))
    with pytest.raises(UserError, match=r"^image: not readable as an image \(it has no pixels\)"):
        size_of(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b""), "image")


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_a_header_behind_a_long_profile_is_found(form: str) -> None:
    data = saved(Image.fromarray(RGB), form, icc_profile=np.random.default_rng(0).bytes(2_000_000))
    assert len(data) > 2_000_000
    assert size_of(data, "image") == RGB.shape[:2]


def many_pictures() -> bytes:
    """A JPEG with 50 indices of 4000 further pictures, of which each is all that follows the first."""
    jpeg = saved(Image.fromarray(RGB), "JPEG")
    segments, entries = 50, 4000
    length = 4 + 4 + 26 + 16 * entries
    first = 2 + length * segments + len(jpeg) - 2
    offset = first - (2 + length * (segments - 1) + 8)  # from the beginning of the last index
    index = b"MM\0*" + struct.pack(">IHHHIII", 8, 1, 0xB002, 7, 16 * entries, 26, 0)
    index += struct.pack(">IIIHH", 0, len(jpeg), offset, 0, 0) * entries
    segment = b"\xff\xe2" + struct.pack(">H", length - 2) + b"MPF\0" + index
    assert len(segment) == length
    return jpeg[:2] + segment * segments + jpeg[2:] + jpeg


def endless(kind: str) -> bytes:
    """Files that are nearly all header."""
    many = 200_000
    gif = saved(Image.new("P", (8, 8)), "GIF")
    start = gif.index(b"\x2c")
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0))
    match kind:
        case "segments":
            return b"\xff\xd8" + b"\xff\xe0\0\x02" * many
        case "bare":
            return b"\xff\xd8" + b"\xff\x01" * many
        case "fill":
            return b"\xff\xd8" + b"\xff" * many
        case "chunks":
            return png + chunk(b"tEXt", b"") * many
        case "frames":
            return gif[:start] + gif[start:-1] * 50_000 + b";"
        case "comments":
            return gif[:start] + b"\x21\xfe" + (b"\xff" + bytes(255)) * 20_000 + b"\0" + gif[start:]
        case _:
            return many_pictures()


@pytest.mark.parametrize("kind", ["segments", "bare", "fill", "chunks", "frames", "comments", "pictures"])
def test_an_endless_header_takes_few_steps(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted as calls of functions, of which loops over a header need one or more for each step."""
    monkeypatch.setattr(decode, "HEAD", 1 << 14)
    with suppress(UserError):
        size_of(b"", "image")  # Pillow imports its decoders
    data, calls = endless(kind), 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        with suppress(UserError):
            size_of(data, "image")
    finally:
        sys.setprofile(None)
    assert calls < 100_000


def test_further_pictures_are_counted_up_to_a_bound() -> None:
    with pytest.raises(UnreadImageError, match=r"^image: 100 frames or pictures in one file"):
        size_of(many_pictures(), "image")


def test_hostile_bytes_fill_no_memory() -> None:
    text = chunk(b"zTXt", RAW_PROFILE.encode() + b"\0\0" + zlib.compress(bytes(50_000_000)))
    for name, data in (hostile_tiffs() | {"text.png": png(8, 8, text, chunk(b"IDAT", b""))}).items():
        tracemalloc.start()
        try:
            with suppress(UserError):
                assert min(size_of(data, name)) > 0
        finally:
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert most < 20 << 20, name
