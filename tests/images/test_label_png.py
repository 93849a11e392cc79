"""Index PNGs row by row, read by Pillow.

Covers: images.pixels, images.types.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from seglight.errors import UserError
from seglight.images.label_png import is_label_map, provenance_of, read_labels, write_label_rows, write_labels
from tests.support.stand_in import PALETTE

LABELS = np.random.default_rng(0).integers(0, 4, (101, 57), dtype=np.uint8)


@pytest.mark.parametrize("rows", [1, 10, 101])
def test_rows_make_the_png_that_pillow_writes(rows: int, tmp_path: Path) -> None:
    bands = (LABELS[top : top + rows] for top in range(0, 101, rows))
    write_label_rows(tmp_path / "rows.png", LABELS.shape, bands, PALETTE, "by me")
    write_labels(tmp_path / "whole.png", LABELS, PALETTE, "by me")
    for name in ("rows.png", "whole.png"):
        with Image.open(tmp_path / name) as image:
            image.verify()
        with Image.open(tmp_path / name) as image:
            assert image.mode == "P"
            assert image.info["seglight"] == "by me"
            assert np.array_equal(np.asarray(image), LABELS)
            assert np.array_equal(np.asarray(image.convert("RGB")), np.array(PALETTE)[LABELS])
        assert np.array_equal(read_labels(tmp_path / name), LABELS)
        assert provenance_of(tmp_path / name) == "by me"
    Image.fromarray(LABELS).save(tmp_path / "other.png")
    assert provenance_of(tmp_path / "other.png") is None
    assert provenance_of(tmp_path / "nowhere.png") is None


def test_more_than_255_classes_have_16_bits(tmp_path: Path) -> None:
    palette = [(k % 256, k // 256, 0) for k in range(1000)]
    labels = np.random.default_rng(0).integers(0, 1000, (70, 33), dtype=np.uint16)
    labels[0, 0] = 65535
    write_label_rows(tmp_path / "rows.png", labels.shape, iter([labels[:9], labels[9:]]), palette, "by me")
    write_labels(tmp_path / "whole.png", labels, palette, "by me")
    for path in (tmp_path / "rows.png", tmp_path / "whole.png"):
        assert np.array_equal(np.asarray(Image.open(path)), labels)
        assert np.array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), labels)
        assert read_labels(path).dtype == np.uint16
        assert np.array_equal(read_labels(path), labels)
        assert is_label_map(path)
    assert not is_label_map(tmp_path / "nowhere.png")


def test_an_error_leaves_no_file(tmp_path: Path) -> None:
    def rows():  # type: ignore[no-untyped-def]
        yield LABELS[:50]
        raise UserError("damaged from here on")

    with pytest.raises(UserError, match="damaged"):
        write_label_rows(tmp_path / "rows.png", LABELS.shape, rows(), PALETTE, "by me")
    assert not list(tmp_path.iterdir())
