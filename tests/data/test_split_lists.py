"""Lists of images by split, for data modules of files and of outlines.

Covers: data.image_lists.
"""

from pathlib import Path

import numpy as np
import pytest

from seglight.commands.doctor.scan import survey
from seglight.data import COCOPolygonsDataModule, FolderDataModule, VOCDataModule
from seglight.data.datamodule import FileDataModule
from seglight.data.image_lists import read_list, selected
from seglight.data.pairs import FilePairs
from seglight.errors import UserError
from tests.support import fabricate


def write_lists(folder: Path, **lines: str) -> str:
    folder.mkdir()
    for name, text in lines.items():
        (folder / f"{name}.txt").write_bytes(text.encode())
    return str(folder)


def test_lists_select_from_the_images_of_all_splits(tmp_path: Path) -> None:
    root = fabricate.folder(tmp_path / "data")
    lists = write_lists(tmp_path / "lists", train="images/test/001.png\nimages/train/003.png\n", val="images/val/000\n")
    datamodule = FolderDataModule(str(root), lists=lists)
    train = datamodule.split("train")
    assert isinstance(train, FilePairs)
    assert list(train.images) == [root / "images/test/001.png", root / "images/train/003.png"]
    assert list(train.masks) == [root / "masks/test/001.png", root / "masks/train/003.png"]
    assert datamodule.split("val").sources(0)[0] == root / "images/val/000.png"
    with pytest.raises(UserError, match=r"lists/test.txt: no such list of images: score with `seglight validate`"):
        datamodule.split("test")


def test_lists_of_outlines(tmp_path: Path) -> None:
    """The same labels as without lists, image by image."""
    root = fabricate.coco_json(tmp_path / "data")
    whole = COCOPolygonsDataModule(str(root))
    splits = {name: whole.split(name) for name in ("train", "val")}
    names = {name: [split.sources(index)[0] for index in range(len(split))] for name, split in splits.items()}
    swapped = {"train": names["val"], "val": names["train"][::-1]}
    lists = {name: "\n".join(str(path.relative_to(root)) for path in paths) for name, paths in swapped.items()}
    chosen = COCOPolygonsDataModule(str(root), lists=write_lists(tmp_path / "lists", **lists))
    val = chosen.split("val")
    assert [val.sources(index)[0] for index in range(len(val))] == names["train"][::-1]
    for index in range(len(val)):
        expected = splits["train"].read(len(val) - 1 - index)
        assert all(np.array_equal(a, b) for a, b in zip(val.read(index), expected, strict=True))
    assert len(chosen.split("train")) == len(names["val"])


def test_stems_of_voc(tmp_path: Path) -> None:
    root = fabricate.voc(tmp_path / "data")
    lists = write_lists(tmp_path / "lists", train="2009_000000\r\n2007_000002", val="\n2007_000000\n\n")
    datamodule = VOCDataModule(str(root), lists=lists)
    images = [datamodule.split("train").sources(index)[0].stem for index in range(2)]
    assert images == ["2009_000000", "2007_000002"]
    assert len(datamodule.split("val")) == 1


def test_doctor_reads_what_the_lists_select(tmp_path: Path) -> None:
    root = fabricate.folder(tmp_path / "data")
    (root / "masks/train/001.png").unlink()
    lists = write_lists(tmp_path / "lists", train="images/train/000\nimages/train/001", val="images/val/000")
    found = survey(FolderDataModule(str(root), lists=lists))
    assert {name: len(facts) for name, facts in found.splits.items()} == {"train": 2, "val": 1}
    (finding,) = (finding for finding in found.findings if finding.rule.slug == "missing-mask")
    assert [Path(case.file).name for case in finding.cases] == ["001.png"]


def test_only_listed_images_need_a_mask(tmp_path: Path) -> None:
    root = fabricate.folder(tmp_path / "data")
    (root / "masks/train/001.png").unlink()
    lists = write_lists(tmp_path / "lists", train="images/train/000", val="images/val/000\nimages/train/001")
    datamodule = FolderDataModule(str(root), lists=lists)
    assert len(datamodule.split("train")) == 1
    with pytest.raises(UserError, match=r"images/train/001.png: its mask .* is missing"):
        datamodule.split("val")


IMAGES = [Path("/data") / name for name in ("a/x.png", "b/x.png", "b/y.jpg", "b/y.png", "b/two words.png", "c.d.png")]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a/x.png", "a/x.png"),
        ("./b/x", "b/x.png"),
        ("/a/x.png /labels/x.png", "a/x.png"),
        ("b\\x.png", "b/x.png"),
        ("y.jpg", "b/y.jpg"),
        ("two words.png", "b/two words.png"),
        ("c.d", "c.d.png"),
        ("/home/somebody/data/b/y.png", "b/y.png"),
    ],
)
def test_lines(line: str, expected: str) -> None:
    assert selected([line], IMAGES, Path("/data"), Path("list.txt")) == [Path("/data") / expected]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("x.png", "list.txt: 'x.png' may be /data/a/x.png or /data/b/x.png: give the path below"),
        ("y", "list.txt: 'y' may be /data/b/y.jpg or /data/b/y.png"),
        ("c/x.png", "list.txt: there is no image 'c/x.png' in the data set: correct or remove this line"),
        ("/", "list.txt: there is no image '/'"),
    ],
)
def test_lines_that_name_no_image_or_several(line: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{message}"):
        selected([line], IMAGES, Path("/data"), Path("list.txt"))


def test_lists_without_lines_or_text(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("\n \n")
    with pytest.raises(UserError, match=r"train.txt: the list of images is empty"):
        read_list(path)
    path.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(UserError, match=r"train.txt: the list of images is not UTF-8 text"):
        read_list(path)


def test_a_data_module_with_a_split_of_its_own_reads_no_lists(tmp_path: Path) -> None:
    class Own(FolderDataModule):
        def split(self, name: str) -> FilePairs:
            return self.listing(name)

    root = fabricate.folder(tmp_path / "data")
    with pytest.raises(UserError, match="Own has a `split` of its own, which reads no lists: define `layout_split`"):
        Own(str(root), lists=str(tmp_path))
    assert Own.split is not FileDataModule.split


def test_a_whole_path_precedes_a_stem_and_a_part_of_a_path(tmp_path: Path) -> None:
    images = [tmp_path / name for name in ("images/a.jpg", "images/a.jpg.jpg", "b/images/a.jpg", "images/c\u2028d.jpg")]
    lists = tmp_path / "train.txt"
    lists.write_text("".join(f"{path.relative_to(tmp_path)}\n" for path in images), encoding="utf-8")
    assert selected(read_list(lists), images, tmp_path, lists) == images
