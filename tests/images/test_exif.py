"""One rule for every reader: an image is turned as its EXIF orientation says, and labels lie on the turned image.

Covers: images.jpeg.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageOps, PngImagePlugin

from seglight.commands.cache import cache
from seglight.commands.doctor.command import examine
from seglight.commands.doctor.quick import quick_check
from seglight.commands.doctor.scan import survey
from seglight.commands.doctor.statistics import statistics
from seglight.commands.predict.inputs import Source, pictures
from seglight.data import COCOPolygonsDataModule, FolderDataModule, LabelMeDataModule
from seglight.data.datamodule import FileDataModule
from seglight.data.dataset import SegmentationDataset
from seglight.data.datasets.image_folder import ImageFolderDataModule
from seglight.data.labels import LabelCodec
from seglight.errors import UserError
from seglight.images.decode import read_image
from seglight.images.exif import orientation_of, turned
from seglight.images.image_header import image_header
from seglight.images.pixels import pixels_of
from seglight.images.tiff import TiffWindows
from tests.fuzz.mutations import chunk
from tests.support import fabricate
from tests.support import planting as plant
from tests.support.command import Ran
from tests.support.samples import samples

ORIENTATIONS = range(1, 9)
SIDEWAYS = (5, 6, 7, 8)


def tagged(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """How a camera that was held so would store a picture: worked by hand for each orientation."""
    as_stored: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    return np.ascontiguousarray(as_stored[orientation](upright))


def picture(size: tuple[int, int] = (24, 40)) -> NDArray[np.uint8]:
    """Another colour in each corner."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack((5 * x, 8 * y, 255 - 3 * x - 3 * y), 2).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(1, 5, 3), (5, 1, 3), (1, 1, 3)])
def test_images_of_one_row_or_column_have_no_negative_stride(shape: tuple[int, ...], orientation: int) -> None:
    assert min(turned(np.zeros(shape, np.uint8), orientation).strides) > 0


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turned_is_what_pillow_makes_of_it(orientation: int) -> None:
    image = Image.fromarray(picture())
    image.info["exif"] = tagged(orientation).tobytes()
    expected = np.asarray(ImageOps.exif_transpose(image))
    assert np.array_equal(turned(picture(), orientation), expected)
    assert np.array_equal(turned(stored(picture(), orientation), orientation), picture())


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_every_reader_of_every_format(orientation: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"photo{suffix}"
    options = {".jpg": {"quality": 98, "subsampling": 0}, ".webp": {"lossless": True}, ".avif": {"quality": 100}}
    image = Image.fromarray(stored(picture(), orientation))
    image.save(path, exif=tagged(orientation), **options.get(suffix, {}))
    found = read_image(path)
    assert image_header(path).size == found.shape[:2] == (24, 40)
    assert image_header(path).orientation == orientation
    assert np.abs(found.astype(int) - picture()).max() <= {".jpg": 6, ".avif": 16}.get(suffix, 0)
    (predicted,) = pictures(Source(path, Path("photo")))
    pixels = predicted.read()
    assert not isinstance(pixels, TiffWindows)
    assert np.array_equal(pixels, found)
    assert np.array_equal(pixels_of(str(path)), found)
    with Image.open(path) as opened:
        assert np.array_equal(pixels_of(opened), found)
    for name in ("train", "val"):
        (tmp_path / "classes" / name / "cat").mkdir(parents=True)
        (tmp_path / "classes" / name / "cat" / path.name).write_bytes(path.read_bytes())
    classified, _ = ImageFolderDataModule(str(tmp_path / "classes")).split("val").read(0)
    assert np.array_equal(classified, found)


@pytest.mark.parametrize("orientation", SIDEWAYS)
@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK"])
def test_tiffs_that_pillow_maps_into_memory(mode: str, orientation: int, tmp_path: Path) -> None:
    """By name Pillow 13 mixes up their pixels where they lie on their side; as a file that is open it does not."""
    path, upright = tmp_path / "photo.tif", Image.fromarray(picture()).convert(mode)
    raw = np.asarray(upright)
    image = Image.fromarray(stored(raw, orientation), mode if mode in ("L", "RGBA", "CMYK") else None)
    if mode == "P":
        image.putpalette(upright.getpalette() or [])
    image.save(path, exif=tagged(orientation))
    expected = np.asarray(upright.convert("RGB"))
    assert np.array_equal(read_image(path), expected)
    with Image.open(path) as opened:
        assert np.array_equal(pixels_of(opened), expected)
    if mode in ("L", "P"):
        codec = LabelCodec({value: value % 7 for value in range(256)})
        assert np.array_equal(codec.read(path), raw % 7)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA"])
def test_pngs_of_every_mode(mode: str, tmp_path: Path) -> None:
    path, image = tmp_path / "photo.png", Image.fromarray(picture()).convert(mode)
    image.save(path, exif=tagged(8))
    assert np.array_equal(read_image(path), turned(np.asarray(image.convert("RGB")), 8))


def test_a_tag_that_a_pillow_image_carries_counts() -> None:
    image = Image.fromarray(picture())
    image.getexif()[274] = 6
    assert np.array_equal(pixels_of(image), turned(picture(), 6))


@pytest.mark.parametrize("number", ORIENTATIONS)
def test_a_photo_and_the_smallest_one(number: int) -> None:
    folder = samples() / "images"
    path = folder / "exif-orientation" / f"Landscape_{number}.jpg"
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    assert np.abs(read_image(path).astype(int) - expected).max() <= 1
    assert read_image(folder / "jpeg" / "orientation_rectangle.jpg").shape == (2, 1, 3)


def test_exif_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    path = tmp_path / "late.png"
    Image.fromarray(picture()).save(path)
    whole = path.read_bytes()
    end = whole.index(b"IEND") - 4
    path.write_bytes(whole[:end] + chunk(b"eXIf", tagged(6).tobytes()[6:]) + whole[end:])
    assert np.array_equal(read_image(path), turned(picture(), 6))
    assert image_header(path).orientation == 6
    damaged = whole[:end] + b"\0\0\0\4eXIfMM\0*" + bytes(4) + whole[end:]
    path.write_bytes(damaged)
    assert image_header(path).orientation == 1, "its checksum does not fit"


def raw_profile(orientation: int) -> str:
    """As ImageMagick writes it: the name, the length, and lines of 72 digits."""
    block = tagged(orientation).tobytes()
    digits = block.hex()
    lines = [digits[start : start + 72] for start in range(0, len(digits), 72)]
    return "\n".join(["", "exif", f"{len(block):8d}", *lines, ""])


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", ["tEXt", "zTXt", "iTXt", "compressed iTXt"])
def test_exif_in_a_text_of_a_png(kind: str, late: bool, tmp_path: Path) -> None:
    path, info, text = tmp_path / "text.png", PngImagePlugin.PngInfo(), raw_profile(6)
    if "iTXt" in kind:
        info.add_itxt("Raw profile type exif", text, zip="compressed" in kind)
    else:
        info.add_text("Raw profile type exif", text, zip=kind == "zTXt")
    Image.fromarray(picture()).save(path, pnginfo=info)
    if late:
        whole = path.read_bytes()
        start = whole.index(b"Raw profile") - 8
        end = start + 12 + int.from_bytes(whole[start : start + 4])
        last = whole.index(b"IEND") - 4
        path.write_bytes(whole[:start] + whole[end:last] + whole[start:end] + whole[last:])
    expected = turned(picture(), 6)
    with Image.open(path) as opened:
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(opened)), expected)
    assert np.array_equal(read_image(path), expected)
    assert image_header(path).orientation == 6
    with Image.open(path) as opened:
        assert np.array_equal(pixels_of(opened), expected)
        assert np.array_equal(pixels_of(opened.copy()), expected)


@pytest.mark.parametrize("looked", [False, True])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_an_orientation_in_xmp_turns_nothing(suffix: str, looked: bool, tmp_path: Path) -> None:
    path, xmp = tmp_path / f"photo{suffix}", b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    options = {".png": {"pnginfo": info}, ".tif": {"tiffinfo": {700: xmp}}}.get(suffix, {"xmp": xmp})
    Image.fromarray(picture()).save(path, **options)
    found = read_image(path)
    assert found.shape == (24, 40, 3)
    assert image_header(path).size == (24, 40)
    with Image.open(path) as opened:
        if looked and suffix != ".tif":
            assert opened.getexif()[274] == 6, "Pillow's own rule"
        assert np.abs(pixels_of(opened).astype(int) - found).max() <= (9 if suffix == ".jpg" else 0)
        assert "xmp" in opened.info


def test_a_tag_that_was_taken_out_in_python_turns_nothing(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(picture()).save(path, exif=tagged(6))
    with Image.open(path) as opened:
        opened.getexif()[274] = 1
        assert np.array_equal(pixels_of(opened), picture())


def test_damaged_exif_turns_nothing() -> None:
    whole = tagged(6).tobytes()
    assert orientation_of(whole) == orientation_of(whole.removeprefix(b"Exif\0\0")) == 6
    assert [orientation_of(whole[:length]) for length in range(len(whole) - 6)] == [1] * (len(whole) - 6)
    rng = np.random.default_rng(0)
    for _ in range(2000):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), 4):
            data[place] = rng.integers(0, 256)
        assert orientation_of(bytes(data)) in ORIENTATIONS


def test_a_mask_is_turned_by_its_own_tag(tmp_path: Path) -> None:
    path, mask = tmp_path / "mask.png", np.arange(12, dtype=np.uint8).reshape(3, 4)
    codec = LabelCodec({value: value for value in range(12)})
    palette = Image.fromarray(mask)
    palette.putpalette(bytes(range(36)))
    for image in (Image.fromarray(mask), Image.fromarray(mask.astype(np.uint16)), palette):
        image.save(path, exif=tagged(6))
        assert codec.read(path).tolist() == np.rot90(mask, -1).tolist()


def findings(datamodule: FileDataModule) -> list[tuple[str, str, list[str]]]:
    """Level, slug and files of the doctor's findings, except those about classes and duplicates."""
    found = survey(datamodule)
    numbers = {name: statistics(facts, found.tables[name]) for name, facts in found.splits.items()}
    return [
        (one.rule.level, one.rule.slug, sorted(case.file for case in one.cases))
        for one in examine(found, numbers)
        if one.rule.slug not in ("class-never-seen", "class-in-one-split", "duplicate", "near-duplicate")
    ]


def refusals(datamodule: FileDataModule) -> tuple[str, str]:
    """What the quick check and what training say."""
    with pytest.raises(UserError) as quick:
        quick_check(datamodule, "doctor")
    samples = SegmentationDataset(datamodule.split("train"))
    with pytest.raises(UserError) as training:
        samples[0, 0]
    return str(quick.value), str(training.value)


def labelled(root: Path, orientation: int, of_stored: bool = False) -> Path:
    """A LabelMe set whose images need turning, with a cat over the upper left quarter of the upright picture."""
    fabricate.labelme(root, train=1, val=1, test=0)
    height, width = (24, 40) if not of_stored else picture_size(orientation)
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[0, 0], [width // 2 - 1, height // 2 - 1]]}
    for name in ("train", "val"):
        Image.fromarray(stored(picture(), orientation)).save(
            root / name / "000.jpg", quality=98, exif=tagged(orientation)
        )
        table = {"imageHeight": height, "imageWidth": width, "shapes": [shape]}
        (root / name / "000.json").write_text(json.dumps(table))
    return root


def picture_size(orientation: int) -> tuple[int, int]:
    return (40, 24) if orientation in SIDEWAYS else (24, 40)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_labelme_draws_on_the_turned_picture(orientation: int, tmp_path: Path) -> None:
    datamodule = LabelMeDataModule(str(labelled(tmp_path / "data", orientation)))
    image, mask, _ = datamodule.split("train").read(0)
    assert np.abs(image.astype(int) - picture()).max() <= 12
    expected = np.zeros((24, 40), np.uint8)
    expected[:12, :20] = 1
    assert np.array_equal(mask, expected)
    quick_check(datamodule, "doctor", overfits=True)
    assert findings(datamodule) == []
    cache(datamodule, str(tmp_path / "cache"))
    cached = LabelMeDataModule(str(tmp_path / "data"), cache=str(tmp_path / "cache"))
    cached.setup("validate")
    assert np.array_equal(cached.splits["val"].read(0)[0], datamodule.split("val").read(0)[0])


@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_shapes_on_the_stored_picture_are_refused(orientation: int, tmp_path: Path) -> None:
    root = labelled(tmp_path / "data", orientation, of_stored=True)
    datamodule, path = LabelMeDataModule(str(root)), str(root / "train" / "000.jpg")
    quick, training = refusals(datamodule)
    told = f"{path}: its EXIF orientation {orientation} turns it to 24x40"
    assert quick.startswith(told)
    assert training.startswith(told)
    assert f"{root}/train/000.json fits the image as it is stored, 40x24" in training
    assert [(level, slug) for level, slug, _ in findings(datamodule)] == [("mistake", "exif-rotated")] * 2


def coco(root: Path, orientation: int, of_stored: bool) -> Path:
    fabricate.coco_json(root, train=1, val=1, size=(36, 48))
    for path in root.glob("*2017/*.jpg"):
        Image.fromarray(stored(picture((36, 48)), orientation)).save(path, exif=tagged(orientation))
    if of_stored:
        for path in root.glob("annotations/*.json"):
            table = json.loads(path.read_text())
            table["images"][0].update(height=48, width=36)
            table["annotations"] = [one for one in table["annotations"] if isinstance(one["segmentation"], list)]
            path.write_text(json.dumps(table))
    return root


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_coco_outlines_lie_on_the_turned_picture(orientation: int, tmp_path: Path) -> None:
    datamodule = COCOPolygonsDataModule(str(coco(tmp_path / "turned", orientation, of_stored=False)))
    image, mask, _ = datamodule.split("train").read(0)
    assert image.shape[:2] == mask.shape == (36, 48)
    assert np.abs(image.astype(int) - picture((36, 48))).mean() < 8
    quick_check(datamodule, "doctor", overfits=True)
    assert findings(datamodule) == []
    if orientation in SIDEWAYS:
        datamodule = COCOPolygonsDataModule(str(coco(tmp_path / "stored", orientation, of_stored=True)))
        for told in refusals(datamodule):
            assert f"its EXIF orientation {orientation} turns it to 36x48" in told
            assert "instances_train2017.json fits the image as it is stored, 48x36" in told
        assert {slug for _, slug, _ in findings(datamodule)} == {"exif-rotated"}


def folder(root: Path, orientation: int, of_stored: bool) -> Path:
    """The folder layout whose first training image needs turning, its mask made before or after."""
    fabricate.folder(root)
    upright, path = fabricate.raw(root / "images" / "train" / "000.png"), root / "images" / "train" / "000.png"
    Image.fromarray(stored(upright, orientation)).save(path, exif=tagged(orientation))
    mask = root / "masks" / "train" / "000.png"
    if of_stored:
        fabricate.save_mask(mask, stored(fabricate.raw(mask), orientation))
    return root


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_masks_of_the_turned_picture(orientation: int, tmp_path: Path) -> None:
    root = folder(tmp_path / "data", orientation, of_stored=False)
    datamodule = FolderDataModule(str(root))
    quick_check(datamodule, "doctor")
    assert datamodule.split("train").read(0)[0].shape == (36, 48, 3)
    image = str(root / "images" / "train" / "000.png")
    told = [("hint", "exif-tagged", [image])] if orientation in (2, 3, 4) else []
    assert findings(datamodule) == told, "where the size does not change, nobody can tell"


@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_masks_of_the_stored_picture(orientation: int, tmp_path: Path, seglight_cli: Callable[..., Ran]) -> None:
    root = folder(tmp_path / "data", orientation, of_stored=True)
    datamodule, path = FolderDataModule(str(root)), root / "images" / "train" / "000.png"
    for message in refusals(datamodule):
        assert message.startswith(f"{path}: its EXIF orientation {orientation} turns it to 36x48")
        assert "remove the tag from the image, as `seglight doctor --fix` does" in message
    assert findings(datamodule) == [("mistake", "exif-rotated", [str(path)])]
    config = plant.recipe(tmp_path / "recipe.yaml", "FolderDataModule", root)
    seglight_cli("doctor", "--config", config, "--fix", tmp_path / "fixed")
    fixed = FolderDataModule(str(tmp_path / "fixed"))
    quick_check(fixed, "doctor")
    assert findings(fixed) == []
    image, mask, _ = fixed.split("train").read(0)
    assert np.array_equal(image, fabricate.raw(path)), "the pixels as they were stored"
    assert np.array_equal(mask, fabricate.raw(root / "masks" / "train" / "000.png"))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_repair_of_something_else_turns_the_image(
    suffix: str, tmp_path: Path, seglight_cli: Callable[..., Ran]
) -> None:
    """The tag is lost in writing, so that the pixels are turned first."""
    root = folder(tmp_path / "data", 1, of_stored=False)
    path = root / "images" / "train" / f"000{suffix}"
    upright = fabricate.raw(root / "images" / "train" / "000.png")
    alpha = np.full((*upright.shape[:2], 1), 255, np.uint8)
    (root / "images" / "train" / "000.png").unlink()
    Image.fromarray(stored(np.concatenate([upright, alpha], 2), 8)).save(path, exif=tagged(8))
    config = plant.recipe(tmp_path / "recipe.yaml", "FolderDataModule", root)
    seglight_cli("doctor", "--config", config, "--fix", tmp_path / "fixed")
    found = tmp_path / "fixed" / "images" / "train" / f"000{suffix}"
    assert np.array_equal(fabricate.raw(found), upright)
    assert image_header(found).orientation == 1


def test_a_page_of_a_tiff_is_turned_too(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(picture(), photometric="rgb", metadata=None)
        file.write(picture(), photometric="rgb", extratags=[(274, 3, 1, 6, True)], metadata=None)
    found: list[Any] = [page.read() for page in pictures(Source(path, Path("pages")))]
    assert np.array_equal(found[0], picture())
    assert np.array_equal(found[1], turned(picture(), 6))
