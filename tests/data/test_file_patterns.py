"""Names of images and masks that belong together."""

from pathlib import Path

import pytest

from seglight.data.file_patterns import Pattern, paired_files
from seglight.data.labels import LabelCodec
from seglight.errors import UserError

CODEC = LabelCodec({0: 0, 1: 1})


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


CASES = [
    ("images", "masks", {"images/a.jpg": "masks/a.png", "images/b.PNG": "masks/b.tif"}),
    (".", "./{stem}_mask.png", {"a.png": "a_mask.png", "a_b.png": "a_b_mask.png"}),
    ("train/{stem}.jpg", "train/{stem}.png", {"train/a.jpg": "train/a.png"}),
    ("images/image_{stem}.*", "masks/gt_{stem}.*", {"images/image_1.jpg": "masks/gt_1.npy"}),
    (
        "left/val/**/{stem}_left.png",
        "gt/val/**/{stem}_ids.png",
        {"left/val/ulm/a_left.png": "gt/val/ulm/a_ids.png", "left/val/a_left.png": "gt/val/a_ids.png"},
    ),
    ("train/**/images", "train/**/masks", {"train/a/images/x.png": "train/a/masks/x.png"}),
    ("**/{stem}.*", "**/{stem}_label.*", {"one/a.jpg": "one/a_label.bmp", "two/a.png": "two/a_label.GIF"}),
]


@pytest.mark.parametrize(("images", "masks", "pairs"), CASES)
def test_images_find_their_masks(tmp_path: Path, images: str, masks: str, pairs: dict[str, str]) -> None:
    touch(tmp_path, *pairs, *pairs.values(), "notes.txt")
    found = paired_files(tmp_path, images, masks, CODEC).checked()
    names = {
        image.relative_to(tmp_path).as_posix(): mask.relative_to(tmp_path).as_posix()
        for image, mask in zip(found.images, found.masks, strict=True)
    }
    assert names == pairs
    assert list(found.images) == sorted(found.images)


@pytest.mark.parametrize(
    "text", ["images", ".", "train/{stem}_mask.png", "a/**/gt_{stem}.*", "**/{stem}.*", "a/**/b/{stem}.*"]
)
def test_descriptions_are_written_as_they_are_read(text: str) -> None:
    assert str(Pattern.parsed(text)) == text


def test_masks_without_an_image_and_images_without_a_mask(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "images/b.jpg", "masks/a.tif", "masks/c.tif")
    found = paired_files(tmp_path, "images", "masks", CODEC)
    assert found.masks[1] == tmp_path / "masks/b.tif"
    assert found.surplus == [tmp_path / "masks/c.tif"]


def test_other_files_beside_the_masks_do_not_count(tmp_path: Path) -> None:
    touch(tmp_path, "images/ulm/a.jpg", "gt/ulm/a_ids.png", "gt/ulm/a_color.png")
    found = paired_files(tmp_path, "images/**/{stem}.jpg", "gt/**/{stem}_ids.png", CODEC)
    assert found.masks == [tmp_path / "gt/ulm/a_ids.png"]
    assert not found.surplus


def test_a_png_beside_other_files_of_its_name_is_the_mask(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "masks/a.png", "masks/a.tif")
    assert paired_files(tmp_path, "images", "masks", CODEC).masks == [tmp_path / "masks/a.png"]
    touch(tmp_path, "images/b.jpg", "masks/b.npy", "masks/b.tif")
    with pytest.raises(UserError, match=r"masks/b.npy: b.tif is a mask of the same image: remove one"):
        paired_files(tmp_path, "images", "masks", CODEC)


def test_folders_without_fitting_images(tmp_path: Path) -> None:
    touch(tmp_path, "images/a.jpg", "masks/a.png")
    with pytest.raises(UserError, match=r"images: no image of the form images/\{stem\}_left.png there, where the val"):
        paired_files(tmp_path, "images/{stem}_left.png", "masks", CODEC, "val ")
    with pytest.raises(UserError, match=r"labels: no such folder, where the val masks should be"):
        paired_files(tmp_path, "images", "labels", CODEC, "val ")
