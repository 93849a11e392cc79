"""Covers: data.layouts.image_index, data.layouts.painting, data.layouts.safe_xml, data.layouts.split_names."""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as rle

from seglight.data.layouts.cvat_images import recognise_cvat_images
from seglight.data.layouts.layout import Choices, Layout
from seglight.data.layouts.painting import Patch, box_corners, color_of, ellipse_corners, paint, polygon
from seglight.data.layouts.split_names import by_split, split_of
from seglight.errors import UserError
from tests.support.fabricate import save_image
from tests.support.layouts import (
    CVAT_META,
    SIZE,
    corners,
    cvat_image,
    cvat_images,
    cvat_polygon,
    cvat_xml,
    photographs,
)
from tests.support.samples import readings, samples


def read(root: Path, boxes: str = "ignore") -> Layout:
    layout = recognise_cvat_images(root, Choices("fill" if boxes == "fill" else "ignore"))
    assert layout is not None
    return layout


def one_image(root: Path, shapes: str, meta: str = CVAT_META, boxes: str = "ignore") -> tuple[Layout, np.ndarray]:
    """An export whose only image has these shapes, and its label map."""
    save_image(root / "images/a.png", np.random.default_rng(0), SIZE)
    (root / "annotations.xml").write_text(cvat_xml(cvat_image("a.png", shapes), meta))
    layout = read(root, boxes)
    return layout, layout.labels(root / "images/a.png")


def test_a_polygon_and_a_mask_by_z_order(tmp_path: Path) -> None:
    maps = cvat_images(tmp_path)
    layout = read(tmp_path)
    assert layout.classes.names == ("background", "cat", "dog")
    assert layout.classes.palette == ((0, 0, 0), (200, 40, 40), (40, 200, 40))
    assert list(layout.splits) == ["all"]
    assert not layout.remarks
    assert {image.name for image in layout.splits["all"]} == maps.keys()
    for image in layout.splits["all"]:
        np.testing.assert_array_equal(layout.labels(image), maps[image.name])


def test_real_polygons_and_masks() -> None:
    root = samples() / "cvat-images-1.1/facade-made"
    layout = read(root)
    right = readings(samples())["cvat-images-1.1/facade-made"]
    for image in layout.splits["all"]:
        mask = layout.labels(image)
        values, counts = np.unique(mask, return_counts=True)
        found = {layout.classes.names[value]: int(count) for value, count in zip(values, counts, strict=True)}
        expected = right[image.name]["painted_in_z_order_pixels"]
        assert found.keys() == expected.keys()
        # the reading is of the polygons before they were written with two decimals, which moves 20 pixels of 26373
        assert max(abs(found[name] - expected[name]) for name in found) <= (20 if image.name == "facade_a.jpg" else 0)
        np.testing.assert_array_equal(mask, painted(root / "annotations.xml", image.name, layout.classes.names))


def painted(path: Path, name: str, names: tuple[str, ...]) -> np.ndarray:
    """The label map by ElementTree and pycocotools, without our code."""
    image = next(element for element in ET.parse(path).getroot().iter("image") if element.get("name") == name)
    height, width = int(image.attrib["height"]), int(image.attrib["width"])
    mask = np.zeros((height, width), np.uint8)
    for shape in sorted(image, key=lambda element: int(element.attrib["z_order"])):
        if shape.tag == "polygon":
            points = [float(value) for value in shape.attrib["points"].replace(";", ",").split(",")]
            pixels = rle.decode(rle.frPyObjects([points], height, width))[..., 0]
        else:
            pixels = np.zeros_like(mask)
            left, top, across, down = (int(shape.attrib[key]) for key in ("left", "top", "width", "height"))
            flat = [k % 2 for k, run in enumerate(shape.attrib["rle"].split(", ")) for _ in range(int(run))]
            pixels[top : top + down, left : left + across] = np.reshape(flat, (down, across))
        mask[pixels == 1] = names.index(shape.attrib["label"])
    return mask


@pytest.mark.parametrize("folder", ["datumaro-task", "cvat-datumaro"])
def test_real_exports_with_boxes_and_empty_labels(folder: str) -> None:
    root = samples() / "cvat-images-1.1" / folder
    layout = read(root)
    assert list(layout.splits) == ["train"]  # train.xml
    assert layout.classes.names == ("background", "label1", "label2")
    first, second = (layout.labels(image) for image in layout.splits["train"])
    box = np.zeros((8, 8), np.uint8)
    box[2:4, 0:4] = 255
    np.testing.assert_array_equal(first, box)
    assert set(np.unique(second)) == {0, 255}
    assert "Shapes with an empty label, whose pixels are ignored: 1." in layout.remarks
    assert any("points (1), polylines (1)" in remark for remark in layout.remarks)
    filled = read(root, "fill")
    np.testing.assert_array_equal(filled.labels(filled.splits["train"][0]), box // 255)


def test_ignored_boxes_lie_behind_other_shapes_and_filled_ones_in_their_order(tmp_path: Path) -> None:
    shapes = cvat_polygon("cat", corners(4, 4, 20, 20)) + (
        '<box label="dog" xtl="10.00" ytl="10.00" xbr="30.00" ybr="30.00" z_order="3"></box>'
    )
    layout, mask = one_image(tmp_path, shapes)
    expected = np.zeros(SIZE, np.uint8)
    expected[10:30, 10:30] = 255
    expected[4:20, 4:20] = 1
    np.testing.assert_array_equal(mask, expected)
    assert "Boxes without an outline: 1; their pixels are ignored, except those of other shapes." in layout.remarks

    _, mask = one_image(tmp_path, shapes, boxes="fill")
    expected[10:30, 10:30] = 2
    np.testing.assert_array_equal(mask, expected)


def test_rotated_boxes_and_ellipses() -> None:
    assert np.allclose(box_corners(2, 4, 6, 2, 90), [6, 2, 6, 8, 4, 8, 4, 2])  # clockwise about (5, 5)
    assert np.allclose(box_corners(2, 4, 6, 2, 90, (2, 4)), [2, 4, 2, 10, 0, 10, 0, 4])
    pixels = polygon(ellipse_corners(30, 20, 12, 6), SIZE)
    y, x = np.indices(SIZE) + 0.5
    inside = ((x - 30) / 12) ** 2 + ((y - 20) / 6) ** 2
    assert pixels[inside < 0.8].all()
    assert not pixels[inside > 1.2].any()
    upright = polygon(ellipse_corners(30, 20, 6, 12), SIZE)
    assert np.count_nonzero(upright != polygon(ellipse_corners(30, 20, 12, 6, 90), SIZE)) <= 8


def test_an_ellipse(tmp_path: Path) -> None:
    _, mask = one_image(tmp_path, '<ellipse label="dog" cx="30.0" cy="20.0" rx="12.0" ry="6.0" z_order="0"></ellipse>')
    np.testing.assert_array_equal(mask == 2, polygon(ellipse_corners(30, 20, 12, 6), SIZE))


def test_patches_are_cut_off_at_the_border() -> None:
    full = np.ones((3, 3), bool)
    mask = paint(
        (4, 5), [Patch(1, full, -1, -2), Patch(2, full, 4, 3), Patch(3, full, 9, 9), Patch(4, full, -5, -5)], 5
    )
    np.testing.assert_array_equal(mask, [[1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 2]])


def test_images_by_subset_with_paths_and_missing_ones(tmp_path: Path) -> None:
    for name in ("images/cam1/0.jpg", "images/cam2/0.jpg", "images/1.jpg"):
        save_image(tmp_path / name, np.random.default_rng(0), SIZE)
    cat = cvat_polygon("cat", corners(1, 1, 9, 9))
    images = cvat_image("cam1/0.jpg", cat, "Train") + cvat_image("upload/cam2/0.jpg", "", "Validation")
    images += cvat_image("C:\\data\\1.jpg", cat, "default") + cvat_image("gone.jpg", cat, "Test")
    (tmp_path / "annotations.xml").write_text(cvat_xml(images))
    layout = read(tmp_path)
    assert layout.splits == {
        "train": [tmp_path / "images/cam1/0.jpg", tmp_path / "images/1.jpg"],
        "val": [tmp_path / "images/cam2/0.jpg"],
    }
    assert layout.remarks == [
        "Images of annotations.xml that were not found and are left out: 1.",
        "Images without a split among others that have one: 1; they are training images.",
        "Images without a shape, which are background: 1.",
    ]


@pytest.mark.parametrize("name", ["Tür.JPG", "Tu\u0308r.png", "x/Tür"])
def test_names_of_another_suffix_or_with_decomposed_letters(tmp_path: Path, name: str) -> None:
    save_image(tmp_path / "images/Tür.jpg", np.random.default_rng(0), SIZE)
    (tmp_path / "annotations.xml").write_text(cvat_xml(cvat_image(name, cvat_polygon("cat", corners(1, 1, 9, 9)))))
    assert read(tmp_path).splits == {"all": [tmp_path / "images/Tür.jpg"]}


def test_images_of_two_subsets_with_one_name(tmp_path: Path) -> None:
    for subset in ("Train", "Validation"):
        save_image(tmp_path / "images" / subset / "0.jpg", np.random.default_rng(0), SIZE)
    cat, dog = (cvat_polygon(label, corners(1, 1, 9, 9)) for label in ("cat", "dog"))
    images = cvat_image("0.jpg", cat, "Train") + cvat_image("0.jpg", dog, "Validation")
    (tmp_path / "annotations.xml").write_text(cvat_xml(images))
    layout = read(tmp_path)
    assert layout.splits == {
        "train": [tmp_path / "images/Train/0.jpg"],
        "val": [tmp_path / "images/Validation/0.jpg"],
    }
    assert layout.labels(tmp_path / "images/Validation/0.jpg")[5, 5] == 2


def test_several_files(tmp_path: Path) -> None:
    for split in ("train", "val"):
        save_image(tmp_path / split / "images/0.jpg", np.random.default_rng(0), SIZE)
        shape = cvat_polygon("cat" if split == "train" else "dog", corners(1, 1, 9, 9))
        (tmp_path / split / "annotations.xml").write_text(cvat_xml(cvat_image("0.jpg", shape)))
    layout = read(tmp_path)
    assert layout.splits == {split: [tmp_path / split / "images/0.jpg"] for split in ("train", "val")}
    assert layout.labels(tmp_path / "val/images/0.jpg")[5, 5] == 2


def test_labels_that_cover_no_area_are_no_classes(tmp_path: Path) -> None:
    meta = CVAT_META.replace(
        "</labels>",
        "<label><name>body</name><type>skeleton</type></label>"
        "<label><name>1</name><type>points</type><parent>body</parent></label></labels>",
    )
    layout, _ = one_image(tmp_path, cvat_polygon("cat", [(1, 1), (9, 9)]), meta)
    assert layout.classes.names == ("background", "cat", "dog")
    assert "Left out because they cover no area: polygons of fewer than three points (1)." in layout.remarks


def test_a_label_of_the_name_background_and_a_file_without_labels(tmp_path: Path) -> None:
    shapes = cvat_polygon("dog", corners(1, 1, 30, 30)) + cvat_polygon("Background", corners(5, 5, 9, 9))
    layout, mask = one_image(tmp_path, shapes, meta="")
    assert layout.classes.names == ("background", "dog")
    assert (mask[5:9, 5:9] == 0).all()
    assert mask[4, 4] == 1


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (cvat_polygon("cow", corners(1, 1, 9, 9)), "the label 'cow' of a polygon in a.png is not among the labels"),
        ('<blob label="cat"></blob>', "a.png has a shape of the unknown kind <blob>"),
        ('<mask label="cat" rle="0, 5" left="0" top="0" width="2" height="2"></mask>', "runs of 5 pixels in a mask"),
        ('<mask label="cat" rle="0, x" left="0" top="0" width="2" height="2"></mask>', "a shape of a.png can't be"),
        ('<mask label="cat" rle="-1, 5" left="0" top="0" width="2" height="2"></mask>', "a shape of a.png can't be"),
        ('<polygon label="cat" points="1,1;2,nan;3,3"></polygon>', "a shape of a.png can't be painted"),
        ('<polygon label="cat" points="1,1;2,2;3,3" z_order="top"></polygon>', "z_order 'top'"),
        ('<ellipse label="cat" cx="1"></ellipse>', "a shape of a.png can't be painted"),
    ],
)
def test_broken_shapes_are_one_line(tmp_path: Path, shapes: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        one_image(tmp_path, shapes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (cvat_xml(2 * cvat_image("a.png", "")), "the image a.png is listed twice"),
        (cvat_xml(cvat_image("b.png", "")), "none of its 1 images, such as 'b.png', was found below"),
        (cvat_xml(cvat_image("a.png", "") + cvat_image("x/a.png", "")), "a.png and x/a.png are both the image"),
        (cvat_xml('<image name="a.png"></image>'), "an <image> without a name, width or height"),
        (cvat_xml('<track id="0" label="cat"></track>'), "tracks of a video"),
        ("<annotations><image>", "not readable as XML"),
        (cvat_xml(cvat_image("a.png", ""), meta=""), "0 classes beside the background"),
        ('<!DOCTYPE a [<!ENTITY b "bb">]><annotations>&b;</annotations>', "it has a document type"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><annotations></annotations>', "it has a document type"),
    ],
)
def test_broken_files_are_one_line(tmp_path: Path, text: str, message: str) -> None:
    photographs(tmp_path / "images")
    save_image(tmp_path / "images/a.png", np.random.default_rng(0), SIZE)
    (tmp_path / "annotations.xml").write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        recognise_cvat_images(tmp_path, Choices())
    assert "\n" not in str(caught.value)


def test_other_xml_is_of_another_layout(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text("<annotation><object></object></annotation>")
    assert recognise_cvat_images(tmp_path, Choices()) is None


def test_ambiguous_images_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_image(tmp_path / folder / "0.jpg", np.random.default_rng(0), SIZE)
    (tmp_path / "annotations.xml").write_text(cvat_xml(cvat_image("0.jpg", "")))
    with pytest.raises(UserError, match=r"the image 0.jpg can be .*a/0.jpg or .*b/0.jpg"):
        read(tmp_path)


def test_links_and_files_of_macos_are_no_further_images(tmp_path: Path) -> None:
    save_image(tmp_path / "a/0.jpg", np.random.default_rng(0), SIZE)
    (tmp_path / "a/._0.jpg").write_bytes(b"\0\5\x16\7")
    (tmp_path / "copy/b").mkdir(parents=True)
    (tmp_path / "copy/b/0.jpg").hardlink_to(tmp_path / "a/0.jpg")
    (tmp_path / "annotations.xml").write_text(cvat_xml(cvat_image("0.jpg", cvat_polygon("cat", corners(1, 1, 9, 9)))))
    assert read(tmp_path).splits == {"all": [tmp_path / "a/0.jpg"]}


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Training", "train"),
        ("train-00000-of-00002", "train"),
        ("valid", "val"),
        ("instances_val2017", "val"),
        ("VALIDATION", "val"),
        ("test_set_1", "test"),
        ("default", None),
        ("trainstation", None),
    ],
)
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_images_by_split() -> None:
    a, b = Path("a"), Path("b")
    assert by_split([(None, a), (None, b)]) == ({"all": [a, b]}, [])
    assert by_split([("test", a), ("train", b)]) == ({"train": [b], "test": [a]}, [])


def test_colours() -> None:
    assert color_of("#fa3253") == (250, 50, 83)
    assert color_of("#f05") == (255, 0, 85)
    assert color_of("red") is None
    assert color_of(None) is None
