"""Tables of shards put together: the bytes are those of one table of all images."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.commands.predict.kinds import TABLES
from seglight.commands.predict.shards.merge import merge_tables
from seglight.commands.predict.summaries import new_table

NAMES = ("sky", 'the "road", wet', "=tree", "car\nblue")
IMAGES = ["a.png", "b,c.png", 'd"e.png', "=1+1.png", "f\udce9.png", "g.png", "h.png"]


def labels(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 4, (5 + seed, 7), dtype=np.uint8)


def write(folder: Path, images: range) -> Path:
    for kind, name in TABLES.items():
        table = new_table(kind, NAMES)
        for index in images:
            table.add(IMAGES[index], labels(index))
        table.write(folder / name)
    return folder


@pytest.mark.parametrize("cuts", [[7], [3, 7], [1, 2, 2, 6, 7], [0, 7, 7]])
def test_the_bytes_are_those_of_one_table(cuts: list[int], tmp_path: Path) -> None:
    write(tmp_path / "one", range(7))
    starts = [0, *cuts[:-1]]
    parts = [
        write(tmp_path / str(number), range(start, stop))
        for number, (start, stop) in enumerate(zip(starts, cuts, strict=True))
    ]
    merge_tables(["overlay", *TABLES], NAMES, parts, tmp_path / "out")
    for name in TABLES.values():
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [image["id"] for image in content["images"]] == list(range(1, 8))
    assert [annotation["id"] for annotation in content["annotations"]] == [*range(1, len(content["annotations"]) + 1)]


def test_only_what_is_asked_for(tmp_path: Path) -> None:
    merge_tables(["csv"], NAMES, [write(tmp_path / "a", range(2))], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["shares.csv"]
