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
from tests.support import fabricate
from tests.support.layouts import STEMS, Maps
from tests.support.mask_layouts import SPLIT, save, table, write

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


def shared(root: Path, images: list[str], masks: list[str]) -> Path:
    """Images and masks of these places, where a mask holds its number and 0."""
    for name in images:
        fabricate.save_image(root / "images" / name, np.random.default_rng(0), (4, 4))
    for number, name in enumerate(masks, 1):
        save(root / "masks" / name, np.diag([number] * 4).astype(np.uint8))
    return root


def test_masks_of_equal_names_belong_to_images_in_equal_folders(tmp_path: Path) -> None:
    images = ["train/cam1/a.jpg", "train/cam2/a.jpg", "val/cam1/b.jpg", "val/cam2/b.jpg"]
    root = shared(tmp_path, images, ["cam1/a.png", "cam1/b.png", "cam2/a.png", "cam2/b.png"])
    layout = recognise(root, Choices())
    numbers = {str(file.relative_to(root / "images")): layout.labels(file).max() for file in layout.splits["train"]}
    numbers |= {str(file.relative_to(root / "images")): layout.labels(file).max() for file in layout.splits["val"]}
    assert numbers == dict(zip(images, (1, 3, 2, 4), strict=True))


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (["a.png", "b.png"], "there is one mask for both"),
        (["p/a.png", "q/a.png", "p/b.png", "q/b.png"], "its mask may be .*p/a.png or .*q/a.png"),
    ],
)
def test_masks_of_equal_names_that_may_belong_to_several_images(tmp_path: Path, masks: list[str], message: str) -> None:
    root = shared(tmp_path, ["train/a.jpg", "train/b.jpg", "val/a.jpg", "val/b.jpg"], masks)
    with pytest.raises(UserError, match=message):
        recognise(root, Choices())


@pytest.mark.parametrize(
    ("lines", "splits"),
    [
        (["image_id,mask,split", "a,b,train", "b,a,val"], {"train", "val"}),
        (["image;mask", "a.jpg;b.png", "b.jpg;a.png"], {"all"}),
        (["images/a.jpg,masks/b.png", "images/b.jpg,masks/a.png"], {"all"}),
        (["path,target", "images/a.jpg,masks/b.png", "images/b.jpg,masks/a.png"], {"all"}),
        (["images/a.jpg,masks/b.png,val", "images/b.jpg,masks/a.png,train"], {"train", "val"}),
    ],
)
def test_tables_of_other_forms_that_contradict_the_names(tmp_path: Path, lines: list[str], splits: set[str]) -> None:
    root = shared(tmp_path, ["a.jpg", "b.jpg"], ["a.png", "b.png"])
    (root / "pairs.csv").write_text("\n".join(lines))
    layout = recognise(root, Choices())
    assert layout.splits.keys() == splits
    assert {f.name: layout.labels(f).max() for files in layout.splits.values() for f in files} == {
        "a.jpg": 2,
        "b.jpg": 1,
    }


def test_an_image_with_two_masks_in_a_table(tmp_path: Path) -> None:
    root = shared(tmp_path, ["a.jpg", "b.jpg"], ["a.png", "b.png"])
    (root / "pairs.csv").write_text("image,mask\na.jpg,b.png\na.jpg,a.png\n")
    with pytest.raises(UserError, match=r"pairs.csv: .*a.jpg has two masks, .*b.png and .*a.png"):
        recognise(root, Choices())


def test_tables_of_splits(tmp_path: Path) -> None:
    root = shared(tmp_path, ["a.jpg", "b.jpg", "c.jpg"], ["a.png", "b.png", "c.png"])
    (root / "train.csv").write_text("image,mask\na.jpg,b.png\n")
    (root / "val.csv").write_text("image,mask\nb.jpg,a.png\n")
    layout = recognise(root, Choices())
    assert {split: [file.stem for file in files] for split, files in layout.splits.items()} == {
        "train": ["a"],
        "val": ["b"],
    }
    assert "Left out: images that are not in train.csv (1)." in layout.remarks


def test_a_list_that_contradicts_the_names(tmp_path: Path) -> None:
    root = shared(tmp_path, ["a.jpg", "b.jpg"], ["a.png", "b.png"])
    (root / "train.txt").write_text("images/a.jpg masks/a.png\n")
    (root / "val.txt").write_text("images/b.jpg /elsewhere/masks/b.png\n")
    assert recognise(root, Choices()).splits.keys() == {"train", "val"}
    (root / "val.txt").write_text("images/b.jpg masks/a.png\n")
    with pytest.raises(UserError, match=r"val.txt: the line 'images/b.jpg masks/a.png' names another label file than"):
        recognise(root, Choices())
