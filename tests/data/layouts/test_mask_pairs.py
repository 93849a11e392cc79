"""Pairs of images and masks that have to be converted."""

from pathlib import Path

import numpy as np
import pytest

from seglight.data import FolderDataModule
from seglight.data.layouts.convert import convert
from seglight.data.layouts.layout import Choices
from seglight.data.layouts.mask_pairs import recognise_pairs
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from tests.support.layouts import STEMS, Maps
from tests.support.mask_layouts import SPLIT, table, write

ORDER = (3, 5, 0, 2, 1, 4)


def pairs(root: Path) -> Maps:
    """Masks that are numbered in another order than the images."""
    form = write(root, "images/{stem}.jpg", "masks/{stem}.png", splits=SPLIT)
    rows = ["image,mask,split"]
    for number, (place, stem) in enumerate(zip(ORDER, STEMS, strict=True)):
        (root / f"masks/{stem}.png").rename(root / f"masks/label_{place}.png")
        rows.append(f"images/{stem}.jpg,masks/label_{place}.png,{('train', 'train', 'valid')[number % 3]}")
    (root / "pairs.csv").write_text("\n".join(rows))
    return form.maps


def test_a_table_of_pairs_is_converted(tmp_path: Path) -> None:
    root = tmp_path / "data"
    maps = pairs(root)
    layout = recognise(root, Choices())
    assert (layout.form, layout.evidence, layout.in_place) == ("table of images and masks", root / "pairs.csv", None)
    assert {split: len(files) for split, files in layout.splits.items()} == {"train": 4, "val": 2}
    copy = FolderDataModule(str(convert(layout, tmp_path / "copy").root))
    for name in ("train", "val"):
        split = copy.split(name)
        for _, mask, image in map(split.read, range(len(split))):
            assert np.array_equal(mask, maps[Path(image).name])


def test_a_table_that_names_the_pairs_of_the_names_is_read_in_place(tmp_path: Path) -> None:
    table(tmp_path)
    assert recognise_pairs(tmp_path, Choices()) is None
    layout = recognise(tmp_path, Choices())
    assert layout.in_place is not None
    assert layout.lists_needed


def test_one_folder_of_masks_for_all_splits(tmp_path: Path) -> None:
    root = tmp_path / "data"
    form = write(root, "images/{split}/{stem}.jpg", "masks/{stem}_mask.png", splits=SPLIT)
    layout = recognise(root, Choices())
    assert layout.in_place is None
    assert {split: [file.stem for file in files] for split, files in layout.splits.items()} == {
        split: list(stems) for split, stems in SPLIT.items()
    }
    for files in layout.splits.values():
        for file in files:
            assert np.array_equal(layout.labels(file), form.maps[file.name])
    (root / "images" / "train" / "street_000.jpg").unlink()
    with pytest.raises(UserError, match=r"masks/street_000_mask.png: no image of this name"):
        recognise(root, Choices())


def test_lines_that_name_no_file(tmp_path: Path) -> None:
    pairs(tmp_path)
    path = tmp_path / "pairs.csv"
    path.write_text(path.read_text().replace("label_3.png", "label_9.png"))
    with pytest.raises(UserError, match=r"pairs.csv: there is no image 'masks/label_9.png' in the data set"):
        recognise(tmp_path, Choices())
