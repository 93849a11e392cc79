"""The doctor names every planted defect with its file, and finds nothing in clean copies.

Covers: commands.doctor.check_classes, commands.doctor.check_files, commands.doctor.check_splits,
commands.doctor.finding, commands.doctor.pairs, commands.doctor.samples, commands.doctor.scan.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml
from PIL import Image

from seglight.commands.doctor.command import examine
from seglight.commands.doctor.scan import survey
from seglight.commands.doctor.statistics import statistics
from seglight.data.datasets.cityscapes import CLASSES as CITYSCAPES
from seglight.data.datasets.voc import CLASSES as VOC
from tests.support import fabricate
from tests.support import planting as plant
from tests.support.command import Ran
from tests.support.data_modules import MODULES
from tests.support.planting import two_classes

CLI = Callable[..., Ran]
COLORS = fabricate.COLORS


class Defect(NamedTuple):
    """What is planted where, and under which name it has to be found.

    Args:
        layout: Whose files.
        file: The file to spoil, from the root.
        slug: What it has to be called.
        spoil: Spoils it; gives the file that the doctor has to name, if it is another.
        named: The file that the doctor has to name where it is neither, from the root.
        level: Whether the exit code is 1.
    """

    layout: str
    file: str
    slug: str
    spoil: Callable[[Path], Any]
    named: str = ""
    level: str = "mistake"


CAM, CAM_MASK, CAM_VAL = "train/0001TP_000030.png", "trainannot/0001TP_000030.png", "valannot/0001TP_000000.png"
JPG, VOC_MASK, LISTS = "JPEGImages/2007_000001.jpg", "SegmentationClass/2007_000001.png", "ImageSets/Segmentation"
CITY = "leftImg8bit/train/bochum/bochum_000001_000019_leftImg8bit.png"
CITY_MASK = "gtFine/train/bochum/bochum_000001_000019_gtFine_labelIds.png"
OWN, OWN_MASK = "images/train/001.png", "masks/train/001.png"


def blob(mask: Any) -> Any:
    """A disc of 255 before 0."""
    rows, columns = np.indices(mask.shape)
    return np.where((rows - 18) ** 2 + (columns - 24) ** 2 < 200, 255, 0).astype(np.uint8)


def stray(value: int) -> Callable[[Path], Path]:
    """A few pixels of one value."""

    def change(mask: Any) -> Any:
        mask = mask.copy()
        mask[5, 5:9] = value
        return mask

    return lambda path: plant.remap(path, change)


def shifted_val(root: Path) -> list[Path]:
    return [plant.remap(path, lambda mask: plant.reduce_zero_label(mask, 11)) for path in root.glob("valannot/*")]


def shifted_everywhere(root: Path) -> Path:
    for path in sorted(root.glob("masks/*/*")):
        plant.remap(path, lambda mask: plant.reduce_zero_label(mask, 255))
    return root / "masks" / "train" / "000.png"


def without_class(folder: str, index: int, other: int) -> Callable[[Path], None]:
    def spoil(root: Path) -> None:
        for path in root.glob(f"{folder}/*"):
            plant.remap(path, lambda mask: np.where(mask == index, other, mask).astype(np.uint8))

    return spoil


def twice_listed(path: Path) -> None:
    path.write_text(path.read_text() + "2007_000001\n")


def recompressed(root: Path) -> Path:
    """A smooth training image, smaller in file and a bit darker, as a validation image."""
    rng = np.random.default_rng(3)
    scene = np.asarray(Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8)).resize((56, 40), 2))
    ours, theirs = root / "JPEGImages" / "2007_000000.jpg", root / "JPEGImages" / "2009_000000.jpg"
    Image.fromarray(scene).save(ours, quality=95)
    Image.fromarray((scene * 0.97).astype(np.uint8)).save(theirs, quality=80)
    return theirs


def twin(root: Path) -> Path:
    """A training image among those to validate on, as another file format."""
    with Image.open(root / "train" / "0001TP_000030.png") as image:
        image.save(root / "val" / "0001TP_000030.png", compress_level=1)
    return root / "val" / "0001TP_000030.png"


DEFECTS = [
    # pairs
    Defect("CamVid", CAM_MASK, "missing-mask", Path.unlink),
    Defect("CamVid", CAM, "surplus-mask", Path.unlink, CAM_MASK),
    Defect("CamVid", CAM_MASK, "misnamed-file", lambda path: plant.rename(path, "0001tp_000030.PNG")),
    Defect("CamVid", CAM_MASK, "misnamed-file", lambda path: plant.rename(path, "0001TP_000030_L.png")),
    Defect("VOC", JPG, "missing-image", Path.unlink),
    Defect("VOC", JPG, "misnamed-file", lambda path: plant.rename(path, "2007_000001.JPG")),
    Defect("VOC", VOC_MASK, "missing-mask", Path.unlink),
    Defect("VOC", f"{LISTS}/val.txt", "missing-split", Path.unlink, "-"),
    Defect("VOC", f"{LISTS}/train.txt", "listed-twice", twice_listed, JPG, "hint"),
    Defect("Cityscapes", CITY, "surplus-mask", Path.unlink, CITY_MASK),
    Defect("Cityscapes", CITY_MASK, "missing-mask", Path.unlink),
    Defect("Folder", OWN_MASK, "misnamed-file", lambda path: plant.rename(path, "001_mask.png")),
    Defect("Folder", OWN_MASK, "misnamed-file", lambda path: plant.rename(plant.as_jpeg(path), "001.jpg")),
    Defect("Folder", OWN_MASK, "jpeg-mask", lambda path: plant.rename(plant.as_jpeg(path), "001.jpg")),
    # files
    Defect("CamVid", CAM, "zero-byte", lambda path: plant.write(path, b"")),
    Defect("CamVid", CAM_MASK, "zero-byte", lambda path: plant.write(path, b"")),
    Defect("CamVid", CAM, "unreadable", lambda path: plant.write(path, b"<html>404</html>")),
    Defect("Folder", OWN_MASK, "unreadable", lambda path: plant.write(path, b"\x89PNG\r\n\x1a\n")),
    Defect("CamVid", CAM, "truncated", plant.cut),
    Defect("CamVid", CAM_MASK, "truncated", plant.cut),
    Defect("VOC", JPG, "truncated", plant.cut),
    Defect("CamVid", CAM, "truncated", plant.flip),
    Defect("VOC", VOC_MASK, "truncated", plant.flip),
    Defect("CamVid", CAM, "bomb", plant.bomb),
    Defect("Folder", OWN_MASK, "bomb", plant.bomb),
    Defect("CamVid", CAM_MASK, "size-mismatch", lambda path: plant.remap(path, lambda mask: mask[:-3]), CAM),
    Defect("CamVid", CAM_MASK, "size-mismatch", lambda path: plant.remap(path, lambda mask: mask.T), CAM),
    Defect("Cityscapes", CITY_MASK, "size-mismatch", lambda path: plant.remap(path, lambda m: m[::2, ::2]), CITY),
    Defect("VOC", JPG, "exif-rotated", lambda path: plant.with_exif(path, 6, turn=False)),
    Defect("VOC", JPG, "exif-tagged", lambda path: plant.with_exif(path, 3, turn=False), level="hint"),
    Defect("VOC", JPG, "cmyk-image", lambda path: plant.as_mode(path, "CMYK"), level="hint"),
    Defect("VOC", JPG, "grey-image", lambda path: plant.as_mode(path, "L"), level="hint"),
    Defect("CamVid", CAM, "transparent-image", plant.transparent),
    Defect("CamVid", CAM, "alpha-image", lambda path: plant.as_mode(path, "RGBA"), level="hint"),
    Defect("CamVid", CAM, "deep-image", plant.deep),
    Defect("Cityscapes", CITY, "deep-image", plant.wide),
    Defect("CamVid", CAM, "many-bands", plant.four_bands),
    Defect("CamVid", CAM, "many-pages", plant.moving),
    Defect("CamVid", CAM_MASK, "many-pages", plant.moving),
    Defect("CamVid", CAM, "unread-format", lambda path: plant.write(path, b"8BPS" + bytes(99))),
    # masks
    Defect("VOC", VOC_MASK, "colour-mask", lambda path: plant.as_mode(path, "RGB")),
    Defect("Cityscapes", CITY_MASK, "colour-mask", lambda p: plant.remap(p, lambda m: plant.coloured(m, COLORS))),
    Defect("VOC", VOC_MASK, "adaptive-palette", lambda path: plant.adaptive(path, VOC.palette)),
    Defect("Folder", OWN_MASK, "adaptive-palette", lambda path: plant.adaptive(path, COLORS[:3])),
    Defect("Cityscapes", CITY_MASK, "rgb-index-mask", lambda path: plant.as_mode(path, "RGB")),
    Defect("Folder", OWN_MASK, "rgb-index-mask", lambda path: plant.as_mode(path, "LA")),
    Defect("CamVid", CAM_MASK, "deep-mask", plant.float_mask),
    Defect("Folder", OWN_MASK, "packed-mask", plant.pack),
    Defect("Folder", ".", "binary-mask", two_classes),
    Defect("CamVid", CAM_MASK, "binary-mask", lambda path: plant.remap(path, blob)),
    Defect("Folder", OWN_MASK, "binary-suspect", lambda path: plant.remap(path, blob), level="hint"),
    Defect("CamVid", CAM_MASK, "stretched-mask", lambda p: plant.remap(p, lambda m: np.minimum(m, 10) * 25)),
    Defect("Folder", OWN_MASK, "luma-mask", lambda path: plant.luma(path, COLORS[:3])),
    Defect("Cityscapes", CITY_MASK, "luma-mask", lambda path: plant.luma(path, CITYSCAPES.palette)),
    Defect("VOC", VOC_MASK, "jpeg-mask", plant.as_jpeg),
    Defect("VOC", ".", "jpeg-mask", lambda root: plant.large_ghosts(root, JPG, VOC_MASK, range(21))),
    Defect("Folder", ".", "jpeg-mask", lambda root: plant.large_ghosts(root, OWN, OWN_MASK, (0, 1, 2, 255))),
    Defect("CamVid", CAM_MASK, "interpolated-mask", plant.interpolate),
    Defect("VOC", VOC_MASK, "interpolated-mask", plant.interpolate),
    Defect("Cityscapes", CITY_MASK, "interpolated-mask", plant.interpolate),
    Defect("CamVid", CAM_MASK, "unknown-values", stray(12)),
    Defect("VOC", VOC_MASK, "unknown-values", stray(200)),
    Defect("Cityscapes", CITY_MASK, "unknown-values", stray(34)),
    Defect("Folder", OWN_MASK, "unknown-values", stray(3)),
    Defect("Folder", OWN_MASK, "shifted-up", lambda p: plant.remap(p, lambda m: np.where(m == 255, 255, m + 1))),
    Defect("CamVid", CAM_MASK, "shifted-up", lambda path: plant.remap(path, lambda mask: mask + 1)),
    Defect("CamVid", CAM_MASK, "all-ignored", lambda path: plant.remap(path, lambda mask: mask * 0 + 11)),
    Defect("Folder", OWN_MASK, "all-ignored", lambda path: plant.remap(path, lambda mask: mask * 0 + 255)),
    Defect(
        "CamVid", CAM_MASK, "mostly-ignored", lambda p: stray(3)(plant.remap(p, lambda m: m * 0 + 11)), level="hint"
    ),
    # all masks together
    Defect("CamVid", ".", "shifted-labels", shifted_val, level="hint"),
    Defect("Folder", ".", "shifted-labels", shifted_everywhere, level="hint"),
    Defect("CamVid", ".", "class-never-seen", without_class("*annot", 7, 2), "-", "hint"),
    Defect("CamVid", ".", "class-in-one-split", without_class("valannot", 7, 2), "-", "hint"),
    # splits
    Defect("CamVid", ".", "duplicate", twin),
    Defect("VOC", ".", "near-duplicate", recompressed, level="hint"),
    Defect("CamVid", ".", "sequence", plant.drifting, "val/0001TP_000090.png", "hint"),
]


@pytest.fixture
def doctor(seglight_cli: CLI, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run the command on a data set; gives its JSON, and holds the exit code to it."""

    def run(class_path: str, root: Path, *more: object) -> dict[str, Any]:
        config = plant.recipe(tmp_path / "recipe.yaml", class_path, root)
        ran = seglight_cli("doctor", "--config", config, "--json", tmp_path / "report.json", *more)
        report: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
        assert ran.rc == (1 if report["mistakes"] else 0), ran.err
        assert not list(tmp_path.rglob("*.part*"))
        for finding in report["findings"]:
            assert finding["slug"] in ran.out
        return report

    return run


def name(defect: Defect) -> str:
    return f"{defect.layout}-{defect.slug}-{Path(defect.file).name}"


@pytest.mark.parametrize("defect", DEFECTS, ids=name)
def test_defect_is_named(defect: Defect, doctor: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    root = plant.MAKE[defect.layout](tmp_path / "data")
    spoiled = root / defect.file
    out = defect.spoil(spoiled)
    told = [out] if isinstance(out, Path) else out if isinstance(out, list) else [spoiled]
    wanted = [str(root / defect.named)] if defect.named else [str(path) for path in told]
    findings = doctor(plant.CLASSES[defect.layout], root)["findings"]
    found = [finding for finding in findings if finding["slug"] == defect.slug]
    assert found, [finding["slug"] for finding in findings]
    assert {finding["level"] for finding in found} == {defect.level}
    named = [file["file"] for finding in found for file in finding["files"]]
    assert sum(finding["count"] for finding in found) == len(named)
    if defect.named != "-":
        assert set(wanted) <= set(named)
    if defect.file != ".":
        assert set(named) <= set(wanted), "nothing else is accused"
        strangers = [f for f in findings if f["level"] == "mistake" and f["slug"] != defect.slug]
        assert {file["file"] for f in strangers for file in f["files"]} <= {*wanted, str(spoiled)}


def test_at_least_thirty_kinds_of_defects_over_all_layouts() -> None:
    assert len({defect.slug for defect in DEFECTS}) >= 30
    assert {defect.layout for defect in DEFECTS} == {*plant.MAKE}


@pytest.mark.parametrize("layout", plant.MAKE)
@pytest.mark.parametrize("seed", [0, 1])
def test_clean_copies_raise_nothing(
    layout: str, seed: int, doctor: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    more = {"trainaug": 3} if layout == "VOC" and seed else {}
    root = getattr(fabricate, layout.lower())(tmp_path / "data", seed=seed, **more)
    assert doctor(plant.CLASSES[layout], root)["findings"] == []


@pytest.mark.parametrize("kind", ["colour", "wide"])
def test_clean_copies_of_other_codecs_raise_nothing(
    kind: str, doctor: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    root = getattr(plant, f"{kind}_folder")(tmp_path / "data")
    assert doctor(f"tests.support.planting.{kind.title()}DataModule", root)["findings"] == []


def test_colour_labels(doctor: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    root = plant.colour_folder(tmp_path / "data")
    fabricate.save_mask(root / OWN_MASK, np.zeros((36, 48), np.uint8))
    stray_colour = np.zeros((36, 48, 3), np.uint8)
    stray_colour[:3, :5] = 1, 2, 3
    Image.fromarray(stray_colour).save(root / "masks" / "val" / "000.png")
    findings = doctor("tests.support.planting.ColourDataModule", root)["findings"]
    told = {finding["slug"]: finding["files"][0] for finding in findings if finding["level"] == "mistake"}
    assert told == {
        "grey-mask": {"file": str(root / OWN_MASK), "note": "mode L"},
        "unknown-values": {"file": str(root / "masks" / "val" / "000.png"), "note": "(1, 2, 3) (15 pixels)"},
    }


@pytest.mark.parametrize("module", MODULES)
def test_clean_copies_of_all_data_sets_raise_nothing(module: str, tmp_path: Path) -> None:
    make, _, lengths = MODULES[module]
    told = survey(make(tmp_path / "data"))
    numbers = {split: statistics(facts, told.tables[split]) for split, facts in told.splits.items()}
    assert {split: one.images for split, one in numbers.items()} == lengths
    found = {finding.rule.slug for finding in examine(told, numbers)}
    assert found == set() or (module, found) == ("ShapesDataModule", {"class-in-one-split"}), (
        "four scenes do not hold all"
    )


@pytest.mark.parametrize(
    ("module", "make", "pattern"),
    [
        ("COCOPolygonsDataModule", fabricate.coco_json, "val2017/*.jpg"),
        ("LabelMeDataModule", fabricate.labelme, "train/*.jpg"),
    ],
)
@pytest.mark.parametrize(("slug", "share"), [("zero-byte", 0), ("truncated", 0.7)])
def test_images_of_labels_that_only_their_data_set_reads(
    module: str,
    make: Callable[[Path], Path],
    pattern: str,
    slug: str,
    share: float,
    doctor: Callable[..., dict[str, Any]],
    tmp_path: Path,
) -> None:
    root = make(tmp_path / "data")
    path = plant.cut(sorted(root.glob(pattern))[0], share)
    findings = doctor(f"seglight.data.{module}", root)["findings"]
    assert [(one["slug"], [file["file"] for file in one["files"]]) for one in findings] == [(slug, [str(path)])]


def test_damaged_labels_are_blamed_and_not_their_image(doctor: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    root = fabricate.labelme(tmp_path / "labelme")
    path = root / "train" / "002.json"
    path.write_text("{")
    findings = doctor("seglight.data.LabelMeDataModule", root)["findings"]
    assert [(one["slug"], [file["file"] for file in one["files"]]) for one in findings] == [
        ("unreadable-label", [str(path)])
    ]
    assert "not a file of LabelMe" in findings[0]["files"][0]["note"]
    root = fabricate.coco_json(tmp_path / "coco")
    path = root / "annotations" / "instances_val2017.json"
    table = json.loads(path.read_text())
    table["annotations"][3]["segmentation"]["counts"] = "not runs"
    path.write_text(json.dumps(table))
    findings = doctor("seglight.data.COCOPolygonsDataModule", root)["findings"]
    assert [(one["slug"], [file["file"] for file in one["files"]]) for one in findings] == [
        ("unreadable-label", [str(path)])
    ]
    assert "an outline of 000000002000.jpg can't be painted" in findings[0]["files"][0]["note"]


def test_labelme_without_a_file(doctor: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    root = fabricate.labelme(tmp_path / "data")
    path = sorted((root / "train").glob("*.json"))[0]
    path.unlink()
    findings = doctor("seglight.data.LabelMeDataModule", root)["findings"]
    assert [(one["slug"], [file["file"] for file in one["files"]]) for one in findings] == [
        ("missing-mask", [str(path)])
    ]


def test_drawn_scenes_are_inspected_too(
    doctor: Callable[..., dict[str, Any]], seglight_cli: CLI, tmp_path: Path
) -> None:
    config = tmp_path / "shapes.yaml"
    size = {"size": 64, "train_images": 12, "eval_images": 6}
    config.write_text(yaml.safe_dump({"data": {"class_path": "ShapesDataModule", "init_args": size}}))
    ran = seglight_cli("doctor", "-c", config, "--json", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    assert ran.rc == report["mistakes"] == 0
    assert report["splits"]["train"]["images"] == 12
    assert report["splits"]["train"]["classes"]["ground"]["images"] == 12


def test_processes_find_what_one_finds(doctor: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    root = fabricate.camvid(tmp_path / "data", train=70)
    plant.cut(root / CAM)
    (finding,) = doctor("CamVidDataModule", root)["findings"]
    assert (finding["slug"], finding["files"][0]["file"]) == ("truncated", str(root / CAM))
