"""Groups of images from a file or from their names."""

from pathlib import Path

import pytest

from seglight.errors import UserError
from seglight.metrics.groups import groups_of

NAMES = ["b_02", "a_01", "b_01", "c_07"]


def test_each_image_is_its_own_group() -> None:
    groups = groups_of(NAMES, None)
    assert (groups.ids.tolist(), groups.names, groups.by) == ([0, 1, 2, 3], NAMES, "image")
    assert len(groups_of([], None).ids) == 0


def test_groups_by_a_pattern() -> None:
    groups = groups_of(NAMES, r"^(\w)_")
    assert (groups.ids.tolist(), groups.names, groups.by) == ([0, 1, 0, 2], ["b", "a", "c"], r"^(\w)_")


def test_the_pattern_is_searched_within_names() -> None:
    assert groups_of(["x/drive1/0.png", "y/drive2/0.png"], r"drive(\d)").names == ["1", "2"]


@pytest.mark.parametrize("head", ["", "image,group\n", "\ufeffimage,group\r\n\n"])
def test_groups_by_a_file(head: str, tmp_path: Path) -> None:
    path = tmp_path / "drives.csv"
    path.write_text(f'{head}a_01, north\nb_01,south\n"b_02",south\nc_07,"east, old"\nother,west\n', encoding="utf-8")
    groups = groups_of(NAMES, str(path))
    assert (groups.ids.tolist(), groups.names) == ([0, 1, 0, 2], ["south", "north", "east, old"])
    assert groups.by == str(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a_01,x\nb_01,x\n", "no line for the image b_02 and 1 more"),
        ("a_01,x\nb_01;x\n", "line 2: 'b_01;x': give `image,group`"),
        ("a_01,x\nb_01,x,y\n", "line 2"),
        ("a_01,\n", "line 1"),
        ("a_01,x\na_01,y\n", "line 2: the image a_01 is in the groups x and y"),
        ("\n".join(f"{name},x" for name in NAMES), "all 4 images are in the group x, and it takes two: divide"),
    ],
)
def test_a_wrong_file_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "drives.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=r"drives\.csv") as error:
        groups_of(NAMES, str(path))
    assert complaint in str(error.value)


def test_a_file_of_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "drives.csv"
    path.write_bytes(b"\xff\xfe\x00a,b")
    with pytest.raises(UserError, match="UTF-8"):
        groups_of(NAMES, str(path))


@pytest.mark.parametrize(
    ("pattern", "complaint"),
    [
        ("drives.csv", "no such file, and a regular expression with 0 groups"),
        (r"^(\w)_(\d)", "with 2 groups"),
        (r"^(\w", "no regular expression"),
        (r"^([ab])_", "the image c_07 has no group"),
        (r"_0(\d)?", None),
        (r"(_)", "all 4 images are in the group _, and it takes two: divide"),
    ],
)
def test_a_wrong_pattern_is_refused(pattern: str, complaint: str | None) -> None:
    if complaint is None:
        assert groups_of(NAMES, pattern).names == ["2", "1", "7"]
        return
    with pytest.raises(UserError) as error:
        groups_of(NAMES, pattern)
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_the_pattern_of_the_message_divides_a_sequence() -> None:
    frames = [f"/data/val/0016E5_{number:05d}.png" for number in range(7959, 7983, 2)]
    with pytest.raises(UserError) as error:
        groups_of(frames, r"(\w+)_\d+\.png$")
    pattern = str(error.value).split("'")[1]
    assert groups_of(frames, pattern).names == ["0795", "0796", "0797", "0798"]


def test_images_are_given_by_path_file_name_or_stem(tmp_path: Path) -> None:
    path = tmp_path / "drives.csv"
    path.write_text("/data/val/a.png,1\nb.png,2\nc,3\n")
    assert groups_of([f"/data/val/{name}.png" for name in "abc"], str(path)).names == ["1", "2", "3"]
