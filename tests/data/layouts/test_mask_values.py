"""Class tables that follow from the values in masks.

Covers: data.layouts.mask_scan, data.layouts.value_remarks.
"""

from pathlib import Path

import numpy as np
import pytest

from seglight.data.layouts.class_names import ClassNames
from seglight.data.layouts.mask_scan import Values, mask_values, rgb, scanned
from seglight.data.layouts.mask_values import class_table
from seglight.errors import UserError
from tests.support import fabricate
from tests.support.mask_layouts import save


def masks(root: Path, *arrays: object, palette: list[list[int]] | None = None) -> list[Path]:
    paths = [root / f"{number:03d}.png" for number in range(len(arrays))]
    for path, array in zip(paths, arrays, strict=True):
        save(path, np.array(array, np.uint8), palette or ())
    return paths


def table_of(root: Path, *arrays: object, names: ClassNames | None = None) -> dict[str, object]:
    return class_table(scanned(masks(root, *arrays)), names, root)[0]


def values_of(table: dict[str, object]) -> list[int]:
    entries = table["classes"]
    assert isinstance(entries, list)
    return [entry.get("value", index) for index, entry in enumerate(entries)]


def test_pixels_are_counted(tmp_path: Path) -> None:
    """By numpy, in all kinds of files."""
    rng = np.random.default_rng(0)
    for dtype, suffix in ((np.uint8, "png"), (np.uint16, "png"), (np.int64, "npy")):
        array = rng.integers(0, 9, (7, 5)).astype(dtype)
        save(tmp_path / f"mask.{suffix}", array)
        right = dict(zip(*(part.tolist() for part in np.unique(array, return_counts=True)), strict=True))
        assert mask_values(tmp_path / f"mask.{suffix}").counts == right
    color = np.array([[(1, 2, 3), (1, 2, 3)], [(4, 5, 6), (1, 2, 3)]], np.uint8)
    save(tmp_path / "color.png", color)
    found = mask_values(tmp_path / "color.png")
    assert {rgb(value): number for value, number in found.counts.items()} == {(1, 2, 3): 3, (4, 5, 6): 1}


@pytest.mark.parametrize(
    ("array", "values", "ignored"),
    [
        ([[0, 1, 2, 1]], [0, 1, 2], None),
        ([[0, 255]], [0, 255], None),
        ([[0, 1] * 9 + [255]], [0, 1], 255),
        ([[1, 2] * 9 + [255]], [1, 2], 255),
        ([[0, 85, 170, 255]], [0, 85, 170, 255], None),
        ([[0, 127, 255]], [0, 127, 255], None),
        ([[2, 5, 40]], [2, 5, 40], None),
    ],
)
def test_values_without_names(tmp_path: Path, array: object, values: list[int], ignored: int | None) -> None:
    table = table_of(tmp_path, array)
    assert values_of(table) == values
    assert table.get("ignore") == ignored


@pytest.mark.parametrize("array", [[[0, 1, 255, 255]], [[0, 7, 30] * 9 + [255]]])
def test_255_that_may_be_a_class_or_ignored(tmp_path: Path, array: object) -> None:
    with pytest.raises(
        UserError, match=r"000.png: the masks hold the values 0, .* 255, which may be a class or ignored"
    ):
        table_of(tmp_path, array)


def test_the_message_contains_a_file_to_paste(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"classes.yaml, such as 'classes: \[\{name: background, .*and 'ignore: 255'"):
        table_of(tmp_path, [[0, 1, 255, 255]])


def test_grey_levels_in_three_channels(tmp_path: Path) -> None:
    grey = np.array([[0, 1] * 9 + [255]], np.uint8)
    table = table_of(tmp_path, np.stack([grey] * 3, -1))
    assert (table["labels"], table["ignore"]) == ("color", [255, 255, 255])
    assert table["classes"] == [{"name": "class_0", "color": [0, 0, 0]}, {"name": "class_1", "color": [1, 1, 1]}]


def test_palettes_give_the_colours(tmp_path: Path) -> None:
    paths = masks(tmp_path, [[0, 1]], palette=[[0, 0, 0], [9, 8, 7]])
    table, remarks = class_table(scanned(paths), None, tmp_path)
    assert table["classes"] == [{"name": "class_0", "color": [0, 0, 0]}, {"name": "class_1", "color": [9, 8, 7]}]
    assert remarks == [
        "No file names the classes: the 2 values in the masks are class_0 and class_1; change the names in "
        "classes.yaml."
    ]


def test_classes_without_names_are_named_after_their_values(tmp_path: Path) -> None:
    """Their indices differ where values are left out, which is said."""
    for number, values in enumerate(([0, 1, 2, 3, 4, 6, 7, 8, 9, 10], [0, 2, 5], [0, 255])):
        folder = tmp_path / str(number)
        table, remarks = class_table(scanned(masks(folder, [np.repeat(values, 5)] * 5)), None, folder)
        entries = table["classes"]
        assert [entry["name"] for entry in entries] == [f"class_{value}" for value in values]
        what = (
            "the values 6 to 10 of the masks are the classes 5 to 9",
            "the values 2, 5 of the masks are the classes 1 to 2",
            "the value 255 of the masks is class 1",
        )[number]
        assert remarks[1:] == [
            f"Label maps of predict hold the indices of the classes, not the values of the masks: {what}."
        ]


def test_indices_of_named_classes_that_differ_from_the_values(tmp_path: Path) -> None:
    names = ClassNames(tmp_path / "classes.txt", {1: "road", 2: "tree"})
    _, remarks = class_table(scanned(masks(tmp_path, [[1, 2]])), names, tmp_path)
    assert remarks == [
        "Label maps of predict hold the indices of the classes, not the values of the masks: the values 1 to 2 of the "
        "masks are the classes 0 to 1."
    ]


def test_two_names_for_0_and_255(tmp_path: Path) -> None:
    names = ClassNames(tmp_path / "classes.txt", {0: "background", 1: "road"})
    table = table_of(tmp_path, [[0, 255, 255]], names=names)
    assert values_of(table) == [0, 255]


def test_names_of_values_that_no_mask_holds_are_kept(tmp_path: Path) -> None:
    names = ClassNames(tmp_path / "classes.txt", {0: "a", 1: "b", 2: "void", 3: "c"})
    table = table_of(tmp_path, [[0, 1, 255]], names=names)
    assert [entry["name"] for entry in table["classes"]] == ["a", "b", "c"]  # type: ignore[attr-defined]
    assert (values_of(table), table["ignore"]) == ([0, 1, 3], [2, 255])


def test_sixteen_bits_hold_a_thousand_classes(tmp_path: Path) -> None:
    mask = np.arange(1000, dtype=np.uint16).repeat(16).reshape(100, 160)
    mask[0, :9] = 65535
    save(tmp_path / "a.png", mask)
    table, remarks = class_table(scanned([tmp_path / "a.png"]), None, tmp_path)
    assert len(table["classes"]) == 1000
    assert table["ignore"] == 65535
    assert len({tuple(entry["color"]) for entry in table["classes"]}) == 1000
    assert "The value 65535 (0.1% of the pixels) is ignored." in remarks


@pytest.mark.parametrize("value", [1, 255])
def test_one_name_is_that_of_what_is_not_the_background(tmp_path: Path, value: int) -> None:
    names = ClassNames(tmp_path / "classes.txt", {0: "road"})
    table, remarks = class_table(scanned(masks(tmp_path, [[0, value]])), names, tmp_path)
    assert [entry["name"] for entry in table["classes"]] == ["background", "road"]
    assert values_of(table) == [0, value]
    assert "classes.txt: one class, 'road', which works as two: background and road." in remarks


def test_photographs_are_no_masks(tmp_path: Path) -> None:
    fabricate.save_image(tmp_path / "a.png", np.random.default_rng(0), (40, 40))
    with pytest.raises(UserError, match=r"a.png: \d+ colours in the masks so far, where each stands for a class"):
        scanned([tmp_path / "a.png"])


def test_masks_of_two_kinds(tmp_path: Path) -> None:
    paths = masks(tmp_path, [[0, 1]], [[(0, 0, 0), (1, 2, 3)]])
    with pytest.raises(UserError, match=r"001.png: this mask is in colour, .*000.png is of one channel: export all"):
        scanned(paths)


def test_one_value_in_all_masks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="all pixels of all masks have one value, 0, where at least two classes"):
        table_of(tmp_path, [[0, 0]], [[0]])


def test_names_without_colours_of_coloured_masks(tmp_path: Path) -> None:
    names = ClassNames(tmp_path / "classes.txt", {0: "a", 1: "b"})
    with pytest.raises(UserError, match=r"classes.txt: the classes have no colours there, and the masks are in colour"):
        table_of(tmp_path, [[(0, 0, 0), (1, 2, 3)]], names=names)


def test_no_masks() -> None:
    with pytest.raises(UserError, match="there is no mask to read"):
        scanned([])
    assert Values(False).values == []


def palettes(root: Path, *files: tuple[list[int], list[list[int]]]) -> list[Path]:
    """Masks of one row, each with a palette of its own."""
    paths = [root / f"{number}.png" for number in range(len(files))]
    for path, (row, colors) in zip(paths, files, strict=True):
        save(path, np.array([row], np.uint8), colors)
    return paths


BLACK, RED, GREEN = [0, 0, 0], [255, 0, 0], [0, 255, 0]


def test_palettes_that_number_the_same_colours_differently(tmp_path: Path) -> None:
    """Colours stand for classes: as PIL's quantize and optipng order palettes by the pixels of a file."""
    paths = palettes(tmp_path, ([0, 0, 1], [BLACK, RED]), ([0, 0, 1], [RED, BLACK]))
    table, remarks = class_table(scanned(paths), None, tmp_path)
    assert (table["labels"], [entry["color"] for entry in table["classes"]]) == ("color", [BLACK, RED])
    assert "palettes of the masks differ (1.png: the value 0 is [255, 0, 0]" in remarks[0]
    names = ClassNames(tmp_path / "classes.txt", {0: "a", 1: "b"})
    with pytest.raises(UserError, match=r"1.png: the palettes of the masks differ: .*'labels: color', or values"):
        class_table(scanned(paths), names, tmp_path)


def test_palettes_that_contradict_each_other(tmp_path: Path) -> None:
    paths = palettes(tmp_path, ([0, 1], [BLACK, RED]), ([0, 1], [BLACK, GREEN]))
    with pytest.raises(UserError, match=r"1.png: the palettes of the masks differ: the value 1 is \[0, 255, 0\]"):
        class_table(scanned(paths), None, tmp_path)


def test_one_palette_stays_an_index(tmp_path: Path) -> None:
    """Shorter where a file has fewer values, and with a colour of two values."""
    paths = palettes(tmp_path, ([0, 1], [BLACK, RED]), ([0, 2], [BLACK, RED, RED]))
    assert values_of(class_table(scanned(paths), None, tmp_path)[0]) == [0, 1, 2]
