"""Layouts of mask files, in the forms of tools and as they are found.

Covers: data.layouts.mask_folders, data.layouts.mask_layout, data.layouts.mask_names,
data.layouts.split_files.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from seglight.commands.doctor.scan import survey
from seglight.data import FolderDataModule
from seglight.data.datamodule import FileDataModule
from seglight.data.layouts.layout import WITHOUT_SPLIT, Choices, Layout
from seglight.data.layouts.masks import recognise_masks
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from tests.support import fabricate
from tests.support.mask_layouts import FORMS, Form, coloured, lists, prefixes, roboflow, save, table, write
from tests.support.samples import readings, samples


def in_place(layout: Layout, root: Path, project: Path) -> FileDataModule:
    """The data module of a layout, with the files that `init` writes into a project."""
    assert layout.in_place is not None
    assert layout.in_place.class_path == "seglight.data.FolderDataModule"
    arguments = dict(layout.in_place.init_args)
    project.mkdir()
    if layout.in_place.class_table is not None:
        (project / "classes.yaml").write_text(yaml.safe_dump(dict(layout.in_place.class_table)))
        arguments["classes"] = str(project / "classes.yaml")
    if layout.lists is not None:
        arguments["lists"] = str(layout.lists)
    if layout.lists_needed or WITHOUT_SPLIT in layout.splits:
        for split, files in layout.splits.items():
            name = "train" if split == WITHOUT_SPLIT else split
            lines = [str(file.relative_to(root)) for file in files]
            (project / f"{name}.txt").write_text("\n".join(lines))
        arguments["lists"] = str(project)
    return FolderDataModule(str(root), **arguments)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_each_form_is_recognised_and_read_in_place(tmp_path: Path, form: Callable[[Path], Form]) -> None:
    root = tmp_path / "data"
    expected = form(root)
    layout = recognise(root, Choices())
    assert layout.classes.names == tuple(expected.names)
    stems = {split: sorted(file.stem for file in files) for split, files in layout.splits.items()}
    assert {split: len(files) for split, files in expected.splits.items()} == {s: len(f) for s, f in stems.items()}
    assert all(stem in "".join(stems[split]) for split, files in expected.splits.items() for stem in files)
    datamodule = in_place(layout, root, tmp_path / "project")
    assert datamodule.classes == layout.classes
    for split, files in layout.splits.items():
        read = datamodule.split("train" if split == WITHOUT_SPLIT else split)
        masks = {Path(name).name: mask for _, mask, name in map(read.read, range(len(read)))}
        assert masks.keys() == {file.name for file in files}
        for file in files:
            assert np.array_equal(layout.labels(file), expected.maps[file.name]), file
            assert np.array_equal(masks[file.name], expected.maps[file.name]), file


@pytest.mark.parametrize("form", [prefixes, table], ids=lambda form: form.__name__)
def test_doctor_reads_what_was_recognised(tmp_path: Path, form: Callable[[Path], Form]) -> None:
    root = tmp_path / "data"
    form(root)
    found = survey(in_place(recognise(root, Choices()), root, tmp_path / "project"))
    assert not [finding for finding in found.findings if finding.cases]
    assert all(facts.mask.unknown == 0 and facts.mask.classes.sum() for facts in found.splits["train"])


def counts(layout: Layout, file: Path) -> dict[str, int]:
    values, numbers = np.unique(layout.labels(file), return_counts=True)
    names = [*layout.classes.names, *["?"] * (255 - len(layout.classes)), "ignored"]
    return {names[value]: int(number) for value, number in zip(values, numbers, strict=True)}


def images(layout: Layout) -> dict[str, Path]:
    return {file.stem: file for files in layout.splits.values() for file in files}


def test_roboflow_sample() -> None:
    root = samples() / "roboflow-png-mask-semantic" / "dhcn"
    layout = recognise(root, Choices())
    assert {split: len(files) for split, files in layout.splits.items()} == {"train": 3, "test": 2}
    names = ["background", "cabinet", "ceiling", "chair", "door", "elevator"]
    names += ["railing", "road", "stair", "tree", "wall"]
    assert list(layout.classes.names) == names
    found = images(layout)
    for mask, reading in readings(samples())["roboflow-png-mask-semantic/dhcn"].items():
        right = {names[int(value)]: number for value, number in reading["pixels"].items()}
        assert counts(layout, found[Path(mask).stem.removesuffix("_mask")]) == right


def test_samples_of_colour_masks() -> None:
    layout = recognise(samples() / "colour-masks/kaggle-labelmap-csv", Choices())
    assert counts(layout, images(layout)["001"]) == {"background": 1, "cat": 2, "dog": 2}
    layout = recognise(samples() / "colour-masks/non-standard-names", Choices())
    assert counts(layout, images(layout)["image_0001"]) == {"Bicyclist": 4, "Road": 1}
    assert counts(layout, images(layout)["image_0002"]) == {"Animal": 2, "Road": 1, "SignSymbol": 2}


def test_sample_of_camvid_with_lists() -> None:
    """Each colour of the reading is a class with as many pixels."""
    root = samples() / "camvid-lists" / "datumaro"
    layout = recognise(root, Choices())
    assert {split: len(files) for split, files in layout.splits.items()} == {"train": 1, "val": 1, "test": 2}
    assert layout.lists == root
    colors = dict(zip(layout.classes.names, layout.classes.palette, strict=True))
    for name, file in images(layout).items():
        (reading,) = (
            reading
            for mask, reading in readings(samples())["camvid-lists/datumaro"].items()
            if Path(mask).stem == name and "annot" in mask
        )
        found = {",".join(map(str, colors[key])): number for key, number in counts(layout, file).items()}
        assert found == reading["colours"]


def broken(root: Path, form: Callable[[Path], Form] = roboflow) -> Path:
    form(root)
    return root


def test_an_image_without_a_mask_and_a_mask_without_an_image(tmp_path: Path) -> None:
    root = broken(tmp_path / "a")
    (root / "train/street_001_mask.png").unlink()
    with pytest.raises(UserError, match=r"street_001.jpg: its mask .*street_001_mask.png is missing: add it"):
        recognise(root, Choices())
    root = broken(tmp_path / "b")
    (root / "train/street_001.jpg").unlink()
    with pytest.raises(UserError, match=r"street_001_mask.png: no image of this name in .*train: add it, or remove"):
        recognise(root, Choices())


def test_a_value_without_a_name(tmp_path: Path) -> None:
    root = broken(tmp_path)
    fabricate.save_mask(root / "train/street_002_mask.png", np.full((48, 64), 7, np.uint8))
    message = r"street_002_mask.png: the value 7 \(3072 pixels\) has no name in .*_classes.csv, which names 3 classes"
    with pytest.raises(UserError, match=message):
        recognise(root, Choices())


def test_two_images_of_one_stem(tmp_path: Path) -> None:
    write(tmp_path, "images/{stem}.jpg", "masks/{stem}.png")
    fabricate.save_image(tmp_path / "images/street_000.png", np.random.default_rng(0), (48, 64))
    with pytest.raises(UserError, match=r"street_000.png: street_000.jpg has the same name without its suffix"):
        recognise(tmp_path, Choices())


def test_classes_that_differ_between_splits(tmp_path: Path) -> None:
    root = broken(tmp_path)
    (root / "valid/_classes.csv").write_text("Pixel Value, Class\n0, background\n1, horse\n2, dog")
    with pytest.raises(UserError, match=r"_classes.csv: other classes than in .*_classes.csv: export all splits"):
        recognise(root, Choices())


def test_lines_that_name_no_image(tmp_path: Path) -> None:
    root = broken(tmp_path / "lists", lists)
    (root / "val.txt").write_text("images/street_004.jpg\nimages/street_999.jpg")
    with pytest.raises(UserError, match=r"val.txt: there is no image 'images/street_999.jpg' in the data set"):
        recognise(root, Choices())
    root = broken(tmp_path / "table", table)
    for line, message in {
        "images/street_000.jpg,masks/street_999.png,train": "there is no image 'masks/street_999.png'",
        "images/street_000.jpg,masks/street_000.png,fold7": "line 2: the split 'fold7' is none of train, val and test",
        "images/street_000.jpg,masks/street_000.png": "line 2 has 2 columns, the first line 3",
    }.items():
        (root / "data.csv").write_text(f"image,mask,split\n{line}\n")
        with pytest.raises(UserError, match=f"data.csv: {message}"):
            recognise(root, Choices())


def test_masks_as_jpeg_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "images/{stem}.jpg", "masks/{stem}.jpg", values=coloured)
    with pytest.raises(UserError, match=r"masks/street_000.jpg: a mask saved as JPG, which changes its values: export"):
        recognise(tmp_path, Choices())


def test_two_folders_of_masks(tmp_path: Path) -> None:
    write(tmp_path, "images/{stem}.jpg", "masks/{stem}.png")
    write(tmp_path, "images/{stem}.jpg", "labels/{stem}.png")
    with pytest.raises(UserError, match="images and masks may be images with labels and images with masks: write a cl"):
        recognise(tmp_path, Choices())


def test_test_images_without_masks_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, "{split}/images/{stem}.jpg", "{split}/masks/{stem}.png", splits=SPLIT_TWO)
    fabricate.save_image(tmp_path / "test/images/x.jpg", np.random.default_rng(0), (48, 64))
    layout = recognise(tmp_path, Choices())
    assert set(layout.splits) == {"train", "val"}
    assert "Left out: 1 test images without masks." in layout.remarks


SPLIT_TWO = {"train": ("street_000", "street_001"), "val": ("street_002",)}


def test_a_folder_of_images_alone_is_no_layout(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "c.png"):
        fabricate.save_image(tmp_path / name, np.random.default_rng(0), (8, 8))
    assert recognise_masks(tmp_path, Choices()) is None


def test_labels_of_turned_images(tmp_path: Path) -> None:
    """The mask of an image whose EXIF orientation turns it has to fit the turned image."""
    write(tmp_path, "images/{stem}.jpg", "masks/{stem}.png")
    for stem, size in (("street_000", (64, 48)), ("street_001", (48, 64))):
        image = Image.new("RGB", (64, 48))
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "images" / f"{stem}.jpg", exif=exif)
        save(tmp_path / "masks" / f"{stem}.png", np.resize([0, 1, 2], size).astype(np.uint8))
    layout = recognise(tmp_path, Choices())
    found = images(layout)
    assert layout.labels(found["street_000"]).shape == (64, 48)
    with pytest.raises(
        UserError, match=r"street_001.jpg: its EXIF orientation 6 turns it, but .* fits the image as it"
    ):
        layout.labels(found["street_001"])
