from pathlib import Path

import numpy as np
import pytest

from seglight.data.layouts.kaggle import recognise_kaggle
from seglight.data.layouts.layout import Choices, Layout
from seglight.errors import UserError
from tests.support.fabricate import save_image
from tests.support.layouts import SIZE, kaggle
from tests.support.samples import readings, samples


def read(root: Path) -> Layout:
    layout = recognise_kaggle(root, Choices())
    assert layout is not None
    return layout


def table(root: Path, text: str, *images: str, name: str = "masks.csv", size: tuple[int, int] = SIZE) -> None:
    for image in images:
        save_image(root / "images" / image, np.random.default_rng(0), size)
    (root / name).write_text(text)


def test_rows_by_class(tmp_path: Path) -> None:
    maps = kaggle(tmp_path)
    layout = read(tmp_path)
    assert layout.classes.names == ("background", "cat", "dog")
    assert {image.name for image in layout.splits["train"]} == maps.keys()  # train.csv
    for image in layout.splits["train"]:
        np.testing.assert_array_equal(layout.labels(image), maps[image.name])
    assert layout.remarks == ["Tables of submissions, which are not read: sample_submission.csv."]


def test_a_real_table() -> None:
    layout = read(samples() / "kaggle-rle/facade-made")
    right = readings(samples())["kaggle-rle/facade-made"]
    assert set(layout.classes.names) == {"background", "car", "fence", "street", "window"}
    for image in layout.splits["train"]:
        mask = layout.labels(image)
        assert mask.shape == tuple(right[image.name]["size"])
        for name, number in right[image.name]["pixels"].items():
            assert (mask == layout.classes.names.index(name)).sum() == number


def test_pixels_count_from_1_down_the_columns(tmp_path: Path) -> None:
    table(tmp_path, "ImageId,EncodedPixels\na.png,1 2 7 1 12 1\n", "a.png", size=(3, 4))
    layout = read(tmp_path)
    assert layout.classes.names == ("background", "object")
    expected = [[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(layout.labels(tmp_path / "images/a.png"), expected)


def test_several_rows_of_one_image_and_empty_ones(tmp_path: Path) -> None:
    text = "ImageId,EncodedPixels\na.png,7 1 1 2\na.png,9 1\nb.png,\nc.png,-1\n\n"
    table(tmp_path, text, "a.png", "b.png", "c.png", "d.png", size=(3, 4))
    layout = read(tmp_path)
    mask = layout.labels(tmp_path / "images/a.png")
    np.testing.assert_array_equal(mask, [[1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]])
    assert not layout.labels(tmp_path / "images/b.png").any()
    assert layout.remarks == [
        "Images without a row, which are left out: 1.",
        "Images without runs, which are background: 2.",
    ]


@pytest.mark.parametrize(
    "header",
    [
        "ImageId,ClassId,EncodedPixels\na.png,{},{}",
        "image_id,label,rle\na,{},{}",
        "rle,class,id\n{1},{0},a",
        "ImageId_ClassId,EncodedPixels\na.png_{},{}",
        "Image_Label,EncodedPixels\na.png_{},{}",
        "id;category;segmentation\nimages/a.png;{};{}",
        "\ufeffIMG,class_name,rle_mask,width\na.png,{},{},4",
    ],
)
def test_names_of_columns(tmp_path: Path, header: str) -> None:
    lines, row = header.split("\n")
    rows = "\n".join(row.format(*values) for values in (("10", "1 1"), ("2", "2 1")))
    table(tmp_path, f"{lines}\n{rows}\n", "a.png", size=(3, 4))
    layout = read(tmp_path)
    assert layout.classes.names == ("background", "2", "10")
    np.testing.assert_array_equal(layout.labels(tmp_path / "images/a.png")[:, 0], [2, 1, 0])


def test_a_row_longer_than_the_limit_of_the_csv_module(tmp_path: Path) -> None:
    size = (400, 300)
    text = " ".join(f"{start} 1" for start in range(1, 400 * 300, 3))
    assert len(text) > 131072
    table(tmp_path, f"ImageId,EncodedPixels\na.png,{text}\n", "a.png", size=size)
    mask = read(tmp_path).labels(tmp_path / "images/a.png")
    np.testing.assert_array_equal(mask.ravel(order="F"), np.arange(400 * 300) % 3 == 0)


def test_tables_by_split(tmp_path: Path) -> None:
    table(tmp_path, "ImageId,EncodedPixels\na.png,1 1\n", "a.png", "b.png", name="train.csv")
    table(tmp_path, "ImageId,EncodedPixels\nb.png,1 1\ngone.png,1 1\n", name="valid.csv")
    layout = read(tmp_path)
    assert layout.splits == {"train": [tmp_path / "images/a.png"], "val": [tmp_path / "images/b.png"]}
    assert layout.remarks == ["Images of valid.csv that were not found and are left out: 1."]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ("1 3 3 2", "masks.csv: line 2: the run from 3 overlaps the one before it"),
        ("4 2 1 4", "the run from 4 overlaps"),
        ("12 2", r"a run reaches pixel 13, but a.png has 4x3 = 12 pixels"),
        ("99 1", "a run reaches pixel 99"),
        ("0 2", "a start or a length below 1"),
        ("1 0", "a start or a length below 1"),
        ("1 2 3", "3 numbers, where a start and a length make a run"),
        ("1 99999999999999999999", "runs are pairs of whole numbers"),
    ],
)
def test_broken_runs_are_one_line(tmp_path: Path, runs: str, message: str) -> None:
    table(tmp_path, f"ImageId,EncodedPixels\na.png,{runs}\n", "a.png", size=(3, 4))
    layout = read(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        layout.labels(tmp_path / "images/a.png")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ImageId,EncodedPixels\ngone.png,1 1\n", "none of its 1 images, such as 'gone.png', was found"),
        ("ImageId,ClassId,EncodedPixels\na.png,,1 1\n", "line 2 names no image, or no class"),
        ("ImageId_ClassId,EncodedPixels\na.png,1 1\n", "line 2 names no image, or no class"),
        ("EncodedPixels,ImageId\n1 1\n", "not a whole table"),
        ("ImageId,EncodedPixels\na,1 1\na.png,1 1\n", "a and a.png are both the image"),
    ],
)
def test_broken_tables_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    table(tmp_path, text, "a.png")
    with pytest.raises(UserError, match=message) as caught:
        recognise_kaggle(tmp_path, Choices())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "Pixel Value, Class\n0, background\n",
        "image,mask\na.png,a_mask.png\n",
        "image,mask\na.png,\n",
        "",
        "name,r,g,b\ncat,1,2,3\n",
    ],
)
def test_other_tables_are_of_another_layout(tmp_path: Path, text: str) -> None:
    table(tmp_path, text, "a.png")
    assert recognise_kaggle(tmp_path, Choices()) is None
