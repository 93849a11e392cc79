"""Names of classes in files, in the form that each tool writes."""

from pathlib import Path

import pytest

from seglight.data.layouts.class_names import class_names, read_class_names
from seglight.errors import UserError

FILES = [
    ("labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncat:9,8,7::\n", True),
    ("label_colors.txt", "0 0 0\t\tbackground\n9 8 7\t\tcat\n", True),
    ("_classes.csv", "Pixel Value, Class\n0, background\n1, cat", False),
    ("class_dict.csv", "name, r, g, b\nbackground, 0, 0, 0\ncat, 9, 8, 7\n", True),
    ("labelmap.csv", "name,r,g,b\nbackground,0,0,0\ncat,9,8,7\n", True),
    ("dataset_meta.json", '{"label_map": {"0": "background", "1":"cat"}, "segmentation_colors": [[0,0,0],[9,8,7]]}', 1),
    ("obj_class_to_machine_color.json", '{"background": [0, 0, 0], "cat": [9, 8, 7]}', True),
    ("id2label.json", '{"0": "background", "1": "cat"}', False),
    ("class_names.txt", "background\r\ncat", False),
    ("classes.txt", "0: background\n1: cat\n", False),
    ("labels.txt", "\ufeffbackground\n\ncat\n", False),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "colored"), FILES, ids=[name for name, _, _ in FILES])
def test_files_of_tools(tmp_path: Path, name: str, text: str, colored: int) -> None:
    (tmp_path / name).write_bytes(text.encode())
    found = class_names([tmp_path / "elsewhere", tmp_path])
    assert found is not None
    assert (found.path, dict(found.names)) == (tmp_path / name, {0: "background", 1: "cat"})
    assert found.colors == ({0: (0, 0, 0), 1: (9, 8, 7)} if colored else {})


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("classes.txt", "cat\ncat", "2 names of classes, of which each may occur once"),
        ("classes.txt", "", "0 names of classes"),
        ("labelmap.txt", "cat:1,2::", "names of classes could not be read from it .ValueError not enough values"),
        ("labelmap.txt", "cat:1,2,300::", r"ValueError \[1, 2, 300\] is not a colour"),
        ("id2label.json", '{"0": ["cat"', "JSONDecodeError"),
        ("id2label.json", '{"0": {"a": 1}}', "is not a name"),
        ("_classes.csv", "Pixel Value, Name\n0, cat", "ValueError 'class' is not in list"),
    ],
)
def test_files_that_can_not_be_read(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=f"^{tmp_path / name}: .*{message}"):
        read_class_names(tmp_path / name)


def test_no_file(tmp_path: Path) -> None:
    assert class_names([tmp_path]) is None


NUMBERED = [
    ("labels.txt", "__ignore__\n_background_\nperson\n", {0: "_background_", 1: "person", 255: "__ignore__"}),
    ("labels.txt", "1 car\n2 2-wheeler\n0 road\n", {0: "road", 1: "car", 2: "2-wheeler"}),
    ("labelmap.csv", "road,128,0,0\ncar,0,128,0\n", {0: "road", 1: "car"}),
    ("labelmap.csv", "id,name\n1,car\n0,road\n", {0: "road", 1: "car"}),
    ("labelmap.csv", "label,name\n1,car\n0,road\n", {0: "road", 1: "car"}),
    ("class_dict.csv", "1,car\n0,road\n", {0: "road", 1: "car"}),
]


@pytest.mark.parametrize(("name", "text", "right"), NUMBERED)
def test_numbers_of_names(tmp_path: Path, name: str, text: str, right: dict[int, str]) -> None:
    (tmp_path / name).write_text(text)
    found = read_class_names(tmp_path / name)
    assert found.names == right
    assert found.colors == ({0: (128, 0, 0), 1: (0, 128, 0)} if "128" in text else {})


def test_two_names_of_one_number(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("0 road\n1 car\n1 dog\n")
    with pytest.raises(UserError, match="ValueError car and dog have the value 1"):
        read_class_names(tmp_path / "labels.txt")


def test_two_files_that_differ(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("a\nb\n")
    (tmp_path / "labels.txt").write_text("x\ny\n")
    found = class_names([tmp_path])
    assert found is not None
    assert found.remarks == ["classes.txt names the classes.", "labels.txt names other classes, and is not read."]
    (tmp_path / "labels.txt").write_text("b\na\n")
    with pytest.raises(UserError, match=r"labels.txt: the classes of classes.txt in another order: remove the file"):
        class_names([tmp_path])
