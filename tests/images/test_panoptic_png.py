"""Panoptic PNGs and their JSON, read by the published code of cityscapesscripts (rgb2id, and its evaluation)."""

import json
from pathlib import Path

import numpy as np
import pytest
from cityscapesscripts.evaluation.evalPanopticSemanticLabeling import pq_compute_single_core, rgb2id
from PIL import Image

from seglight.errors import UserError
from seglight.images.panoptic_png import PanopticFile, read_ids, write_ids


def test_ids_are_colours(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 2**24, (7, 9), dtype=np.int32)
    ids[0, :3] = 0, 255, 2**24 - 1
    write_ids(tmp_path / "a.png", ids)
    np.testing.assert_array_equal(rgb2id(np.array(Image.open(tmp_path / "a.png"))), ids)
    np.testing.assert_array_equal(read_ids(tmp_path / "a.png"), ids)


def test_transparent_pixels_are_refused(tmp_path: Path) -> None:
    pixels = np.full((3, 4, 4), 255, np.uint8)
    pixels[..., :3] = (1, 2, 0)
    Image.fromarray(pixels).save(tmp_path / "ids.png")
    assert (read_ids(tmp_path / "ids.png") == 1 + 2 * 256).all()
    pixels[0, 0, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "ids.png")
    with pytest.raises(UserError, match=r"ids\.png: transparent pixels"):
        read_ids(tmp_path / "ids.png")


def test_a_grey_image_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="an image of mode L, where the colours of a panoptic PNG"):
        read_ids(tmp_path / "a.png")


def test_files_are_those_of_the_published_evaluation(tmp_path: Path) -> None:
    """Scored against themselves, all segments match."""
    ids = np.zeros((20, 30), np.int32)
    ids[2:9, 3:11], ids[10:, 20:], ids[5:7, 15:] = 1, 3, 4
    file = PanopticFile(["ground", "cat", "dog"], things=[1, 2])
    file.add("a.jpg", "a.png", ids, [1, 0, 0, 2], [0.5, 0.1, 0.9, 1 / 3])
    write_ids(tmp_path / "a.png", ids)
    file.write(tmp_path / "panoptic.json")
    found = json.loads((tmp_path / "panoptic.json").read_text())
    assert found["categories"][1] == {"id": 2, "name": "cat", "isthing": 1}
    assert found["images"] == [{"id": 1, "file_name": "a.jpg", "height": 20, "width": 30}]
    (annotation,) = found["annotations"]
    assert [(each["id"], each["category_id"], each["area"], each["bbox"]) for each in annotation["segments_info"]] == [
        (1, 2, 56, [3, 2, 8, 7]),
        (3, 1, 100, [20, 10, 10, 10]),
        (4, 3, 30, [15, 5, 15, 2]),
    ]
    assert annotation["segments_info"][2]["score"] == 0.333333
    categories = {each["id"]: each for each in found["categories"]}
    counts = pq_compute_single_core(0, [(annotation, annotation)], str(tmp_path), str(tmp_path), categories)
    assert {label: (each.tp, each.fp, each.fn, each.iou) for label, each in counts.pq_per_cat.items()} == {
        2: (1, 0, 0, 1), 1: (1, 0, 0, 1), 3: (1, 0, 0, 1),
    }  # fmt: skip
