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
