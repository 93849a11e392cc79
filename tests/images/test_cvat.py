"""Objects for CVAT: its own encoder writes the same run lengths, and what it reads of a bitmap are the same masks."""

import json
from itertools import groupby

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from seglight.errors import UserError
from seglight.images import cvat
from seglight.images.cvat import detections, polygons, run_lengths

NAMES = ("sky", "road", "tree", "car")
RING = np.array([[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 2, 1], [1, 1, 1, 1]], np.uint8)
CORNERS = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], np.uint8)
RNG = np.random.default_rng(0)

LABEL_MAPS = {
    "ring": RING,
    "corners": CORNERS,
    "one pixel": np.full((1, 1), 3, np.uint8),
    "one class": np.full((7, 5), 2, np.uint8),
    "noise": RNG.integers(0, 4, (23, 31), dtype=np.uint8),
    "smooth": ndimage.gaussian_filter(RNG.normal(size=(4, 61, 47)), (0, 3, 3)).argmax(0).astype(np.uint8),
    "row": RNG.integers(0, 2, (1, 40), dtype=np.uint8),
    "many classes": np.array([[0, 300], [300, 0]], np.int16),
}


def expected_objects(labels: NDArray[np.integer]) -> list[tuple[int, NDArray[np.bool_]]]:
    """Class and mask of each connected component, by SciPy."""
    found = []
    for category in np.unique(labels).tolist():
        parts, number = ndimage.label(labels == category, np.ones((3, 3)))
        found += [(category, parts == part) for part in range(1, number + 1)]
    return found


def painted(runs: list[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask of a shape's points, read number by number."""
    *lengths, left, top, right, bottom = runs
    pixels = [bool(turn % 2) for turn, length in enumerate(lengths) for _ in range(length)]
    mask = np.zeros(shape, bool)
    mask[top : bottom + 1, left : right + 1] = np.reshape(pixels, (bottom - top + 1, right - left + 1))
    return mask


def test_a_case_worked_by_hand() -> None:
    assert list(run_lengths(RING)) == [
        (0, [0, 3, 1, 1, 1, 2, 2]),
        (1, [0, 5, 2, 2, 2, 5, 0, 0, 3, 3]),
        (2, [0, 1, 2, 2, 2, 2]),
    ]
    assert list(run_lengths(CORNERS)) == [
        (0, [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 2, 2]),
        (1, [1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 2, 2]),
    ]
    assert list(polygons(RING))[2] == (2, [2, 2, 3, 2, 3, 3, 2, 3])
    assert json.loads(detections(RING, NAMES))[2] == {
        "confidence": None,
        "label": "tree",
        "type": "mask",
        "points": [2, 2, 3, 2, 3, 3, 2, 3],
        "mask": [1, 2, 2, 2, 2],
    }
    assert json.loads(detections(RING, NAMES))[0]["mask"] == [1, 1, 1, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("name", LABEL_MAPS)
def test_masks_are_the_connected_components(name: str) -> None:
    labels = LABEL_MAPS[name]
    found = {(category, painted(points, labels.shape).tobytes()) for category, points in run_lengths(labels)}
    assert found == {(category, mask.tobytes()) for category, mask in expected_objects(labels)}


@pytest.mark.parametrize("name", LABEL_MAPS)
def test_run_lengths_are_those_of_cvat(name: str) -> None:
    masks = pytest.importorskip("cvat_sdk.masks", reason="cvat-sdk is not installed")
    labels = LABEL_MAPS[name]
    expected = set()
    for category, mask in expected_objects(labels):
        rows, columns = mask.nonzero()
        box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        expected.add((category, *masks.encode_mask(mask, box)))
    assert {(category, *points) for category, points in run_lengths(labels)} == expected


@pytest.mark.parametrize("name", LABEL_MAPS)
def test_polygons_cover_their_objects(name: str) -> None:
    """Filled by the even-odd rule at the centres of pixels."""
    labels = LABEL_MAPS[name]
    found = set()
    for category, points in polygons(labels):
        assert len(points) >= 8
        assert points[:2] != points[-2:], "CVAT closes a polygon"
        found.add((category, even_odd(points, labels.shape).tobytes()))
    assert found == {(category, mask.tobytes()) for category, mask in expected_objects(labels)}


def even_odd(points: list[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centre has an odd number of edges to its left.

    Horizontal edges are not crossed, and those of cuts, which are passed in both directions, twice.
    """
    corners = list(zip(points[::2], points[1::2], strict=True))
    inside = np.zeros(shape, bool)
    for (x, y), (to_x, to_y) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if x == to_x:
            inside[min(y, to_y) : max(y, to_y), x:] ^= True
    return inside


@pytest.mark.parametrize("name", sorted(LABEL_MAPS.keys() - {"many classes"}))
def test_bitmaps_are_the_masks_of_the_run_lengths(name: str) -> None:
    """CVAT's server counts the runs of 0 and 1 of a bitmap, which gives the points of the shape that it stores."""
    labels = LABEL_MAPS[name]
    stored = []
    for found in json.loads(detections(labels, NAMES)):
        *bits, left, top, right, bottom = found["mask"]
        runs = [(bit, len(list(run))) for bit, run in groupby(bits)]
        counts = [0] * (runs[0][0] == 1) + [length for _, length in runs]
        stored.append((NAMES.index(found["label"]), [*counts, left, top, right, bottom]))
        assert found["type"] == "mask"
    assert stored == list(run_lengths(labels))
    assert [found["points"] for found in json.loads(detections(labels, NAMES))] == [
        points for _, points in polygons(labels)
    ]


def test_names_of_classes_are_escaped() -> None:
    names = ('a "b"', "Straße\n", "]}", "\\")
    found = json.loads(detections(np.arange(4, dtype=np.uint8).reshape(2, 2), names))
    assert [item["label"] for item in found] == list(names)


def test_bitmaps_of_nested_objects_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 20 rings around each other, each has a box of its own."""
    side = 40
    distance = np.minimum.outer(np.arange(side), np.arange(side))
    labels = (np.minimum(distance, distance[::-1, ::-1]) % 2).astype(np.uint8)
    boxes = sum(2 * (side - 2 * ring) ** 2 for ring in range(side // 2))
    monkeypatch.setattr(cvat, "MOST_BYTES", boxes)
    assert len(json.loads(detections(labels, NAMES))) == 20
    monkeypatch.setattr(cvat, "MOST_BYTES", boxes - 1)
    told = r"^an image of 40x40 \(height x width\) with 20 objects, whose boxes take 0 MB of bitmaps for CVAT: annotate"
    with pytest.raises(UserError, match=told):
        detections(labels, NAMES)
