"""VOC's layout with any classes, on the samples and in broken variants."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.voc import recognise_voc
from seglight.errors import UserError
from tests.support import fabricate
from tests.support.mask_layouts import cvat_masks, voc_palette
from tests.support.samples import readings, samples


def recognised(root: Path) -> Layout:
    layout = recognise_voc(root, Choices())
    assert layout is not None
    return layout


def counts(layout: Layout) -> dict[str, dict[str, int]]:
    """Pixels of each class, by stem of the image."""
    found = {}
    for files in layout.splits.values():
        for file in files:
            values, numbers = np.unique(layout.labels(file), return_counts=True)
            found[file.stem] = {layout.classes.names[v]: int(n) for v, n in zip(values, numbers, strict=True)}
    return found


def test_sample_of_cvat() -> None:
    """Masks are RGB in colours of labelmap.txt, and default.txt is no split."""
    root = samples() / "cvat-mask-1.1" / "facade-made"
    layout = recognised(root)
    assert (layout.form, layout.evidence) == ("CVAT segmentation mask 1.1", root / "labelmap.txt")
    assert set(layout.splits) == {"all"}
    assert len(layout.classes) == 11
    right = readings(samples())["cvat-mask-1.1/facade-made"]
    assert counts(layout) == {Path(name).stem: reading["pixels_by_colour"] for name, reading in right.items()}


def test_sample_of_palette_masks() -> None:
    root = samples() / "voc" / "facade-palette-made"
    layout = recognised(root)
    assert {split: [file.stem for file in files] for split, files in layout.splits.items()} == {
        "train": ["facade_c"],
        "val": ["facade_a", "facade_b"],
    }
    assert layout.lists == root / "ImageSets" / "Segmentation"
    names = (root / "class_names.txt").read_text().split()
    assert list(layout.classes.names) == names
    right = readings(samples())["voc/facade-palette-made"]
    assert counts(layout) == {
        Path(file).stem: {names[int(index)]: number for index, number in reading["index_pixels"].items()}
        for file, reading in right.items()
    }


def test_sample_in_colours_of_voc() -> None:
    """One of two images has a mask; (0, 128, 0) is the bicycle of VOC's palette."""
    layout = recognised(samples() / "voc" / "datumaro-voc")
    assert counts(layout) == {"2007_000001": {"bicycle": 200}}
    assert any("test.txt (1), which have no masks" in remark for remark in layout.remarks)


def test_vocs_own_folder_below_the_root(tmp_path: Path) -> None:
    """Its 21 classes, the border ignored, images of the lists only."""
    base = fabricate.voc(tmp_path / "VOCdevkit" / "VOC2012")
    fabricate.save_image(base / "JPEGImages" / "2007_999999.jpg", np.random.default_rng(0), (8, 8))
    layout = recognised(tmp_path)
    assert {split: len(files) for split, files in layout.splits.items()} == {"train": 4, "val": 3}
    assert layout.classes.names[15] == "person"
    for file in layout.splits["val"]:
        raw = fabricate.raw(base / "SegmentationClass" / f"{file.stem}.png")
        assert np.array_equal(layout.labels(file), raw)
    assert any("in none of the lists (1 of 8)" in remark for remark in layout.remarks)


def test_palettes_in_another_order_than_the_file_of_names(tmp_path: Path) -> None:
    """The index 1 has the colour of the second class: the colours decide."""
    root = tmp_path
    form = cvat_masks(root)
    for name, mask in form.maps.items():
        image = Image.fromarray(np.array([0, 2, 1], np.uint8)[mask])
        image.putpalette([0, 0, 0, 40, 200, 40, 200, 40, 40])
        image.save(root / "SegmentationClass" / f"{Path(name).stem}.png")
    layout = recognised(root)
    for file in layout.splits["all"]:
        assert np.array_equal(layout.labels(file), form.maps[file.name])


def test_folders_below_those_of_images_and_masks(tmp_path: Path) -> None:
    """CVAT keeps the folders of a task; names in the list contain them."""
    form = cvat_masks(tmp_path)
    for folder in ("JPEGImages", "SegmentationClass"):
        (tmp_path / folder / "north").mkdir()
        for path in [*(tmp_path / folder).glob("street_00[0-2].*")]:
            path.rename(tmp_path / folder / "north" / path.name)
    lines = [f"north/street_{k:03d}" if k < 3 else f"street_{k:03d}" for k in range(6)]
    (tmp_path / "ImageSets" / "Segmentation" / "default.txt").write_text("\n".join(lines))
    layout = recognised(tmp_path)
    assert len(layout.splits["all"]) == 6
    for file in layout.splits["all"]:
        assert np.array_equal(layout.labels(file), form.maps[file.name])


def test_void_of_the_label_map_is_ignored(tmp_path: Path) -> None:
    form = cvat_masks(tmp_path)
    path = tmp_path / "labelmap.txt"
    path.write_text(path.read_text().replace("dog:", "void:"))
    layout = recognised(tmp_path)
    assert layout.classes.names == ("background", "cat")
    assert "Pixels of void are ignored." in layout.remarks
    for file in layout.splits["all"]:
        assert np.array_equal(layout.labels(file), np.array([0, 1, 255], np.uint8)[form.maps[file.name]])


def test_a_colour_that_the_label_map_lacks(tmp_path: Path) -> None:
    cvat_masks(tmp_path)
    path = tmp_path / "labelmap.txt"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith("cat")))
    message = r"street_000.png: the colour \[200, 40, 40\] \(\d+ pixels\) is not in .*labelmap.txt: add it there"
    with pytest.raises(UserError, match=message):
        recognised(tmp_path)


def test_two_classes_of_one_colour(tmp_path: Path) -> None:
    cvat_masks(tmp_path)
    path = tmp_path / "labelmap.txt"
    path.write_text(path.read_text() + "horse:200,40,40::\n")
    with pytest.raises(UserError, match=r"labelmap.txt: cat and horse have the colour \[200, 40, 40\]"):
        recognised(tmp_path)


def test_missing_files(tmp_path: Path) -> None:
    voc_palette(tmp_path)
    mask = tmp_path / "SegmentationClass" / "street_001.png"
    mask.rename(tmp_path / "kept.png")
    with pytest.raises(UserError, match=r"street_001.jpg: its mask .*street_001.png is missing"):
        recognised(tmp_path)
    (tmp_path / "kept.png").rename(mask)
    (tmp_path / "JPEGImages" / "street_001.jpg").unlink()
    with pytest.raises(UserError, match=r"train.txt: there is no image 'street_001' in the data set"):
        recognised(tmp_path)
    (tmp_path / "JPEGImages").rename(tmp_path / "Pictures")
    with pytest.raises(UserError, match="there is no folder JPEGImages beside SegmentationClass"):
        recognised(tmp_path)


def test_another_layout(tmp_path: Path) -> None:
    assert recognise_voc(fabricate.folder(tmp_path), Choices()) is None
