import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from seglight.data.class_files import read_classes
from seglight.data.labels import ColorCodec, LabelCodec
from seglight.errors import UserError
from tests.support import fabricate

CAT = {"name": "cat", "color": [1, 2, 3]}
DOG = {"name": "dog", "color": [4, 5, 6]}


def write(path: Path, **keys: object) -> Path:
    file = path / "classes.yaml"
    file.write_text(yaml.safe_dump({"classes": [CAT, DOG], **keys}))
    return file


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    table = read_classes(write(tmp_path))
    assert (table.classes.names, table.classes.palette) == (("cat", "dog"), ((1, 2, 3), (4, 5, 6)))
    assert table.codec == LabelCodec({0: 0, 1: 1}, [], "refuse")
    assert (table.images, table.masks) == (None, None)


def test_a_class_has_one_value_or_more(tmp_path: Path) -> None:
    """A binary mask of 0 and 255, and ids of which several make one class."""
    binary = read_classes(write(tmp_path, classes=[CAT, {**DOG, "value": 255}]))
    assert binary.codec == LabelCodec({0: 0, 255: 1}, [])
    merged = read_classes(write(tmp_path, classes=[{**CAT, "value": [7, 40000]}, {**DOG, "value": 8}], ignore=[0, 255]))
    assert merged.codec == LabelCodec({7: 0, 40000: 0, 8: 1}, [0, 255])


def test_other_values_are_refused_or_ignored(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    fabricate.save_mask(path, np.array([[0, 1, 9]], np.uint8))
    with pytest.raises(UserError, match="label value 9"):
        read_classes(write(tmp_path, others="refuse")).codec.read(path)
    assert read_classes(write(tmp_path, others="ignore")).codec.read(path).tolist() == [[0, 1, 255]]


def test_labels_may_be_colours(tmp_path: Path) -> None:
    one = read_classes(write(tmp_path, labels="color", ignore=[0, 0, 0]))
    assert one.codec == ColorCodec({(1, 2, 3): 0, (4, 5, 6): 1}, [(0, 0, 0)])
    several = read_classes(write(tmp_path, labels="color", ignore=[[0, 0, 0], [9, 9, 9]], others="ignore"))
    assert several.codec == ColorCodec({(1, 2, 3): 0, (4, 5, 6): 1}, [(0, 0, 0), (9, 9, 9)], "ignore")


def test_folders_by_split(tmp_path: Path) -> None:
    folders = {"train": "training/images", "val": "validation/images"}
    table = read_classes(write(tmp_path, images=folders))
    assert (table.images, table.masks) == (folders, None)


def test_one_folder_or_pattern_for_all_splits(tmp_path: Path) -> None:
    table = read_classes(write(tmp_path, images="photos", masks={"train": "**/{stem}_mask.png"}))
    assert (table.images, table.masks) == ("photos", {"train": "**/{stem}_mask.png"})


def test_two_classes_may_share_a_colour_where_labels_are_values(tmp_path: Path) -> None:
    grey = [{"name": name, "color": [9, 9, 9]} for name in ("road", "skyscraper")]
    assert read_classes(write(tmp_path, classes=grey)).classes.palette == ((9, 9, 9), (9, 9, 9))


@pytest.mark.parametrize("version", ["v1.2", "v2.0"])
def test_mapillarys_own_file(tmp_path: Path, version: str) -> None:
    """Values are places in its list; what it does not evaluate is ignored; folders are those of its archive."""
    root = fabricate.mapillary(tmp_path, version)
    table = read_classes(root / f"config_{version}.json")
    assert table.classes.names == ("Bird", "Road", "Road Shoulder")
    assert table.classes.palette == ((165, 42, 42), (128, 64, 128), (110, 110, 110))
    assert table.codec == LabelCodec({0: 0, 2: 1, 3: 2}, [1, 4])
    assert table.images == {"train": "training/images", "val": "validation/images"}
    assert table.masks == {"train": f"training/{version}/labels", "val": f"validation/{version}/labels"}


def test_mapillarys_first_file_had_no_version(tmp_path: Path) -> None:
    path = fabricate.mapillary(tmp_path).joinpath("config_v2.0.json").rename(tmp_path / "config.json")
    assert read_classes(path).masks == {"train": "training/labels", "val": "validation/labels"}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"label": "color"},
            "`label` in the file is not known: the keys are bands, classes, ignore, images, labels, masks",
        ),
        (
            {"classes": [CAT, {**DOG, "values": 3}]},
            "`values` in class dog is not known: the keys are color, name",
        ),
        ({"labels": "colour"}, "`labels: colour` is not known: give 'index', which is the default, or 'color'"),
        ({"others": "drop"}, "`others: drop` is not known: give 'refuse', .* or 'ignore'"),
        (
            {"classes": [CAT, {"name": True, "color": [0, 0, 0]}]},
            "the name True of a class is not a text: put it in quotes",
        ),
        ({"classes": [CAT, {**DOG, "value": 0}]}, "0 stands for two things: each class must have values of its own"),
        ({"classes": [CAT, {**DOG, "value": [1, 0]}]}, "0 stands for two things"),
        ({"ignore": [254, 1]}, "1 stands for two things: .* and `ignore` none of them"),
        ({"ignore": 2**16}, "65536 as `value` or `ignore`: values lie in 0 to 65535"),
        ({"ignore": [-1]}, "-1 as `value` or `ignore`"),
        ({"ignore": []}, "an empty list as `value` or `ignore`"),
        ({"ignore": True}, "ValueError True is not a whole number"),
        ({"classes": [CAT, {**DOG, "value": 1.5}]}, "ValueError 1.5 is not a whole number"),
        ({"classes": [CAT, {**DOG, "value": []}]}, "an empty list as `value` or `ignore`"),
        ({"classes": [CAT, {**DOG, "color": [0, 0, 300]}]}, r"\[0, 0, 300\] as a colour: red, green and blue lie in 0"),
        ({"labels": "color", "classes": [CAT, {**DOG, "value": 2}]}, "class dog has a `value` beside `labels: color`"),
        ({"labels": "color", "ignore": 255}, r"`ignore: 255`, where `labels: color` needs a colour, \[0, 0, 0\]"),
        ({"labels": "color", "ignore": []}, r"`ignore: \[\]`, where `labels: color` needs a colour"),
        ({"labels": "color", "ignore": [0, 0]}, "ValueError not enough values"),
        ({"labels": "color", "ignore": [4, 5, 6]}, r"the colour \[4, 5, 6\] stands for two things"),
        ({"labels": "color", "classes": [CAT, {**DOG, "color": [1, 2, 3]}]}, r"the colour \[1, 2, 3\] stands for two"),
        (
            {"masks": {"training": "a"}},
            "`masks` should name a folder, or folders by split: '{train: training/masks, val: ",
        ),
        ({"masks": {"train": 3}}, "`masks` should name a folder, or folders by split"),
        ({"images": ["a", "b"]}, "`images` should name a folder, or folders by split"),
        ({"images": "../elsewhere"}, "`images`: '../elsewhere' should be a path below the data set's folder"),
        ({"masks": {"val": "/masks"}}, "`masks`: '/masks' should be a path below"),
        ({"masks": "{stem}/{stem}.png"}, "`masks`: '{stem}/{stem}.png' should contain {stem} once, in the file name"),
        ({"masks": "**/a/**/{stem}.png"}, "`masks`: .* and \\*\\* once at most"),
    ],
)
def test_faults_are_reported_in_one_line(tmp_path: Path, keys: dict[str, object], told: str) -> None:
    path = write(tmp_path, **keys)
    with pytest.raises(UserError, match=rf"^{path}: .*{told}") as error:
        read_classes(path)
    assert "\n" not in str(error.value)


def test_faults_of_json_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "config_v2.0.json"
    path.write_text("{'labels'")
    with pytest.raises(UserError, match=rf"^{path}: not JSON: "):
        read_classes(path)
    path.write_text(json.dumps({"labels": [{"name": "a"}]}))
    with pytest.raises(UserError, match=rf"^{path}: KeyError 'evaluate'"):
        read_classes(path)
