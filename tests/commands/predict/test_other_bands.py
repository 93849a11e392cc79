"""`seglight predict` of images of any bands, written by tifffile and numpy, against the labels that are seen in them.

Covers: commands.predict.band_inputs, commands.predict.class_fractions, commands.predict.overlays.
"""

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as rle

from seglight.commands.predict.band_inputs import band_picture, check_images, images_of
from seglight.commands.predict.inputs import Source
from seglight.commands.predict.memory_budget import MemoryBudget
from seglight.commands.predict.submissions import write_ids
from seglight.errors import UserError
from seglight.images.bands import Bands
from seglight.system.memory import resident_bytes
from tests.support.band_models import AERIAL, IGNORED, above, aerial, expected

Cli = Callable[..., Any]

FILES = {"a.tif": 0, "town/b.tif": 1, "town/c.tif": 2}


def empty(image: NDArray[Any]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = (image == 0).all(axis=2)
    return found


def labels_of(seed: int) -> NDArray[np.uint8]:
    image = aerial(seed)
    return expected(image, 3, 2000, empty(image))


def read(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as found:
        return np.asarray(found)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return above(tmp_path_factory.mktemp("model") / "nir.onnx", AERIAL, "nir", 2000)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name, seed in FILES.items():
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, aerial(seed), photometric="minisblack", planarconfig="contig")
    return tmp_path / "images"


def test_a_folder_with_everything_that_is_made_from_it(
    model: Path, images: Path, tmp_path: Path, seglight_cli: Cli
) -> None:
    out = tmp_path / "out"
    ran = seglight_cli("predict", model, images, "--out", out, "--save", "csv", "overlay", "probabilities", "coco")
    assert (ran.rc, ran.out) == (0, f"3 label maps in {out}\n"), ran.err
    rows = [*csv.reader((out / "shares.csv").read_text().splitlines())]
    assert rows[0] == ["image", "bare", "plants", "no data"]
    for (name, seed), row in zip(FILES.items(), rows[1:], strict=True):
        found = labels_of(seed)
        key = name.removesuffix(".tif")
        np.testing.assert_array_equal(read(out / f"{key}.png"), found)
        known = found[found != IGNORED]
        shares = [(known == 0).mean(), (known == 1).mean(), (found == IGNORED).mean()]
        assert row == [name, *(f"{share:.6f}" for share in shares)]
        probabilities = np.load(out / "probabilities" / f"{key}.npz")["probabilities"]
        np.testing.assert_array_equal(probabilities[:, found == IGNORED], 0)
        np.testing.assert_array_equal(probabilities.argmax(0)[found != IGNORED], known)
        drawn = read(out / "overlay" / f"{key}.jpg")
        assert drawn.shape == (40, 56, 3)
        assert np.abs(drawn[:6, :10].mean((0, 1)) - 120).max() < 10, "what has no data is grey"
    content = json.loads((out / "coco.json").read_text())
    assert {entry["category_id"] for entry in content["annotations"]} == {1, 2}
    first = [entry["segmentation"] for entry in content["annotations"] if entry["image_id"] == 1]
    covered = sum(rle.decode({**one, "counts": one["counts"].encode()}) for one in first)
    np.testing.assert_array_equal(covered, (labels_of(0) != IGNORED).astype(np.uint8))
    again = seglight_cli("predict", model, images, "--out", out, "--save", "csv")
    assert "3 of them from before" in again.out


def test_exported_files_need_no_torch(model: Path, images: Path, tmp_path: Path) -> None:
    code = "import sys; sys.modules['torch'] = None; from seglight.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "predict", str(model), str(images), "--out", str(tmp_path / "out")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    for name, seed in FILES.items():
        np.testing.assert_array_equal(read(tmp_path / "out" / f"{name.removesuffix('.tif')}.png"), labels_of(seed))


def test_arrays_and_a_batch(model: Path, tmp_path: Path, seglight_cli: Cli) -> None:
    folder = tmp_path / "arrays"
    folder.mkdir()
    for seed in range(3):
        np.save(folder / f"{seed}.npy", aerial(seed))
    assert seglight_cli("predict", model, folder, "--out", tmp_path / "out", "--batch", 2).rc == 0
    for seed in range(3):
        np.testing.assert_array_equal(read(tmp_path / "out" / f"{seed}.png"), labels_of(seed))


def test_an_image_that_is_read_by_windows(
    model: Path, tmp_path: Path, seglight_cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seglight.commands.predict.band_inputs.LARGE_BYTES", 10_000)
    monkeypatch.setattr("seglight.commands.predict.band_inputs.read_pixels", None)
    image = aerial(4, (300, 200))
    image[140:180, 50:190] = 0
    tifffile.imwrite(tmp_path / "large.tif", image, photometric="minisblack", planarconfig="contig", tile=(64, 64))
    ran = seglight_cli("predict", model, tmp_path / "large.tif", "--out", tmp_path / "out", "--save", "overlay")
    assert ran.rc == 0, ran.err
    found = read(tmp_path / "out" / "large.png")
    np.testing.assert_array_equal(found, expected(image, 3, 2000, empty(image)))
    assert read(tmp_path / "out" / "overlay" / "large.jpg").shape == (300, 200, 3)


@pytest.fixture
def one_file_a_band(tmp_path: Path) -> tuple[Path, Path]:
    """A model, and a folder of two images, each in four files."""
    bands = replace(AERIAL, files="{name}_{band}.tif")
    folder = tmp_path / "scenes"
    folder.mkdir()
    for seed in range(2):
        for index, name in enumerate(bands.names):
            tifffile.imwrite(folder / f"scene{seed}_{name}.tif", aerial(seed)[..., index])
    return above(tmp_path / "files.onnx", bands, "nir", 2000), folder


def test_one_file_a_band(one_file_a_band: tuple[Path, Path], tmp_path: Path, seglight_cli: Cli) -> None:
    model, folder = one_file_a_band
    ran = seglight_cli("predict", model, folder, "--out", tmp_path / "out")
    assert (ran.rc, ran.out) == (0, f"2 label maps in {tmp_path}/out\n"), ran.err
    for seed in range(2):
        np.testing.assert_array_equal(read(tmp_path / "out" / f"scene{seed}_blue.png"), labels_of(seed))
    (folder / "scene1_red.tif").unlink()
    ran = seglight_cli("predict", model, folder, "--out", tmp_path / "again")
    assert ran.rc == 1
    assert "scene1_red.tif" in ran.err
    ran = seglight_cli("predict", model, folder / "scene0_nir.tif", "--out", tmp_path / "none")
    assert ran.rc == 2
    assert "no file of the first band, blue, which is named {name}_blue.tif" in ran.err


def test_a_shard_may_have_no_file_of_a_first_band() -> None:
    bands = replace(AERIAL, files="{name}_{band}.tif")
    sources = [Source(Path(f"scene_{name}.tif"), Path(f"scene_{name}")) for name in bands.names]
    assert images_of(sources, bands) == sources[:1]
    assert images_of(sources[2:], bands) == []
    with pytest.raises(UserError, match="no file of the first band, blue"):
        check_images(sources[2:], bands)


def test_images_that_are_decoded_whole_count_for_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seglight.commands.predict.band_inputs.LARGE_BYTES", 1000)
    bands = Bands(("grey",), "uint16", (0.0,), (1.0,))
    Image.fromarray(aerial(0)[..., 0]).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", aerial(0)[..., 0])
    for name, pixels in (("a.png", 40 * 56), ("a.tif", 0)):
        assert band_picture(Source(tmp_path / name, Path("a")), bands).decoded() == pixels


def test_a_band_that_changes_is_predicted_again(
    one_file_a_band: tuple[Path, Path], tmp_path: Path, seglight_cli: Cli
) -> None:
    model, folder = one_file_a_band
    assert seglight_cli("predict", model, folder, "--out", tmp_path / "out").rc == 0
    changed = aerial(0)
    changed[..., 3] = 4000
    tifffile.imwrite(folder / "scene0_nir.tif", changed[..., 3])
    ran = seglight_cli("predict", model, folder, "--out", tmp_path / "out")
    assert "1 of them from before" in ran.out
    np.testing.assert_array_equal(
        read(tmp_path / "out" / "scene0_blue.png"), expected(changed, 3, 2000, np.zeros((40, 56), bool))
    )


def test_what_the_net_does_not_read(model: Path, images: Path, tmp_path: Path, seglight_cli: Cli) -> None:
    Image.new("RGB", (56, 40)).save(images / "photo.png")
    tifffile.imwrite(images / "three.tif", aerial(0)[..., :3], photometric="minisblack", planarconfig="contig")
    (images / "film.mp4").write_bytes(b"film")
    ran = seglight_cli("predict", model, images, "--out", tmp_path / "out")
    assert ran.rc == 1
    assert ran.out == f"3 label maps in {tmp_path}/out\n"
    lines = ran.err.splitlines()
    reads = "the net reads 4 bands of uint16 (blue, green, red, nir)"
    for name, held in (
        ("photo.png", "3 bands of uint8"),
        ("three.tif", "3 bands of uint16"),
        ("film.mp4", "8-bit RGB"),
    ):
        (line,) = [line for line in lines if name in line]
        assert reads in line
        assert held in line
        assert "bands:" not in line


@pytest.mark.slow
def test_shards_write_the_same_table(model: Path, images: Path, tmp_path: Path, seglight_cli: Cli) -> None:
    for out, options in (("one", ()), ("two", ("--parallel", 2))):
        assert seglight_cli("predict", model, images, "--out", tmp_path / out, "--save", "csv", *options).rc == 0
    one, two = (tmp_path / out for out in ("one", "two"))
    assert (one / "shares.csv").read_bytes() == (two / "shares.csv").read_bytes()
    for name, seed in FILES.items():
        np.testing.assert_array_equal(read(two / name.replace(".tif", ".png")), labels_of(seed))


def test_the_memory_of_an_image_grows_with_its_bands_and_type() -> None:
    pixels = 100_000_000
    limit = resident_bytes() + (4 << 30)
    MemoryBudget(limit).check("image", pixels)
    MemoryBudget(limit, 4).check("image", pixels)
    with pytest.raises(UserError, match=r"image of 100\.0 megapixels takes 9\.2\d GB"):
        MemoryBudget(limit, 13 * 2).check("image", pixels)


def test_ids_of_benchmarks_are_0_where_there_is_no_data(tmp_path: Path) -> None:
    write_ids(tmp_path / "ids.png", labels_of(0), np.array([7, 21], np.uint8))
    found, labels = read(tmp_path / "ids.png"), labels_of(0)
    np.testing.assert_array_equal(found, np.select([labels == 0, labels == 1], [7, 21], 0))
