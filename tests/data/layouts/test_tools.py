"""Exports of labelling tools, recognised among all layouts, converted and read again; and damaged ones."""

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seglight.data import FolderDataModule
from seglight.data.layouts.convert import convert
from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from tests.support.layouts import CONVERTED
from tests.support.samples import samples

REAL = {
    "cvat-images-1.1/facade-made": "CVAT for images 1.1",
    "cvat-images-1.1/datumaro-task": "CVAT for images 1.1",
    "cvat-images-1.1/cvat-datumaro": "CVAT for images 1.1",
    "label-studio/brush-made": "Label Studio JSON",
    "supervisely/facade-made": "Supervisely project",
    "kaggle-rle/facade-made": "Kaggle run-length CSV",
    "hf-parquet/facade-made": "Hugging Face Parquet",
}

BROKEN = {
    "Label Studio brush masks": [],  # the files are images
    "Hugging Face Parquet": [".json", ".parquet"],
}

MUTATIONS = 25


def test_no_torch_is_imported() -> None:
    code = "import sys, seglight.data.layouts.recognise, seglight.data.layouts.convert; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "lightning", "pyarrow", "seglight.commands"} & set(done.stdout.split())


@pytest.mark.parametrize("folder", REAL)
def test_real_exports_are_recognised(folder: str) -> None:
    assert recognise(samples() / folder, Choices()).form == REAL[folder]


@pytest.mark.parametrize("form", CONVERTED)
def test_converted_masks_are_those_of_the_tool(tmp_path: Path, form: str) -> None:
    maps = CONVERTED[form](tmp_path / "in")
    layout = recognise(tmp_path / "in", Choices())
    assert layout.form == form
    assert layout.in_place is None
    images = [image for files in layout.splits.values() for image in files]
    convert(layout, tmp_path / "out", {"train": images[:4], "val": images[4:]})
    module = FolderDataModule(str(tmp_path / "out"))
    found = {}
    for split in ("train", "val"):
        pairs = module.split(split)
        found |= {Path(path).name: mask for _, mask, path in (pairs.read(index) for index in range(len(pairs)))}
    assert found.keys() == maps.keys()
    for name, mask in found.items():
        np.testing.assert_array_equal(mask, maps[name])


@pytest.mark.parametrize("form", CONVERTED)
def test_damaged_files_are_one_line(tmp_path: Path, form: str) -> None:
    CONVERTED[form](tmp_path)
    suffixes = BROKEN.get(form, [".csv", ".json", ".xml"])
    files = [path for path in sorted(tmp_path.rglob("*")) if path.suffix in suffixes and "sample" not in path.name]
    for path in files[:3]:
        whole = path.read_bytes()
        for damaged in mutations(whole):
            path.write_bytes(damaged)
            try:
                layout = recognise(tmp_path, Choices())
                for image in (image for images in layout.splits.values() for image in images):
                    layout.labels(image)
            except UserError as error:
                assert "\n" not in str(error)  # noqa: PT017 most of the damage is found, but not all of it
        path.write_bytes(whole)


def mutations(whole: bytes) -> Iterator[bytes]:
    """Files with other bytes, without some, and cut off."""
    rng = random.Random(0)
    for _ in range(MUTATIONS):
        content = bytearray(whole)
        place = rng.randrange(len(content))
        kind = rng.randrange(3)
        if kind == 0:
            content[place] = rng.choice(b'"[]{}<>0,-x\xff')
        elif kind == 1:
            del content[place : place + rng.randint(1, 40)]
        else:
            del content[place:]
        yield bytes(content)
