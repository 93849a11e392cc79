"""Masks of more than 255 classes, from files to batches.

Covers: data.classes, data.collate.
"""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from numpy.typing import NDArray
from PIL import Image

from seglight.data.augmentation.transforms import class_counts, class_ratio, rare_pixel
from seglight.data.classes import Classes
from seglight.data.collate import collate_padded
from seglight.data.labels import ColorCodec, LabelCodec
from seglight.data.layouts import outlines
from seglight.data.layouts.labelme_shapes import ShapeCodec
from seglight.data.layouts.painting import IGNORED, Patch, paint
from seglight.errors import UserError
from seglight.interfaces import Sample


def values(size: tuple[int, int] = (40, 50)) -> NDArray[np.uint16]:
    mask = np.random.default_rng(0).integers(0, 1000, size).astype(np.uint16)
    mask[0] = 60_000
    return mask


def expected(mask: NDArray[np.uint16]) -> NDArray[np.uint16]:
    return np.where(mask == 60_000, np.uint16(65535), mask)


@pytest.mark.parametrize("suffix", ["png", "tif", "npy"])
def test_index_files_of_16_bits(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"mask.{suffix}"
    if suffix == "png":
        Image.fromarray(values()).save(path)
    elif suffix == "tif":
        tifffile.imwrite(path, values())
    else:
        np.save(path, values())
    mask = LabelCodec({value: value for value in range(1000)}, ignored=(60_000,)).read(path)
    assert mask.dtype == np.uint16
    np.testing.assert_array_equal(mask, expected(values()))
    with pytest.raises(UserError, match=r"label value 999 \(\d+ pixels\) is not in the class table"):
        LabelCodec({value: value for value in range(999)}, ignored=(60_000,)).read(path)


def test_255_classes_are_bytes_and_all_other_values_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    Image.fromarray(np.array([[0, 253, 254, 255]], np.uint8)).save(path)
    mask = LabelCodec({value: value for value in range(255)}, ignored=(255,)).read(path)
    assert mask.dtype == np.uint8
    assert mask.tolist() == [[0, 253, 254, 255]]
    with pytest.raises(UserError, match=r"label value 255 \(1 pixels\)"):
        LabelCodec({value: value for value in range(255)}).read(path)


def test_colours_of_a_thousand_classes(tmp_path: Path) -> None:
    index = np.random.default_rng(0).integers(0, 1000, (20, 30))
    Image.fromarray(np.stack([index % 256, index // 256, index * 0 + 9], 2).astype(np.uint8)).save(tmp_path / "a.png")
    codec = ColorCodec({(k % 256, k // 256, 9): k for k in range(1000)})
    mask = codec.read(tmp_path / "a.png")
    assert mask.dtype == np.uint16
    np.testing.assert_array_equal(mask, index)


def test_shapes_are_painted(tmp_path: Path) -> None:
    whole, dot = np.ones((4, 5), bool), np.ones((1, 1), bool)
    mask = paint((4, 5), [Patch(999, whole), Patch(IGNORED, dot), Patch(255, dot, 1)], 1000)
    assert mask.dtype == np.uint16
    assert mask[0].tolist() == [65535, 255, 999, 999, 999]
    square = [[1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0]]
    mask = outlines.paint([(999, square)], (4, 5), 1000)
    assert (mask.dtype, mask.max(), (mask == 999).sum()) == (np.uint16, 999, 4)
    (tmp_path / "a.json").write_text(
        '{"imageWidth": 6, "imageHeight": 5, "shapes": ['
        '{"label": "c400", "points": [[1, 1], [3, 2]], "shape_type": "rectangle"},'
        '{"label": "__ignore__", "points": [[5, 4], [5, 4]], "shape_type": "rectangle"}]}'
    )
    mask = ShapeCodec(tuple(f"c{k}" for k in range(1000))).read(tmp_path / "a.json")
    assert mask.dtype == np.uint16
    assert (mask[1, 1], mask[0, 0], mask[4, 5]) == (400, 0, 65535)


def test_histograms_of_augmentation() -> None:
    mask = expected(values())
    assert class_counts(mask).tolist() == np.bincount(mask.ravel(), minlength=65536).tolist()
    counts = np.bincount(mask[mask < 1000])
    assert class_ratio(mask) == pytest.approx(counts.max() / counts.sum())
    shares = np.zeros(1000)
    shares[:999] = 1 / 999
    for seed in range(5):
        pixel = rare_pixel(np.random.default_rng(seed), mask, shares.tolist())
        assert pixel is not None
        assert mask[pixel] < 1000


def test_batches_are_padded_with_what_is_ignored() -> None:
    samples = [
        Sample(image=torch.zeros(3, rows, 4, dtype=torch.uint8), mask=torch.full((rows, 4), 999, dtype=dtype), name="")
        for rows, dtype in ((2, torch.int32), (3, torch.int32))
    ]
    mask = collate_padded(samples)["mask"]
    assert mask.dtype == torch.int32
    assert mask[0].tolist() == [[999] * 4] * 2 + [[65535] * 4]


@pytest.mark.parametrize(("number", "ignored"), [(2, 255), (255, 255), (256, 65535), (1000, 65535)])
def test_the_ignored_value_follows_from_the_number_of_classes(number: int, ignored: int) -> None:
    assert Classes(tuple(map(str, range(number))), ((0, 0, 0),) * number).ignore_index == ignored
