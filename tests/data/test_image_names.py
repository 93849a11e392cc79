"""What the names of images tell about their source image."""

import pytest

from seglight.data.image_names import sequences, source, versions


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("a/0001_jpg.rf.0123456789abcdef.jpg", "0001"),
        ("a/x_png.rf.AbCdEf12.png", "x"),
        ("a/aachen_000001_000019_leftImg8bit.png", "aachen_000001_000019"),
        ("a/frame_12_rgb_anon.png", "frame_12"),
        ("a/house_aug_2_crop3.png", "house"),
        ("a/crop_3.png", "crop_3"),
        ("a/image.png", "image"),
        ("a/pug_12.png", "pug_12"),
    ],
)
def test_the_name_of_the_source_image(image: str, name: str) -> None:
    assert source(image)[1] == name


def test_versions_in_several_splits_are_those_of_one_image() -> None:
    images = ["train/1_jpg.rf.aaaaaaaa.jpg", "valid/1_jpg.rf.bbbbbbbb.jpg", "train/2_jpg.rf.cccccccc.jpg"]
    assert list(versions(images)) == [[0, 1], [2]]
    assert list(versions(["a/1.png", "b/1.png"])) == [[0], [1]]


def test_frames_are_in_the_order_of_their_numbers_and_splits_are_no_sequences() -> None:
    images = [f"{split}/frame_{k}.png" for split, numbers in (("train", (1, 10, 9)), ("val", (2, 11))) for k in numbers]
    assert list(sequences(images).values()) == [[0, 3, 2, 1, 4]]
