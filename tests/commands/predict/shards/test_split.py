"""Shards of about the same number of images, which begin where batches do."""

import pytest

from seglight.commands.predict.shards.split import split


@pytest.mark.parametrize(
    ("counts", "parts", "batch", "expected"),
    [
        ([1] * 7, 1, 1, [7]),
        ([1] * 7, 2, 1, [3, 4]),
        ([1] * 7, 3, 1, [2, 3, 2]),
        ([1] * 3, 8, 1, [1, 1, 1]),
        ([1] * 7, 2, 3, [3, 4]),
        ([1] * 7, 3, 4, [4, 3]),
        ([1] * 3, 2, 4, [3]),
        ([100, 1, 1, 1, 1], 2, 1, [1, 4]),  # a video is not divided
        ([1, 1, 100, 1, 1], 4, 1, [2, 1, 2]),
        ([5, 1, 1, 1, 1, 1], 2, 2, [2, 4]),  # the last batch that begins in the video ends behind it
        ([1], 5, 1, [1]),
    ],
)
def test_worked_by_hand(counts: list[int], parts: int, batch: int, expected: list[int]) -> None:
    found = split(counts, parts, batch)
    assert [len(part) for part in found] == expected
    assert [index for part in found for index in part] == list(range(len(counts)))


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_shards_are_even(batch: int) -> None:
    for count in (1, 5, 64, 1000):
        for parts in (1, 2, 7, 100):
            found = split([1] * count, parts, batch)
            assert [index for part in found for index in part] == list(range(count))
            assert len(found) <= parts
            assert all(part.start % batch == 0 for part in found)
            assert max(map(len, found)) <= count / parts + batch
