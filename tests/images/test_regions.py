"""Regions of label maps by bands of rows, against GDAL's polygons of the whole (rasterio.features.shapes)."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.errors import UserError
from seglight.images import regions
from seglight.images.regions import outlined

features = pytest.importorskip("rasterio.features")

IGNORED = 255

Ring = list[tuple[int, int]]


def found(
    labels: NDArray[Any], rows: int, areas: NDArray[np.float64] | None = None
) -> Iterator[tuple[int, float, list[Ring]]]:
    """Class, area and rings of each region of a label map that comes `rows` rows at a time."""
    height, width = labels.shape
    bands = (labels[top : top + rows] for top in range(0, height, rows))
    for part in outlined(bands, width, IGNORED, np.ones(height) if areas is None else areas, lambda _: None):
        rings = iter(np.split(part.corners, np.cumsum(part.lengths)[:-1]))
        for label, area, count in zip(part.labels, part.areas, part.rings, strict=True):
            yield int(label), float(area), [[(x, y) for x, y in next(rings).tolist()] for _ in range(count)]


def signed_area(ring: Ring) -> float:
    """Positive if the ring is clockwise where rows go down."""
    return sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, ring[1:] + ring[:1], strict=True)) / 2


def canonical(ring: Ring) -> tuple[tuple[int, int], ...]:
    """The same ring from its least corner, in the direction of its lesser neighbour."""
    place = ring.index(min(ring))
    turned = ring[place:] + ring[:place]
    return tuple(turned if turned[1] < turned[-1] else turned[:1] + turned[:0:-1])


def polygon(label: int, rings: list[Ring]) -> Any:
    return label, canonical(rings[0]), sorted(map(canonical, rings[1:]))


def label_map(seed: int) -> NDArray[np.uint8]:
    """Noise, noise with holes of no data, or one class with many holes."""
    random = np.random.default_rng(seed)
    size = random.integers(1, 15, 2)
    if seed % 3 == 0:
        return (random.random(size) < 0.7).astype(np.uint8)
    labels = random.integers(0, random.integers(2, 5), size, dtype=np.uint8)
    if seed % 3 == 1:
        labels[random.random(size) < 0.2] = IGNORED
    return labels


@pytest.mark.parametrize("corners", [1, 1 << 20])
def test_polygons_are_those_of_gdal(monkeypatch: pytest.MonkeyPatch, corners: int) -> None:
    monkeypatch.setattr(regions, "CORNERS", corners)
    for seed in range(45):
        labels = label_map(seed)
        expected = [
            polygon(int(value), [[(int(x), int(y)) for x, y in ring[:-1]] for ring in shape["coordinates"]])
            for shape, value in features.shapes(labels)
            if value != IGNORED
        ]
        for rows in (1, 3, len(labels)):
            assert sorted(polygon(label, rings) for label, _, rings in found(labels, rows)) == sorted(expected)


def test_rings_are_simple_and_turn_the_right_way() -> None:
    for seed in range(30):
        for _, area, rings in found(label_map(seed), 2):
            assert signed_area(rings[0]) < 0, "counterclockwise on a map, whose y goes up"
            assert all(signed_area(ring) > 0 for ring in rings[1:])
            assert -sum(map(signed_area, rings)) == area
            assert all(len(set(ring)) == len(ring) for ring in rings), "no ring touches itself"


def test_polygons_cover_what_they_are_made_from() -> None:
    random = np.random.default_rng(0)
    labels = (random.random((40, 30)).repeat(7, 0).repeat(5, 1) * 4).astype(np.uint8)
    labels[100:120, 40:90] = IGNORED
    shapes = [
        ({"type": "Polygon", "coordinates": [ring + ring[:1] for ring in rings]}, label)
        for label, _, rings in found(labels, 13)
    ]
    assert np.array_equal(features.rasterize(shapes, labels.shape, fill=IGNORED), labels)


def test_areas_are_those_of_the_rows() -> None:
    labels = np.array([[0, 0, 1], [0, 1, 1], [255, 2, 2]], np.uint8)
    assert sorted((label, area) for label, area, _ in found(labels, 1, np.array([1.0, 10.0, 100.0]))) == [
        (0, 1 + 1 + 10),
        (1, 1 + 10 + 10),
        (2, 200),
    ]


def test_labels_of_16_bits() -> None:
    labels = np.array([[1000, 1000], [3, 65535]], np.uint16)
    bands = iter([labels[:1], labels[1:]])
    (part,) = outlined(bands, 2, 65535, np.ones(2), lambda _: None)
    assert sorted(zip(part.labels.tolist(), part.areas.tolist(), strict=True)) == [(3, 1.0), (1000, 2.0)]


def test_memory_is_asked_for_before_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regions, "CORNERS", 100)
    labels = np.zeros((61, 61), np.uint8)
    labels[1::2, 1::2] = 1  # holes of a region that reaches the last row
    asked: list[int] = []

    def check(corners: int) -> None:
        asked.append(corners)
        if corners > 3000:
            raise UserError("too many corners")

    with pytest.raises(UserError, match="too many"):
        [*outlined((row[None] for row in labels), 61, IGNORED, np.ones(61), check)]
    assert asked == sorted(asked)
    assert len(asked) > 2
