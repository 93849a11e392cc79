"""Label maps by rows, against Pillow."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglight.errors import UserError
from seglight.images import label_rows
from seglight.images.label_png import write_labels
from seglight.images.label_rows import LabelsInMemory, StoredLabels

pytest.importorskip("rasterio")


@pytest.mark.parametrize("band", [100, 1 << 20])
def test_rows_of_a_stored_label_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, band: int) -> None:
    monkeypatch.setattr(label_rows, "BAND", band)
    labels = np.random.default_rng(0).integers(0, 256, (37, 29), dtype=np.uint8)
    write_labels(tmp_path / "a.png", labels, [(index, 0, 0) for index in range(256)], "test")
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), labels)
    for rows in (StoredLabels(tmp_path / "a.png"), LabelsInMemory(labels)):
        assert rows.shape == (37, 29)
        assert rows.dtype == np.uint8
        bands = [*rows.bands()]
        assert len(bands) == (13 if band == 100 else 1)
        assert np.array_equal(np.concatenate(bands), labels)


def test_few_colours_and_16_bits(tmp_path: Path) -> None:
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    picture = Image.fromarray(labels)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "few.png", bits=2)
    assert np.array_equal(np.concatenate([*StoredLabels(tmp_path / "few.png").bands()]), labels)
    many = labels.astype(np.uint16) * 1000
    Image.fromarray(many).save(tmp_path / "many.png")
    rows = StoredLabels(tmp_path / "many.png")
    assert rows.dtype == np.uint16
    assert np.array_equal(np.concatenate([*rows.bands()]), many)


def test_a_damaged_one_is_refused(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.png", np.zeros((300, 300), np.uint8), [(0, 0, 0)], "test")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) - 200])
    with pytest.raises(UserError, match=r"a\.png"):
        [*StoredLabels(tmp_path / "a.png").bands()]
