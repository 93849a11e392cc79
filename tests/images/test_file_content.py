"""No more of a file is read than an image can have."""

import re
import resource
from pathlib import Path

import numpy as np
import pytest
import tifffile

from seglight.errors import UserError
from seglight.images import file_content
from seglight.images.decode import read_image
from seglight.images.file_content import content
from seglight.images.image_header import image_header
from tests.fuzz.mutations import hostile_images, hostile_tiffs


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """3 GB that take no room on the disk."""
    path = tmp_path / "long.png"
    with path.open("wb") as file:
        file.truncate(3 * 10**9)
    return path


def test_a_file_that_would_fill_the_memory_is_not_read(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = f"^{re.escape(str(long))}: 3.0 GB, more than an image can have: is the path right"
    with pytest.raises(UserError, match=told):
        read_image(long)
    with pytest.raises(UserError, match=told):
        image_header(long)


def test_the_limit_is_that_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(100))
    monkeypatch.setattr(file_content, "MOST_BYTES", 100)
    assert content(path) == bytes(100)
    path.write_bytes(bytes(101))
    with pytest.raises(UserError, match="more than an image can have"):
        content(path)


def test_a_tiff_of_any_length_is_read_by_its_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    monkeypatch.setattr(file_content, "MOST_BYTES", 100)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), pixels)
    assert image_header(tmp_path / "a.tif").size == (20, 30)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_hostile_images_are_refused_or_small_and_fill_no_memory(tmp_path: Path) -> None:
    """They announce up to 4 EB, and unpack to 100 MB: of PNG's texts, its profile, and more pixels than it has."""
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, data in (hostile_images() | hostile_tiffs()).items():
        (tmp_path / name).write_bytes(data)
        mine = max(mine, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # what it took to write it
        try:
            assert read_image(tmp_path / name).shape == (8, 8, 3)
        except UserError:
            continue
        finally:
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - mine < 60 << 10, name
