"""What is read of a file before and after decoding, damaged ones included."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglight.commands.doctor.diagnose import diagnose_mask
from seglight.commands.doctor.facts import IGNORED, UNKNOWN, image_facts, mask_facts
from seglight.commands.doctor.headers import UNREAD, Header, header_of
from seglight.commands.doctor.scan import survey
from seglight.commands.doctor.tables import label_table
from seglight.data import ShapesDataModule
from seglight.data.datasets.camvid import CLASSES, CODEC
from seglight.ops.label_types import MOST_CLASSES
from tests.support import planting as plant

RNG = np.random.default_rng(0)
RGB = Image.fromarray(RNG.integers(0, 255, (40, 50, 3), np.uint8))
GREY = Image.fromarray(RNG.integers(0, 12, (40, 50), np.uint8))


def encoded(image: Image.Image, kind: str, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif)
    return buffer.getvalue()


def test_tiff_is_turned_by_reading_it(tmp_path: Path) -> None:
    path = plant.write(tmp_path / "x", encoded(RGB, "TIFF", 6))
    with Image.open(path) as image:
        assert np.asarray(image).shape == (50, 40, 3)
    assert (header_of(str(path)).size, header_of(str(path)).stored) == ((50, 40), (40, 50))


def test_what_is_no_class_has_an_index_of_its_own() -> None:
    assert min(IGNORED, UNKNOWN) > MOST_CLASSES
    drawn = survey(ShapesDataModule(size=32, train_images=2, eval_images=1)).tables["train"]
    assert drawn.classes_of(np.array([0, 7, 8, 255])).tolist() == [0, 7, UNKNOWN, IGNORED]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_header_is_what_was_written(kind: str, tmp_path: Path) -> None:
    path = plant.write(tmp_path / "x", encoded(RGB, kind, 6))
    header = header_of(str(path))
    assert (header.format, header.mode, header.size, header.bits) == (kind, "RGB", (50, 40), 8)
    assert (header.orientation, header.stored, header.problem) == (6, (40, 50), "")


def test_headers_are_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    for kind in ("PNG", "JPEG", "WEBP"):
        assert header_of(str(plant.write(tmp_path / "x", encoded(RGB, kind)))).size == (40, 50)


def test_no_file_and_no_regular_file(tmp_path: Path) -> None:
    assert header_of(str(tmp_path / "nowhere")) == Header(str(tmp_path / "nowhere"), "missing")
    assert header_of(str(tmp_path)).problem == "unreadable"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert header_of(str(tmp_path / "loop")).problem == "unreadable"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("image", [RGB, GREY, RGB.convert("RGBA"), RGB.convert("CMYK")], ids=lambda image: image.mode)
def test_no_damage_raises_or_warns(kind: str, image: Image.Image, tmp_path: Path) -> None:
    try:
        whole = encoded(image, kind)
    except OSError:
        pytest.skip(f"{kind} has no {image.mode}")
    table, path, problems = label_table(CODEC, CLASSES), tmp_path / "x", set()
    assert table is not None
    rng = np.random.default_rng(1)
    for _ in range(60):
        data = bytearray(whole)
        for place in rng.integers(0, min(200, len(data)), 3):
            data[place] = rng.integers(0, 256)
        plant.write(path, bytes(data[: rng.integers(len(data))] if rng.random() < 0.3 else data))
        problems |= {image_facts(str(path)).header.problem}
        diagnose_mask(mask_facts(str(path), table), table)
    # a damaged header may also announce bands or bits that are not read
    assert problems <= {"", "unreadable", "truncated", "bomb", "zero-byte", *UNREAD.values()}
    assert len(problems) > 1
