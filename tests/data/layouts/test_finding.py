from pathlib import Path

from seglight.data.layouts.finding import counted, files_of, folders_below, split_of


def test_the_last_part_of_a_path_decides_and_those_above_the_data_set_do_not_count() -> None:
    root = Path("/data/train/set")
    assert split_of(root / "valid" / "_annotations.coco.json", root) == "val"
    assert split_of(root / "train" / "test" / "a.json", root) == "test"
    assert split_of(root / "a.json", root) is None


def test_folders_and_files(tmp_path: Path) -> None:
    for name in ("b/c/d", "a", ".hidden", "__MACOSX/a"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("b/x.JSON", "b/y.txt", "b/._x.json"):
        (tmp_path / name).write_text("")
    found = [path.relative_to(tmp_path).as_posix() for path in folders_below(tmp_path, 2)]
    assert found == [".", "a", "b", "b/c"]
    assert files_of(tmp_path / "b", (".json",)) == [tmp_path / "b/x.JSON"]


def test_counted() -> None:
    assert counted(["a", "b"]) == "a, b"
    assert counted(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
