"""Values that smoothing leaves along the borders of masks; the masks are smoothed by OpenCV."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from seglight.data.layouts.mask_scan import scanned
from seglight.data.layouts.mask_values import class_table
from seglight.errors import UserError
from tests.support.mask_layouts import save


def sharp() -> np.ndarray:
    mask = np.zeros((40, 60), np.uint8)
    cv2.circle(mask, (20, 20), 12, 200, -1)
    cv2.rectangle(mask, (40, 5), (55, 35), 90, -1)
    return mask


@pytest.mark.parametrize("channels", [1, 3])
def test_smoothed_masks_are_refused(tmp_path: Path, channels: int) -> None:
    mask = cv2.GaussianBlur(sharp(), (3, 3), 0)
    save(tmp_path / "a.png", mask if channels == 1 else np.stack([mask, mask // 2, 255 - mask], -1))
    with pytest.raises(UserError, match=r"a.png: \d+ of the \d+ .* lie only along borders, .*: export them again"):
        class_table(scanned([tmp_path / "a.png"]), None, tmp_path)


def test_thin_classes_are_classes(tmp_path: Path) -> None:
    mask = sharp()
    for number, value in enumerate((30, 60, 120, 150)):
        mask[:, 3 + 14 * number] = value
    save(tmp_path / "a.png", mask)
    table, _ = class_table(scanned([tmp_path / "a.png"]), None, tmp_path)
    assert [entry.get("value", index) for index, entry in enumerate(table["classes"])] == [0, 30, 60, 90, 120, 150, 200]
