"""What an unfinished card recognises its net, images and labels by."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from seglight.checkpoints.model_card import ModelCard
from seglight.commands.card.contents import contents_of
from seglight.interfaces import Labelled

MODEL = ModelCard({"class_path": "Net"}, ("a", "b"), ((0, 0, 0), (1, 1, 1)), 255)
IMAGES = "content of the images and labels"


class Files(Labelled):
    """A split of two images in a folder."""

    fingerprint = "files"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __len__(self) -> int:
        return 2

    def sources(self, index: int) -> tuple[Path, ...]:
        return self.folder / f"{index}.jpg", self.folder / f"{index}.png"

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], str]:
        raise AssertionError("a file is read")


@pytest.mark.parametrize("name", ["1.jpg", "0.png"])
def test_images_and_labels_by_the_size_and_time_of_their_files(name: str, tmp_path: Path) -> None:
    split = Files(tmp_path)
    for path in (*split.sources(0), *split.sources(1)):
        path.write_bytes(b"pixels")
    former = contents_of("0", MODEL, split, None)
    assert contents_of("0", MODEL, split, None) == former
    os.utime(tmp_path / name, ns=(1, 1))
    assert contents_of("0", MODEL, split, None)[IMAGES] != former[IMAGES]
    (tmp_path / name).unlink()
    assert contents_of("0", MODEL, split, None)[IMAGES] != former[IMAGES]


def test_the_net_with_its_temperature_and_the_lines_of_groups(tmp_path: Path) -> None:
    split = Files(tmp_path)
    groups = tmp_path / "groups.csv"
    groups.write_text("0.jpg,a")
    former = contents_of("0", MODEL, split, str(groups))
    for checksum, model in (
        ("1", MODEL), ("0", replace(MODEL, temperature=2.0)), ("0", replace(MODEL, net={"class_path": "Other"})),
    ):  # fmt: skip
        now = contents_of(checksum, model, split, str(groups))
        assert [key for key in former if former[key] != now[key]] == ["model"]
    groups.write_text("0.jpg,b")
    now = contents_of("0", MODEL, split, str(groups))
    assert [key for key in former if former[key] != now[key]] == ["content of the file of --groups"]
    assert "content of the file of --groups" not in contents_of("0", MODEL, split, r"(\d)")
