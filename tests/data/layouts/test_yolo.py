import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pycocotools import mask as rle

from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from seglight.data.layouts.yolo import YoloLabels, recognise_yolo
from seglight.errors import UserError
from tests.support import outline_layouts
from tests.support.layouts import Maps
from tests.support.outline_layouts import NAMES
from tests.support.samples import readings, samples


def counts(labels: Any) -> dict[str, int]:
    values, numbers = np.unique(labels, return_counts=True)
    return {str(value): int(number) for value, number in zip(values, numbers, strict=True)}


@pytest.mark.parametrize(
    ("build", "splits"),
    [
        (outline_layouts.yolo_roboflow, {"train": 4, "val": 2}),
        (outline_layouts.yolo_cvat, {"train": 6}),
        (outline_layouts.yolo_label_studio, {"all": 6}),
    ],
)
def test_a_data_set_of_each_tool(build: Callable[[Path], Maps], splits: dict[str, int], tmp_path: Path) -> None:
    expected = build(tmp_path)
    layout = recognise(tmp_path, Choices())
    assert layout.form == "YOLO outlines"
    assert layout.classes.names == NAMES
    assert layout.remarks == []
    assert layout.in_place is None
    assert {split: len(images) for split, images in layout.splits.items()} == splits
    for images in layout.splits.values():
        for image in images:
            assert (layout.labels(image) == expected[image.name]).all()


def test_the_export_of_roboflow(tmp_path: Path) -> None:
    """The pixels of each class alone are those of pycocotools, and the map is that of the same objects as COCO JSON."""
    root = samples() / "yolo-seg/facade-made"
    layout = recognise(root, Choices())
    assert layout.classes.names[:4] == ("background", "balcony-fence", "car", "facade")
    told = readings(samples())["yolo-seg/facade-made"]
    coco = readings(samples())["coco/roboflow-facade"]
    names = {"200451": "facade_a.jpg", "200638": "facade_b.jpg", "200608": "facade_c.jpg"}
    painted = {names[key.split("_")[1]]: value["painted_large_first"] for key, value in coco.items()}
    for split, folder in (("train", "train"), ("val", "valid")):
        for image in layout.splits[split]:
            expected = told[f"{folder}/{image.name}"]
            lines = (root / folder / "labels" / f"{image.stem}.txt").read_text().splitlines()
            assert len(lines) == expected["lines"]
            for number, pixels in expected["union_pixels_pycocotools"].items():
                alone = tmp_path / "alone.txt"
                alone.write_text("\n".join(line for line in lines if line.split()[0] == number))
                reader = YoloLabels({image: alone}, {int(number): 1}, "ignore")
                assert int((reader(image) == 1).sum()) == pixels
            assert counts(layout.labels(image)) == painted[image.name]


def test_the_export_of_cvat() -> None:
    """9 pixels of class 2 lie on 11 of class 4; four of them are in both."""
    root = samples() / "yolo-seg/datumaro"
    layout = recognise(root, Choices())
    assert layout.classes.names == ("background", *(f"label_{k}" for k in range(10)))
    (image,) = layout.splits["train"]
    one, two = readings(samples())["yolo-seg/datumaro"]["images/train/1.jpg"]["lines"]
    small, large = (rle.decode(rle.frPyObjects([line["points_px"]], 10, 15))[..., 0] for line in (one, two))
    assert (small.sum(), large.sum()) == (one["pixels_pycocotools"], two["pixels_pycocotools"]) == (9, 11)
    assert (layout.labels(image) == np.where(small, 3, np.where(large, 5, 0))).all()


@pytest.mark.parametrize(("boxes", "value"), [("ignore", 255), ("fill", 3)])
def test_boxes_and_images_without_objects(boxes: Any, value: int, tmp_path: Path) -> None:
    """A box by its centre (32, 36) and size (16, 12): columns 24 to 39, rows 30 to 41."""
    expected = outline_layouts.yolo_cvat(tmp_path)
    labels = tmp_path / "labels/train"
    with (labels / "street_000.txt").open("a") as file:
        file.write("2 0.5 0.75 0.25 0.25\n")
    (labels / "street_001.txt").write_text("")
    (labels / "street_002.txt").unlink()
    layout = recognise(tmp_path, Choices(boxes))
    first, empty, without = layout.splits["train"][:3]
    box = np.zeros((48, 64), bool)
    box[30:42, 24:40] = True
    assert (layout.labels(first) == np.where(box & (expected[first.name] == 0), value, expected[first.name])).all()
    assert not layout.labels(empty).any()
    assert not layout.labels(without).any()
    done = {"ignore": "the pixels of the boxes are ignored", "fill": "the box is their area"}[boxes]
    assert layout.remarks == [
        "Images without a label file: 1; all of their pixels are background.",
        f"Objects that have a box and no outline: 1; {done}.",
    ]


def test_a_box_covers_an_object_of_the_same_size_order(tmp_path: Path) -> None:
    """Only boxes: there is nothing to learn unless they are filled."""
    outline_layouts.yolo_cvat(tmp_path)
    for path in (tmp_path / "labels/train").iterdir():
        path.write_text("1 0.5 0.5 0.5 0.5\n")
    with pytest.raises(UserError, match=r"data.yaml: all of its 6 objects are boxes: export outlines"):
        recognise(tmp_path, Choices())
    layout = recognise(tmp_path, Choices("fill"))
    expected = np.zeros((48, 64), np.uint8)
    expected[12:36, 16:48] = 2
    assert (layout.labels(layout.splits["train"][0]) == expected).all()


def test_lists_of_images_and_splits_that_are_not_there(tmp_path: Path) -> None:
    expected = outline_layouts.yolo_cvat(tmp_path)
    (tmp_path / "train.txt").write_text("".join(f"data/images/train/street_00{k}.png\n" for k in range(4)))
    content = {
        "path": "/home/someone/datasets/streets",
        "train": "train.txt",
        "val": ["images/train"],
        "test": "../test/images",
        "names": ["Background", "sky", "tree"],
    }
    (tmp_path / "data.yaml").write_text(yaml.safe_dump(content))
    layout = recognise(tmp_path, Choices())
    assert {split: len(images) for split, images in layout.splits.items()} == {"train": 4, "val": 6}
    assert layout.classes.names == ("background", "sky", "tree")
    assert layout.remarks == [
        "Not found, and left out: test: ../test/images, in data.yaml.",
        "The label 'Background' is class 0, that of the pixels without an object.",
    ]
    image = layout.splits["train"][0]
    assert (layout.labels(image) == np.array([0, 0, 1, 2])[expected[image.name]]).all()


def test_one_folder_for_training_and_validation_is_no_split(tmp_path: Path) -> None:
    outline_layouts.yolo_cvat(tmp_path)
    content = yaml.safe_load((tmp_path / "data.yaml").read_text())
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({**content, "val": content["train"]}))
    layout = recognise(tmp_path, Choices())
    assert list(layout.splits) == ["all"]
    assert layout.remarks == ["The images of `train` and `val` in data.yaml are the same, which is no split."]


def test_masks_with_a_data_yaml_are_no_outlines(tmp_path: Path) -> None:
    outline_layouts.yolo_cvat(tmp_path)
    (tmp_path / "labels").rename(tmp_path / "masks")
    assert recognise_yolo(tmp_path, Choices()) is None


def rewritten(text: str) -> Callable[[Path], object]:
    return lambda root: (root / "labels/train/street_001.txt").write_text(text)


def config(**content: Any) -> Callable[[Path], object]:
    def write(root: Path) -> None:
        known = yaml.safe_load((root / "data.yaml").read_text())
        (root / "data.yaml").write_text(json.dumps({**known, **content}))

    return write


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (
            rewritten("3 0 0 1 0 1 1\n4 0 0 1 0 1 1\n"),
            r"street_001.txt, line 1: it has a class that is not among the 3",
        ),
        (
            rewritten("0 0 0 1 0 1 1\n\n0 0 0 1 0 1\n0 0 0 1\n"),
            r"street_001.txt, line 3: it has neither the four numbers of a box nor at least three corners "
            r"of two numbers \(2 lines are like this\): correct the file",
        ),
        (rewritten("0 0 0 1 0 1 1.02\n"), "line 1: it has corners outside the image, whose coordinates are fractions"),
        (rewritten("0 0 0 40 0 40 30\n"), "line 1: it has corners outside the image"),
        (rewritten("0 0 0 1 nan 1 1\n"), "line 1: it has corners outside the image"),
        (rewritten("car 0 0 1 0 1 1\n"), "line 1: it is no list of numbers"),
        (rewritten("0.5 0 0 1 0 1 1\n"), "line 1: it has a class that is not among the 3 names"),
        (
            lambda root: (root / "images/train/street_002.png").unlink(),
            "label files without an image: .*street_002.txt: add the images, or remove these",
        ),
        (
            lambda root: (root / "labels").rename(root / "outlines"),
            "data.yaml: no label file for any of its 6 images, such as .*street_000.png: put `labels` beside `images`",
        ),
        (
            lambda root: (root / "images").rename(root / "photographs"),
            "data.yaml: no image was found for train: images/train: put the images where it says",
        ),
        (
            lambda root: [path.write_text("") for path in (root / "labels/train").iterdir()],
            "data.yaml: no object in its label files: export outlines",
        ),
        (lambda root: (root / "data.yaml").write_text("names: ["), "data.yaml: not YAML .*: export it again"),
        (config(nc=7), "data.yaml: `nc` is 7, and `names` has 3 names: correct one of them"),
        (config(kpt_shape=[17, 2]), "data.yaml: `kpt_shape`: its objects are key points, not outlines"),
        (config(names=5), "data.yaml: `names` is no list of names and no names by number"),
        (config(names=["car", "sky", "car"]), "data.yaml: a name of two classes: car: rename one"),
        (config(names=["background"]), "data.yaml: 0 classes beside the background"),
    ],
)
def test_mistakes_are_one_line(spoil: Callable[[Path], object], told: str, tmp_path: Path) -> None:
    outline_layouts.yolo_cvat(tmp_path)
    spoil(tmp_path)
    with pytest.raises(UserError, match=told) as refused:
        recognise(tmp_path, Choices())
    assert "\n" not in str(refused.value)


def test_a_corner_just_outside_is_rounding(tmp_path: Path) -> None:
    expected = outline_layouts.yolo_cvat(tmp_path)
    path = tmp_path / "labels/train/street_000.txt"
    path.write_text(path.read_text().replace(" 1.0000000", " 1.0000010"))
    layout = recognise(tmp_path, Choices())
    assert (layout.labels(layout.splits["train"][0]) == expected["street_000.png"]).all()
