"""Covers: images.png."""

import io
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from seglight.data.labels import LabelCodec
from seglight.errors import UserError
from seglight.images.decode import read_grey, read_image
from seglight.images.image_header import image_header
from seglight.images.png import is_cut_off, png_fault
from tests.support import fabricate


def picture(height: int = 33, width: int = 47) -> NDArray[np.uint8]:
    """Smooth, as photographs are: at sharp edges two JPEG decoders may differ."""
    y, x = np.mgrid[:height, :width]
    return np.stack((4 * x, 5 * y, 120 + x - y), 2).astype(np.uint8)


def pillow(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp"])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1"])
def test_every_kind_of_file_is_read_as_pillow_reads_it(tmp_path: Path, mode: str, suffix: str) -> None:
    path = tmp_path / f"image{suffix}"
    image = Image.fromarray(picture())
    try:
        (image.quantize() if mode == "P" else image.convert(mode)).save(path)
    except OSError:
        pytest.skip(f"there is no {suffix} of mode {mode}")
    difference = read_image(path).astype(int) - pillow(path)
    assert np.abs(difference).max() <= (1 if suffix == ".jpg" else 0)


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"subsampling": 2, "quality": 30}])
def test_every_kind_of_jpeg_is_read_as_pillow_reads_it(tmp_path: Path, options: dict[str, int]) -> None:
    path = tmp_path / "image.jpg"
    Image.fromarray(picture()).save(path, **options)
    header = image_header(path)
    assert (header.plain, header.channels, header.bits, header.size) == (True, 3, 8, (33, 47))
    assert np.abs(read_image(path).astype(int) - pillow(path)).max() <= 1


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_grey_of_16_bits_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scan{suffix}"
    Image.fromarray(np.full((4, 5), 1000, np.uint16)).save(path)
    with pytest.raises(
        UserError,
        match=f"scan{suffix}: 1 channel of 16 bits; .*: save it as 8-bit RGB or grey",
    ):
        read_image(path)


def test_grey_png_only_is_read_as_index(tmp_path: Path) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / "grey.png")
    assert (read_grey(tmp_path / "grey.png") == values).all()
    palette = Image.fromarray(values)
    palette.putpalette(bytes(reversed(range(256))) * 3)
    palette.save(tmp_path / "palette.png")
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(values).save(tmp_path / "grey.jpg")
    for name in ("palette.png", "deep.png", "grey.jpg"):
        assert read_grey(tmp_path / name) is None
    codec = LabelCodec({value: value % 5 for value in range(256)})
    for name in ("grey.png", "palette.png", "deep.png"):
        assert (codec.read(tmp_path / name) == values % 5).all()


@pytest.mark.parametrize("place", range(50, 1000, 70))
def test_a_png_with_a_changed_bit_is_noticed(tmp_path: Path, place: int) -> None:
    path = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)).save(path)
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{path}: not readable as an image .*: .* damaged, fetch it again$"):
        read_image(path)


@pytest.mark.parametrize("place", [50, 120, 200, -30, -8])
def test_a_palette_png_with_a_changed_bit_is_noticed_too(tmp_path: Path, place: int) -> None:
    """Pillow reads these; it lets about half of such changes pass."""
    path = tmp_path / "mask.png"
    fabricate.save_mask(path, fabricate.labels(np.random.default_rng(0), (64, 64), range(21)), fabricate.voc_palette())
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"^{path}: not readable as an image .* damaged, fetch it again$"):
        LabelCodec({value: value for value in range(21)}).read(path)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "I;16"])
def test_sound_pngs_have_no_fault(mode: str) -> None:
    buffer = io.BytesIO()
    (Image.new("RGB", (7, 5)).convert("P") if mode == "P" else Image.new(mode, (7, 5))).save(buffer, "PNG")
    assert png_fault(buffer.getvalue()) == ""
    assert png_fault(buffer.getvalue()[:-6]) == "cut off before its end"
    assert png_fault(buffer.getvalue() + b"more") == ""
    assert not is_cut_off(buffer.getvalue() + b"more")
    assert all(is_cut_off(buffer.getvalue()[:length]) for length in range(8, len(buffer.getvalue())))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_chunk_that_ends_behind_the_file_gets_no_memory(tmp_path: Path, mode: str) -> None:
    """OpenCV would allocate a gigabyte for a file of some hundred bytes."""
    path = tmp_path / "image.png"
    Image.new(mode, (32, 32)).save(path)
    content = path.read_bytes()
    place = content.index(b"IDAT") - 4
    path.write_bytes(content[:place] + (1 << 30).to_bytes(4) + content[place + 4 :])
    Path("/proc/self/clear_refs").write_text("5")  # the highest resident size is counted from here
    before = highest_resident()
    with pytest.raises(
        UserError, match=r"not readable as an image \(cut off, or its checksums do not fit\): the file is"
    ):
        read_image(path)
    assert highest_resident() < before + (1 << 24)


def highest_resident() -> int:
    """Bytes of this process, at most since they were cleared."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = (60_000).to_bytes(4) * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not readable as an image \(.*decompression bomb"):
        read_image(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    told = r"none.png: not readable as an image \(No such file or directory\): is the path right"
    with pytest.raises(UserError, match=rf"^{tmp_path}/{told}"):
        read_image(tmp_path / "none.png")


def test_postscript_is_not_interpreted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow starts Ghostscript for it, whatever the file's name."""
    path, started = tmp_path / "image.png", list[object]()
    monkeypatch.setattr("subprocess.Popen", lambda *args, **kwargs: started.append(args))
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(UserError, match=r"image\.png: not readable as an image"):
        read_image(path)
    assert not started
