import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools import mask as coco

from seglight.commands.serve.label_studio.labelling import Plan, Target
from seglight.commands.serve.label_studio.regions import regions_json
from seglight.images.brush import brush_pixels
from tests.support.known_labels import Predicted


def regions(labels: NDArray[Any], *targets: Target) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(regions_json(Predicted(labels), Plan("image", targets)))
    return found


def brush(label: str, *classes: int) -> Target:
    return Target("brushlabels", "brush", "photo", label, classes)


def polygon(label: str, *classes: int) -> Target:
    return Target("polygonlabels", "outline", "photo", label, classes)


def painted(region: dict[str, Any]) -> NDArray[np.bool_]:
    """The pixels of a region, as Label Studio paints it."""
    size = (region["original_height"], region["original_width"])
    if region["type"] == "brushlabels":
        return brush_pixels(bytes(region["value"]["rle"]), *size)
    points = np.array(region["value"]["points"]) * size[::-1] / 100
    merged: NDArray[np.bool_] = coco.decode(coco.frPyObjects([points.ravel().tolist()], *size))[..., 0] > 0
    return merged


def test_a_brush_stroke_for_each_label() -> None:
    labels = np.array([[0, 1, 1], [2, 1, 0]], np.uint8)
    first, second = regions(labels, brush("road", 1), brush("car", 2), brush("tree", 3))
    value = first.pop("value")
    assert first == {
        "id": "brushlabels-0",
        "type": "brushlabels",
        "from_name": "brush",
        "to_name": "photo",
        "original_width": 3,
        "original_height": 2,
        "image_rotation": 0,
    }
    assert value.keys() == {"format", "rle", "brushlabels"}
    assert value["brushlabels"] == ["road"]
    assert painted({**first, "value": value}).tolist() == [[False, True, True], [False, True, False]]
    assert second["value"]["brushlabels"] == ["car"]
    assert painted(second).tolist() == [[False, False, False], [True, False, False]]


def test_a_label_of_several_classes() -> None:
    labels = np.array([[0, 1, 300]], np.int16)
    (region,) = regions(labels, brush("thing", 1, 300))
    assert painted(region).tolist() == [[False, True, True]]


def test_a_polygon_worked_by_hand() -> None:
    labels = np.zeros((4, 5), np.uint8)
    labels[1:3, 2:5] = 3
    (region,) = regions(labels, polygon("car", 3))
    assert region["value"]["polygonlabels"] == ["car"]
    assert region["value"]["closed"] is True
    # columns 2 to 5 of 5, rows 1 to 3 of 4
    corners = [[40.0, 25.0], [100.0, 25.0], [100.0, 75.0], [40.0, 75.0]]
    points = region["value"]["points"]
    assert sorted(points) == sorted(corners)
    start = corners.index(points[0])
    assert points == corners[start:] + corners[:start]


@pytest.mark.parametrize("form", [brush, polygon])
def test_regions_cover_exactly_their_pixels(form: Any) -> None:
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 4, (9, 11)), np.ones((3, 3))).astype(np.uint8)
    labels[10, 12] = 2  # a hole, or part of an object
    found = regions(labels, form("a", 1), form("b", 2, 3))
    assert len({region["id"] for region in found}) == len(found)
    for label, classes in (("a", (1,)), ("b", (2, 3))):
        masks = [painted(region) for region in found if region["value"][region["type"]] == [label]]
        np.testing.assert_array_equal(np.sum(masks, axis=0), np.isin(labels, classes))  # nothing twice


def test_no_label_occurs() -> None:
    labels = np.zeros((3, 3), np.uint8)
    assert regions(labels, brush("road", 1), polygon("car", 2)) == []


def test_polygons_and_brushes_together() -> None:
    labels = np.array([[1, 1, 0, 2], [1, 0, 0, 2]], np.uint8)
    found = regions(labels, brush("road", 1), polygon("car", 2))
    assert [(region["id"], region["from_name"]) for region in found] == [
        ("brushlabels-0", "brush"),
        ("polygonlabels-1", "outline"),
    ]
    np.testing.assert_array_equal(painted(found[1]), labels == 2)
