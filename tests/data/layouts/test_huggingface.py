import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.data import FolderDataModule
from seglight.data.layouts.convert import convert
from seglight.data.layouts.huggingface import recognise_huggingface
from seglight.data.layouts.layout import Choices, Layout
from seglight.errors import UserError
from tests.support.layouts import ID2LABEL, SIZE, encoded, huggingface, parquet
from tests.support.samples import readings, samples

IMAGE = encoded(np.zeros((*SIZE, 3), np.uint8))
LABEL = encoded(np.ones(SIZE, np.uint8))


def read(root: Path) -> Layout:
    layout = recognise_huggingface(root, Choices())
    assert layout is not None
    return layout


def row(name: str | None = "a.png", image: bytes | None = IMAGE, label: bytes | None = LABEL) -> dict[str, Any]:
    return {"image": {"bytes": image, "path": name}, "label": {"bytes": label, "path": None}}


def put(root: Path, *rows: dict[str, Any], name: str = "data/train-00000-of-00001.parquet") -> Layout:
    parquet(root / name, list(rows))
    (root / "id2label.json").write_text(json.dumps(ID2LABEL))
    return read(root)


def test_shards_and_splits(tmp_path: Path) -> None:
    maps = huggingface(tmp_path / "in")
    layout = read(tmp_path / "in")
    assert layout.classes.names == ("background", "cat", "dog")
    assert {split: len(images) for split, images in layout.splits.items()} == {"train": 4, "val": 2}
    for image in [*layout.splits["train"], *layout.splits["val"]]:
        np.testing.assert_array_equal(layout.labels(image), maps[image.name])

    converted = convert(layout, tmp_path / "out")
    assert converted.remarks == ["Of 6 images, 6 were written as they are stored."]
    module = FolderDataModule(str(tmp_path / "out"))
    for split in ("train", "val"):
        found = module.split(split)
        for index in range(len(found)):
            _, mask, path = found.read(index)
            np.testing.assert_array_equal(mask, maps[Path(path).name])
    image = layout.splits["val"][1]
    assert layout.image_bytes is not None
    assert (tmp_path / "out/images/val" / image.name).read_bytes() == layout.image_bytes(image)


def test_a_real_data_set() -> None:
    layout = read(samples() / "hf-parquet/facade-made")
    right = readings(samples())["hf-parquet/facade-made"]
    assert {split: len(images) for split, images in layout.splits.items()} == {"train": 1, "val": 2}
    for image in [*layout.splits["train"], *layout.splits["val"]]:
        mask: NDArray[np.uint8] = layout.labels(image)
        expected = right[f"{image.stem}.jpg"]
        assert mask.shape == tuple(expected["size"])
        values, counts = np.unique(mask, return_counts=True)
        assert dict(zip(map(str, values), counts, strict=True)) == expected["label_pixels"]


def test_names_that_are_used_twice_or_missing(tmp_path: Path) -> None:
    shard = tmp_path / "data/train-00000-of-00001.parquet"
    jpeg = encoded(np.zeros((*SIZE, 3), np.uint8), ".jpg")
    rows = [row("x/a.png"), row("a.png"), row("b.png"), row(None, jpeg), row("no suffix")]
    layout = put(tmp_path, *rows)
    names = ["000000/a.png", "000001/a.png", "b.png", "000003.jpg", "000004.png"]
    assert layout.splits == {"train": [shard / name for name in names]}


def test_values_that_are_no_indices_and_ignored_ones(tmp_path: Path) -> None:
    label = np.full(SIZE, 7, np.uint8)
    label[:4] = 255
    parquet(tmp_path / "test.parquet", [row(label=encoded(label))])
    (tmp_path / "id2label.json").write_text(json.dumps({"7": "car", "3": "road"}))
    layout = read(tmp_path)
    assert layout.classes.names == ("road", "car")
    (image,) = layout.splits["test"]
    np.testing.assert_array_equal(layout.labels(image), np.where(label == 255, 255, 1))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (encoded(np.full(SIZE, 9, np.uint8)), r"the value 9 \(3072 pixels\), which id2label.json does not name"),
        (encoded(np.zeros((*SIZE, 3), np.uint8)), r"a colour image \(mode RGB\)"),
        (encoded(np.zeros(SIZE, np.uint8), ".jpg"), "its label map is a JPEG"),
        (b"no image", "its label map is damaged, or no image"),
        (LABEL[:60], "its label map is damaged, or no image"),
        (None, "row 0 of row group 0 has no bytes in the column 'label'"),
    ],
)
def test_broken_labels_are_one_line(tmp_path: Path, label: bytes | None, message: str) -> None:
    layout = put(tmp_path, row(label=label))
    with pytest.raises(UserError, match=message) as caught:
        layout.labels(layout.splits["train"][0])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (None, "no id2label.json beside the Parquet files"),
        ('{"0": "a", "1": "a"}', "the name 'a' is used twice"),
        ('{"0": "a"}', "1 classes: name 2 to"),
        ('["a"]', "not of the form"),
        ("{", "not readable as JSON"),
    ],
)
def test_broken_class_names_are_one_line(tmp_path: Path, names: str | None, message: str) -> None:
    parquet(tmp_path / "train.parquet", [row()])
    if names is not None:
        (tmp_path / "id2label.json").write_text(names)
    with pytest.raises(UserError, match=message) as caught:
        recognise_huggingface(tmp_path, Choices())
    assert "\n" not in str(caught.value)


def test_broken_files_are_one_line(tmp_path: Path) -> None:
    huggingface(tmp_path)
    shard = tmp_path / "data/train-00001-of-00002.parquet"
    parquet(shard, [{"image": row()["image"], "mask": row()["label"]}])
    with pytest.raises(UserError, match=r"train-00001-of-00002\.parquet: it has other columns than"):
        read(tmp_path)
    parquet(shard, [{"image": row()["image"]}])
    with pytest.raises(UserError, match="no column of label maps beside 'image'"):
        read(tmp_path)
    shard.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(UserError, match="not a whole Parquet file"):
        read(tmp_path)
    shard.write_bytes(b"PAR1 bytes path \x10\x00\x00\x00PAR1")
    with pytest.raises(UserError, match="not readable as Parquet"):
        read(tmp_path)


def test_parquet_without_images_is_of_another_layout(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", [{"text": "a"}])
    assert recognise_huggingface(tmp_path, Choices()) is None


def test_without_pyarrow_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    huggingface(tmp_path / "images")
    parquet(tmp_path / "texts/a.parquet", [{"text": "a"}])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"needs pyarrow: run `pip install 'seglight\[parquet\]'`"):
        recognise_huggingface(tmp_path / "images", Choices())
    assert recognise_huggingface(tmp_path / "texts", Choices()) is None
