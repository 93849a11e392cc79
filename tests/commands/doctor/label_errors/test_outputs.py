"""Files of suspected regions, as tools read them.

Covers: commands.doctor.label_errors.coco, commands.doctor.label_errors.labelme, commands.doctor.label_errors.page,
commands.doctor.label_errors.report.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pycocotools.coco import COCO

from seglight.commands.doctor.label_errors.coco import write_coco
from seglight.commands.doctor.label_errors.confidence import ClassConfidence
from seglight.commands.doctor.label_errors.held_out import HeldOut
from seglight.commands.doctor.label_errors.judge import ImageScore, Judged
from seglight.commands.doctor.label_errors.labelme import write_labelme
from seglight.commands.doctor.label_errors.page import brightened, crops_of, write_page
from seglight.commands.doctor.label_errors.region import Box, Region, packed, packed_labels
from seglight.commands.doctor.label_errors.report import Judgement, as_dict, show
from seglight.data.layouts.labelme_shapes import ShapeCodec
from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from seglight.system.terminal import plain_console
from tests.support.judging import InMemory

NAMES = ("road", "car", "<script>alert(1)</script>")
SIZE = (40, 60)


def ring() -> NDArray[np.bool_]:
    """A region of 12 x 10 pixels with a hole and a corner that is missing."""
    inside = np.ones((10, 12), bool)
    inside[3:6, 4:8] = False
    inside[0, 0] = False
    return inside


def region(image: str, x: int, y: int, score: float, index: int = 0, suggested: int = 1) -> Region:
    inside = ring()
    box = Box(x, y, 12, 10)
    seen = box.grown(5, SIZE)
    says = packed_labels(np.full((seen.height, seen.width), suggested, np.uint8))
    pixels = int(inside.sum())
    return Region(index, image, SIZE, 0, suggested, pixels, box, score, 0.9, 0.02, packed(inside), seen, says)


def placed(x: int, y: int) -> NDArray[np.bool_]:
    whole = np.zeros(SIZE, bool)
    whole[y : y + 10, x : x + 12] = ring()
    return whole


def test_coco_json_has_exact_pixels(tmp_path: Path, capsys: object) -> None:
    regions = [region("a.png", 3, 4, 5.0), region("b.png", 0, 0, 4.0, suggested=2), region("a.png", 48, 30, 3.0)]
    write_coco(tmp_path / "coco.json", regions, NAMES)
    coco = COCO(str(tmp_path / "coco.json"))
    assert [coco.cats[k]["name"] for k in (1, 2, 3)] == list(NAMES)
    assert [image["file_name"] for image in coco.loadImgs([1, 2])] == ["a.png", "b.png"]
    annotations = coco.loadAnns([1, 2, 3])
    assert [(one["image_id"], one["category_id"], one["score"]) for one in annotations] == [
        (1, 2, 5.0), (2, 3, 4.0), (1, 2, 3.0),
    ]  # fmt: skip
    for one, own in zip(annotations, regions, strict=True):
        np.testing.assert_array_equal(coco.annToMask(one).astype(bool), placed(own.box.x, own.box.y))
        assert one["bbox"] == list(own.box)
        assert one["area"] == own.pixels == coco.annToMask(one).sum()
        assert one["attributes"]["labelled"] == "road"


class Files(InMemory):
    """Images in files, and one that is none."""

    folder: Path

    def sources(self, index: int) -> tuple[Path, ...]:
        return (self.folder / f"{index}" / "same.png",) if index < 2 else ()


def test_labelme_files_are_read_by_the_data_module_of_labelme(tmp_path: Path) -> None:
    split = Files([np.zeros(SIZE, np.uint8)] * 3)
    object.__setattr__(split, "folder", tmp_path / "images")
    for index in range(2):
        (tmp_path / "images" / str(index)).mkdir(parents=True)
        Image.fromarray(split.read(index)[0]).save(split.sources(index)[0])
    regions = [region("x", 3, 4, 5.0), region("y", 48, 30, 4.0, 1), region("x", 20, 20, 3.0, suggested=2)]
    out = tmp_path / "out"
    assert write_labelme(out, [*regions, region("z", 0, 0, 1.0, 2)], NAMES, split) == 1
    files = sorted(out.iterdir())
    assert [path.name for path in files] == ["same.json", "same_1.json"]
    mask = ShapeCodec(NAMES).read(files[0])
    np.testing.assert_array_equal(mask == 1, placed(3, 4))
    np.testing.assert_array_equal(mask == 2, placed(20, 20))
    np.testing.assert_array_equal(ShapeCodec(NAMES).read(files[1]) == 1, placed(48, 30))
    content = json.loads(files[0].read_text())
    # keys of a file of LabelMe 5.5 and of its shapes
    assert set(content) == {"version", "flags", "shapes", "imagePath", "imageData", "imageHeight", "imageWidth"}
    assert (out / content["imagePath"]).resolve() == split.sources(0)[0]
    assert set(content["shapes"][0]) == {
        "label", "points", "group_id", "description", "shape_type", "flags", "mask",
    }  # fmt: skip
    found = recognise(tmp_path, Choices())
    assert found.form == "LabelMe JSON"


def judgement(regions: list[Region]) -> Judgement:
    confidence = ClassConfidence(3)
    confidence.sums[:2] = confidence.sums.new_tensor([900.0, 40.0])
    confidence.counts[:2] = confidence.counts.new_tensor([1000, 50])
    contradictions = np.zeros((3, 3), np.int64)
    contradictions[0, 1] = 119
    contradictions[1, 0] = 7
    images = [ImageScore(0, "a.png", 0.25, 119, 1000), ImageScore(1, "b.png", 0.75, 7, 50)]
    judged = Judged(2, confidence, contradictions, images, regions, 12)
    return Judgement(["best.ckpt"], "val", NAMES, HeldOut(2, 3), judged, ["Another remark."])


def test_the_report_as_plain_values() -> None:
    found = as_dict(judgement([region("a.png", 3, 4, 5.0)]))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["images"], found["pixels"], found["issue_pixels"]) == (2, 1050, 126)
    assert [one["threshold"] for one in found["classes"]] == [0.9, 0.8, None]
    assert [one["issue_pixels"] for one in found["classes"]] == [119, 7, 0]
    assert found["pairs"] == [
        {"labelled": "road", "suggested": "car", "pixels": 119},
        {"labelled": "car", "suggested": "road", "pixels": 7},
    ]
    assert found["ranked_images"][0] == {"image": "a.png", "score": 0.25, "issue_pixels": 119, "pixels": 1000}
    (own,) = found["regions"]
    assert (own["rank"], own["labelled"], own["suggested"], own["box"]) == (1, "road", "car", [3, 4, 12, 10])
    assert found["trained_on"] == 2
    assert found["remarks"][0].startswith("The net was trained on 2 of these 3 images")
    assert found["remarks"][1] == "Another remark."


def test_printed_lines_have_whole_names_at_any_width(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    image = "images/val/2016_05_a_long_drive/0016E5_08139_left.png"
    names = ("a class with a long name", "pedestrian\nin a hurry", "bicyclist")
    show(plain_console(), replace(judgement([region(image, 3, 4, 100.14), region("b.png", 48, 30, 5.0)]), names=names))
    lines = capsys.readouterr().out.splitlines()
    what = "labelled a class with a long name, found pedestrian\\nin a hurry"
    assert lines[1] == f"   1  {image} at 3, 4: {what}, 107 pixels, score 100.14"
    assert lines[2] == f"   2  b.png at 48, 30: {what}, 107 pixels, score 5.00, at the border of the image"
    assert f"  {what}: 119 pixels" in lines


def test_the_page_shows_each_region_and_runs_nothing(tmp_path: Path) -> None:
    split = InMemory([np.zeros(SIZE, np.uint8)] * 2)
    regions = [region('"><img src=x onerror=alert(1)>', 3, 4, 5.0), region("b.png", 48, 30, 3.0, 1, 2)]
    write_page(tmp_path / "labels.html", judgement(regions), split, [(0, 0, 0), (200, 0, 0), (0, 0, 200)])
    text = (tmp_path / "labels.html").read_text()
    assert "<script" not in text
    assert "<img src=x" not in text
    assert text.count("data:image/") == 2
    assert "trained on 2 of these 3 images" in text
    assert "&lt;script&gt;alert(1)" in text
    assert text.count("score 3.00, at the border of the image") == 1
    assert "score 5.00<" in text
    assert "no upper bound" in text, "what a score is"
    assert "in the folder labelme beside this page" in text, "what to do next"


def test_dark_crops_are_brightened_by_one_factor() -> None:
    dark = np.full((4, 4, 3), (40, 20, 10), np.uint8)
    np.testing.assert_array_equal(brightened(dark), np.full((4, 4, 3), (160, 80, 40), np.uint8))
    bright = np.full((4, 4, 3), (240, 20, 10), np.uint8)
    np.testing.assert_array_equal(brightened(bright), bright)
    np.testing.assert_array_equal(brightened(np.full((2, 2, 3), 115, np.uint8)), np.full((2, 2, 3), 230, np.uint8))


def test_crops_show_image_labels_and_prediction_with_the_region_outlined() -> None:
    mask = np.zeros(SIZE, np.uint8)
    palette = [(0, 0, 0), (200, 0, 0), (0, 0, 200)]
    own = region("a.png", 20, 15, 5.0)
    image, labels, net = crops_of(own, InMemory([mask]), palette)
    assert image.shape == labels.shape == net.shape
    assert image.shape[0] % own.seen.height == image.shape[1] % own.seen.width == 0
    factor = image.shape[0] // own.seen.height
    inside = slice(int(2.5 * factor + 5 * factor), int(8.5 * factor)), slice(6 * factor, 7 * factor)
    assert (labels[inside] == 0).all()
    assert (net[inside] == (100, 0, 0)).all()
    assert (image == 255).all(-1).any()
