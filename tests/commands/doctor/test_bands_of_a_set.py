"""Bands of whole data sets: what doctor measures and finds, and what init declares, against numpy.

Covers: commands.doctor.band_facts, commands.doctor.band_statistics, commands.doctor.check_bands,
commands.init.measured.
"""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import yaml
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.doctor.band_facts import KEPT_IN_ALL, BandFacts, band_facts, lean, undeclared_facts
from seglight.commands.doctor.band_statistics import band_statistics, declaration
from seglight.commands.doctor.check_bands import check_bands
from seglight.commands.doctor.command import doctor
from seglight.commands.doctor.quick import quick_check
from seglight.commands.init.measured import measured_bands
from seglight.commands.init.prepared import prepare, splits_of
from seglight.data import FolderDataModule
from seglight.data.layouts.layout import Choices
from seglight.data.layouts.recognise import recognise
from seglight.errors import UserError
from seglight.images.bands import RGB, Bands
from seglight.images.holding import Holding
from tests.support.fabricate import save_mask

BANDS = Bands(("blue", "green", "red", "nir"), "uint16", (0.0,) * 4, (1.0,) * 4, nodata=0)
MEANS = (500, 900, 700, 3000)


def scene(seed: int, size: tuple[int, int] = (40, 50)) -> NDArray[np.uint16]:
    image = np.random.default_rng(seed).normal(MEANS, (40, 50, 60, 300), (*size, 4))
    image[:4] = 0
    return image.astype(np.uint16)


def facts(image: NDArray[Any], bands: Bands = BANDS, name: str = "x.tif", names: tuple[str, ...] = ()) -> BandFacts:
    held = Holding("TIFF", *image.shape, image.dtype.name, names=names)
    return band_facts(name, held, image, bands)


def found(every: list[BandFacts], declared: Bands = RGB) -> dict[str, Any]:
    return {one.rule.slug: one for one in check_bands(every, band_statistics(every), declared)}


def test_statistics_are_those_of_numpy_without_missing_values() -> None:
    images = [scene(seed) for seed in range(3)] + [scene(3, (80, 20))]
    numbers = band_statistics([facts(image) for image in images])
    assert numbers is not None
    values = np.concatenate([image.reshape(-1, 4) for image in images]).astype(float)
    values = values[values.any(axis=1)]
    assert numbers.bands.mean == pytest.approx(values.mean(0), rel=1e-4)
    assert numbers.bands.std == pytest.approx(values.std(0), rel=1e-4)
    assert numbers.percentiles == pytest.approx(np.percentile(values, (1, 50, 99), axis=0).T, rel=0.03)
    missing = 1 - len(values) / sum(image[..., 0].size for image in images)
    assert numbers.missing == pytest.approx([missing] * 4)
    assert numbers.saturated == pytest.approx((values == values.max(0)).mean(0))
    assert Bands.from_dict(yaml.safe_load(declaration(numbers.bands))["bands"]) == numbers.bands


def test_statistics_of_clip_and_log() -> None:
    bands = Bands(
        BANDS.names, "uint16", BANDS.mean, BANDS.std, 0, clip={"red": (600, 800), "nir": (100, 4000)}, log=("nir",)
    )
    image = scene(0)
    numbers = band_statistics([facts(image, bands)])
    assert numbers is not None
    values = image[image.any(axis=2)].astype(float)
    nir = np.log1p(np.clip(values[:, 3], 100, 4000) - 100)
    red = np.clip(values[:, 2], 600, 800)
    assert numbers.bands.mean[2:] == pytest.approx([red.mean(), nir.mean()], rel=1e-4)
    assert numbers.bands.std[2:] == pytest.approx([red.std(), nir.std()], rel=1e-4)
    assert (numbers.bands.clip, numbers.bands.log) == (bands.clip, bands.log)


def test_nothing_is_found_in_sound_images() -> None:
    numbers = band_statistics([facts(scene(seed)) for seed in range(8)])
    assert numbers is not None
    assert not found([facts(scene(seed)) for seed in range(8)], numbers.bands)
    assert not check_bands([], None, RGB)
    assert band_statistics([]) is None


def test_bands_in_another_order() -> None:
    every = [facts(scene(seed)) for seed in range(8)]
    wrong = facts(scene(9)[..., [2, 1, 0, 3]], name="bgr.tif")
    cases = found([*every, wrong])["band-order"].cases
    assert [(case.file, case.note) for case in cases] == [
        ("bgr.tif", "by their brightness its bands are red, green, blue, nir")
    ]
    named = facts(scene(9), name="named.tif", names=("red", "green", "blue", "nir"))
    cases = found([*every, named])["band-order"].cases
    assert [(case.file, case.note) for case in cases] == [("named.tif", "its bands are red, green, blue, nir")]


def test_bands_that_tell_nothing() -> None:
    images = [scene(seed) for seed in range(4)]
    for image in images:
        image[..., 1] = np.where(image[..., 0] > 0, 7, 0)
        image[..., 2] = image[..., 0]
        image[..., 3] = np.minimum(image[..., 3], 3000)
    notes = {slug: one.note for slug, one in found([facts(image) for image in images]).items()}
    assert notes["constant-band"] == "green"
    assert notes["equal-bands"] == "blue = red"
    assert notes["saturated-band"].startswith("nir: ")
    assert notes["saturated-band"].endswith("are 3000")


def test_what_is_declared_and_what_is_not() -> None:
    bare = Bands(BANDS.names, "uint16", (1.0,) * 4, (1.0,) * 4)
    notes = {slug: one.note for slug, one in found([facts(scene(seed), bare) for seed in range(4)], bare).items()}
    assert notes["undeclared-nodata"] == "10.0% of the pixels are 0 in every band"
    assert notes["other-statistics"].startswith("blue: 1 and 1 are declared, ")
    ranged = replace(bare, valid=(1, 60000))
    assert "undeclared-nodata" not in found([facts(scene(seed), ranged) for seed in range(4)], ranged)


def test_images_of_other_types_and_of_nothing_but_missing_values() -> None:
    empty = facts(np.zeros((40, 50, 4), np.uint16))
    other = facts(scene(0).astype(np.float32), Bands(BANDS.names, "float32", BANDS.mean, BANDS.std), "float.tif")
    every = [facts(scene(0)), facts(scene(1)), empty, other]
    assert [case.file for case in found(every)["mixed-bands"].cases] == ["float.tif"]
    numbers = band_statistics([empty])
    assert numbers is not None
    assert numbers.bands.std == (1.0,) * 4
    assert np.isnan(numbers.percentiles).all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data set of 4 bands whose `classes.yaml` declares none."""
    for split, count in (("train", 6), ("val", 2)):
        (tmp_path / "set" / "images" / split).mkdir(parents=True)
        for number in range(count):
            image = scene(number + 10 * (split == "val"), (64, 64))
            path = tmp_path / "set" / "images" / split / f"{number}.tif"
            tifffile.imwrite(path, image, planarconfig="contig", photometric="minisblack")
            save_mask(tmp_path / "set" / "masks" / split / f"{number}.png", (image[..., 3] > 3000).astype(np.uint8))
    classes = [{"name": "ground", "color": [0, 0, 0]}, {"name": "field", "color": [0, 200, 0]}]
    (tmp_path / "set" / "classes.yaml").write_text(yaml.safe_dump({"classes": classes}))
    return tmp_path / "set"


def declare(folder: Path, bands: Bands) -> None:
    table = yaml.safe_load((folder / "classes.yaml").read_text())
    (folder / "classes.yaml").write_text(yaml.safe_dump({"bands": bands.to_dict(), **table}))


def test_doctor_prints_lines_that_make_its_next_run_clean(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(FolderDataModule(str(folder)), json=str(tmp_path / "a.json")) == 1
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "a.json").read_text())
    assert {one["slug"] for one in report["findings"] if one["level"] == "mistake"} == {"deep-image"}
    lines = printed.partition("were measured):\n")[2].partition("\n\n")[0]
    assert yaml.safe_load(lines)["bands"] == report["bands"]["declaration"]
    declare(folder, Bands.from_dict({**report["bands"]["declaration"], "nodata": 0}))
    declared = FolderDataModule(str(folder))
    quick_check(declared, "seglight doctor")
    assert doctor(declared) == 0
    assert "0 in every band" not in capsys.readouterr().out


def test_doctor_names_files_that_are_not_as_declared(folder: Path, tmp_path: Path) -> None:
    declare(folder, BANDS)
    tifffile.imwrite(folder / "images" / "train" / "1.tif", scene(1, (64, 64))[..., :3], photometric="rgb")
    assert doctor(FolderDataModule(str(folder)), json=str(tmp_path / "a.json")) == 1
    findings = {one["slug"]: one for one in json.loads((tmp_path / "a.json").read_text())["findings"]}
    assert "a TIFF of 3 bands of uint16" in findings["undeclared-bands"]["files"][0]["note"]
    assert findings["mixed-bands"]["files"][0]["file"].endswith("1.tif")
    with pytest.raises(UserError, match=r"1\.tif: a TIFF of 3 bands of uint16"):
        quick_check(FolderDataModule(str(folder)), "seglight doctor")


@pytest.mark.parametrize("own", [True, False])
def test_init_declares_what_it_measures(folder: Path, tmp_path: Path, own: bool) -> None:
    if not own:
        (folder / "classes.yaml").unlink()
    layout = recognise(folder, Choices())
    splits = splits_of(layout, folder, None)
    measured = measured_bands(layout, folder, splits.files["train"])
    (tmp_path / "project").mkdir()
    prepared = prepare(layout, folder, splits, tmp_path / "project", measured)
    module = FolderDataModule(**prepared.at(tmp_path / "project")["init_args"])
    values = np.concatenate([scene(number, (64, 64)).reshape(-1, 4) for number in range(6)])
    assert module.bands.mean == pytest.approx(values.mean(0), rel=1e-4)
    assert module.split("train").read(0)[0].dtype == np.uint16
    declare_again = folder / "classes.yaml"
    if own:
        declare(folder, BANDS)
        assert declare_again.is_file()
        assert measured_bands(recognise(folder, Choices()), folder, splits.files["train"]).bands == RGB


@pytest.mark.parametrize("empty", [False, True])
def test_pixels_without_data_count_for_no_class(folder: Path, tmp_path: Path, empty: bool) -> None:
    declare(folder, BANDS)
    if empty:
        image = np.zeros((64, 64, 4), np.uint16)
        tifffile.imwrite(folder / "images" / "train" / "0.tif", image, planarconfig="contig", photometric="minisblack")
    train = [tifffile.imread(path) for path in sorted((folder / "images" / "train").iterdir())]
    masks = [np.asarray(Image.open(path)) for path in sorted((folder / "masks" / "train").iterdir())]
    has_data = [image.any(axis=2) for image in train]
    doctor(FolderDataModule(str(folder)), json=str(tmp_path / "a.json"))
    report = json.loads((tmp_path / "a.json").read_text())
    counted = np.bincount(np.concatenate([mask[data] for mask, data in zip(masks, has_data, strict=True)]))
    classes = report["splits"]["train"]["classes"]
    assert [classes[name]["pixels"] for name in ("ground", "field")] == counted.tolist()
    share = 1 - np.mean(has_data)
    assert report["splits"]["train"]["ignored_share"] == pytest.approx(share)
    assert next(one["note"] for one in report["findings"] if one["slug"] == "no-data") == f"{share:.2%} of the pixels"
    slugs = {one["slug"] for one in report["findings"]}
    assert "all-ignored" not in slugs
    assert ("mostly-ignored" in slugs) == empty


def test_facts_of_many_images_are_small() -> None:
    one = facts(scene(0, (400, 500)))
    known: dict[Any, Any] = {}
    few = lean(one, 100, known)
    assert few.kept is one.kept
    many = [lean(pickle.loads(pickle.dumps(one)), 100_000, known) for _ in range(2)]
    assert many[0].bands is many[1].bands is one.bands
    assert many[0].kept.nbytes <= 4 * KEPT_IN_ALL / 100_000
    assert len(pickle.dumps(many[0].kept)) < 1000
    assert lean(one, 10**9, known).kept.shape == (1, 4)
    every = [lean(facts(scene(seed)), 10**5, known) for seed in range(40)]
    numbers = band_statistics(every)
    assert numbers is not None
    values = np.concatenate([scene(seed)[4:].reshape(-1, 4) for seed in range(40)])
    assert numbers.percentiles == pytest.approx(np.percentile(values, (1, 50, 99), axis=0).T, rel=0.05)


def test_what_no_description_reads_has_no_facts(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((8, 8), np.uint32))
    (tmp_path / "y.tif").write_bytes(b"II*\0nothing")
    assert undeclared_facts(str(tmp_path / "x.tif")) is None
    assert undeclared_facts(str(tmp_path / "y.tif")) is None
