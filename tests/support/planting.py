"""Ways to spoil a data set."""

import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
import yaml
from numpy.typing import NDArray
from PIL import Image

from seglight.commands.doctor.facts import brightness
from seglight.data import FileDataModule
from seglight.data.classes import Classes
from seglight.data.labels import ColorCodec, LabelCodec
from seglight.data.pairs import FilePairs, image_files, surplus_masks
from tests.support import fabricate
from tests.support import planting as plant

CLASSES = {name: f"seglight.data.{name}DataModule" for name in ("VOC", "Cityscapes", "CamVid", "Folder")}
MAKE: dict[str, Callable[[Path], Path]] = {
    "VOC": fabricate.voc,
    "Cityscapes": fabricate.cityscapes,
    "CamVid": fabricate.camvid,
    "Folder": fabricate.folder,
}


class ColourDataModule(FileDataModule):
    """The folder layout with colours for labels."""

    classes = Classes(("ground", "cat", "dog"), fabricate.COLORS[:3])

    def listing(self, name: str) -> FilePairs:
        images = image_files(self.root / "images" / name, f"the {name} images")
        masks = [self.root / "masks" / name / image.name for image in images]
        codec = ColorCodec({color: index for index, color in enumerate(self.classes.palette)}, ((255, 255, 255),))
        return FilePairs(images, masks, codec, surplus_masks(self.root / "masks" / name, masks))


class WideDataModule(FileDataModule):
    """The folder layout with label values that lie far apart."""

    classes = Classes(("dry", "water"), ((120, 90, 60), (30, 90, 200)))

    def listing(self, name: str) -> FilePairs:
        images = image_files(self.root / "images" / name, f"the {name} images")
        return FilePairs(
            images, [self.root / "masks" / name / image.name for image in images], LabelCodec({0: 0, 200: 1})
        )


def recipe(path: Path, class_path: str, root: Path) -> Path:
    """A recipe with a net that is never built; a class of seglight.data may be given by its name."""
    class_path = class_path if "." in class_path else f"seglight.data.{class_path}"
    content: dict[str, Any] = {
        "trainer": {"max_epochs": 1},
        "model": {"net": {"class_path": "nowhere.Net"}},
        "data": {"class_path": class_path, "init_args": {"root": str(root), "augmentation": {"crop_size": 32}}},
    }
    path.write_text(yaml.safe_dump(content))
    return path


def colour_folder(root: Path) -> Path:
    """The folder layout with each mask in the colours of its classes, white where it is ignored."""
    fabricate.folder(root)
    for path in root.glob("masks/*/*.png"):
        Image.fromarray(coloured(fabricate.raw(path), fabricate.COLORS)).save(path)
    return root


def wide_folder(root: Path) -> Path:
    """The folder layout with 0 and 200 for two classes, in areas that an 8x8 block fits in."""
    fabricate.folder(root, size=(64, 96), names=("dry", "water"))
    rng = np.random.default_rng(5)
    for path in root.glob("masks/*/*.png"):
        fabricate.save_mask(path, fabricate.labels(rng, (64, 96), (0, 200), block=12))
    return root


def coloured(mask: NDArray[np.uint8], palette: Any) -> NDArray[np.uint8]:
    """Colours of a mask; white where there is no class."""
    table = np.full((256, 3), 255, np.uint8)
    table[: len(palette)] = palette
    return table[mask]


def remap(path: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Path:
    """Rewrite an image file with other pixels; a palette is dropped."""
    pixels = change(fabricate.raw(path))
    Image.fromarray(pixels).save(path, format="JPEG" if path.suffix == ".jpg" else "PNG")
    return path


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def cut(path: Path, share: float = 0.5) -> Path:
    return write(path, path.read_bytes()[: int(share * path.stat().st_size)])


def flip(path: Path) -> Path:
    """One bit among the pixels of a PNG."""
    content = bytearray(path.read_bytes())
    content[content.index(b"IDAT") + 12] ^= 4
    return write(path, bytes(content))


def bomb(path: Path) -> Path:
    """A PNG whose header announces three and a half gigapixels."""
    return write(path, png(60_000, 60_000, 8, zlib.compress(b"\0")))


def png(width: int, height: int, bits: int, data: bytes) -> bytes:
    """A grey PNG of any depth."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def pack(path: Path) -> Path:
    """A mask of values below 16 as a grey PNG of 4 bits."""
    mask = np.where(fabricate.raw(path) == 255, 0, fabricate.raw(path))
    rows = (mask[:, ::2] << 4 | mask[:, 1::2]).astype(np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    return write(path, png(mask.shape[1], mask.shape[0], 4, zlib.compress(lines)))


def with_exif(path: Path, orientation: int, turn: bool) -> Path:
    """Tag a JPEG; with `turn`, store it so that it stands right only when the tag is obeyed."""
    with Image.open(path) as opened:
        image = opened.transpose(Image.Transpose.ROTATE_90) if turn else opened.copy()
    exif = Image.Exif()
    exif[274] = orientation
    image.save(path, exif=exif)
    return path


def as_mode(path: Path, mode: str, **more: Any) -> Path:
    with Image.open(path) as opened:
        image = opened.convert(mode)
    image.save(path, **more)
    return path


def transparent(path: Path) -> Path:
    def change(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        alpha[:4] = 0
        return np.concatenate([pixels, alpha], 2)

    return remap(path, change)


def deep(path: Path) -> Path:
    """Grey of 16 bits."""
    return remap(path, lambda pixels: pixels[..., 0].astype(np.uint16) * 257)


def wide(path: Path) -> Path:
    """RGB of 16 bits a channel."""
    cv2.imwrite(str(path), fabricate.raw(path).astype(np.uint16) * 257)
    return path


def moving(path: Path) -> Path:
    """Of two frames."""
    image = Image.fromarray(fabricate.raw(path))
    image.save(path, save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_180)])
    return path


def four_bands(path: Path) -> Path:
    """A TIFF of RGB and another band, under whatever name."""
    pixels = fabricate.raw(path)
    tifffile.imwrite(path, np.dstack([pixels, pixels[..., :1]]), photometric="rgb", extrasamples=["unspecified"])
    return path


def float_mask(path: Path) -> Path:
    Image.fromarray(fabricate.raw(path).astype(np.float32)).save(path, format="TIFF")
    return path


def interpolate(path: Path) -> Path:
    """Shrink a mask sharply and enlarge it smoothly."""

    def change(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = mask.shape
        small = np.ascontiguousarray(mask[::2, ::2])
        return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)

    return remap(path, change)


def jpeg_ghosts(path: Path, quality: int = 75) -> Path:
    """Through JPEG and back to PNG."""

    def change(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        _, code = cv2.imencode(".jpg", mask, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)

    return remap(path, change)


def large_ghosts(root: Path, image: str, mask: str, values: Any) -> Path:
    """A pair large enough for the blocks of JPEG to show: through JPEG and back."""
    rng, size = np.random.default_rng(4), (140, 190)
    fabricate.save_image(root / image, rng, size)
    fabricate.save_mask(root / mask, fabricate.labels(rng, size, values, block=20))
    return jpeg_ghosts(root / mask, 60)


def as_jpeg(path: Path) -> Path:
    """JPEG under whatever name."""
    mask = fabricate.raw(path)
    Image.fromarray(mask).save(path, format="JPEG", quality=90)
    return path


def luma(path: Path, palette: Any) -> Path:
    """The brightness of the classes' colours, ignored pixels as white."""
    weights = (299, 587, 114)
    return remap(path, lambda mask: ((coloured(mask, palette).astype(int) @ weights + 500) // 1000).astype(np.uint8))


def adaptive(path: Path, palette: Any) -> Path:
    """A palette of the colours in this picture alone, in the order of their number."""
    colors = np.unique(coloured(fabricate.raw(path), palette).reshape(-1, 3), axis=0, return_inverse=True)
    image = Image.fromarray(colors[1].reshape(fabricate.raw(path).shape).astype(np.uint8))
    image.putpalette(colors[0].astype(np.uint8).tobytes())
    image.save(path)
    return path


def rename(path: Path, name: str) -> Path:
    return path.rename(path.with_name(name))


def copy(source: Path, target: Path) -> Path:
    shutil.copy(source, target)
    return target


def reduce_zero_label(mask: NDArray[np.uint8], void: int) -> NDArray[np.uint8]:
    """As it is done where 0 stands for no class."""
    return np.where((mask == 0) | (mask == void), void, mask - 1).astype(np.uint8)


def drifting(root: Path, frames: int = 12) -> list[Path]:
    """CamVid anew as one slow pan, every second frame of which is in val."""
    rng = np.random.default_rng(9)
    scene = cv2.resize(rng.integers(0, 256, (4, 12, 3), np.uint8), (120, 36), interpolation=cv2.INTER_CUBIC)
    paths = []
    for split in ("train", "val", "test"):
        for path in (*root.glob(f"{split}/*"), *root.glob(f"{split}annot/*")):
            path.unlink()
    for k in range(frames):
        split = ("train", "val")[k % 2]
        path = root / split / f"0001TP_{30 * k:06d}.png"
        Image.fromarray(np.ascontiguousarray(scene[:, 3 * k : 3 * k + 48])).save(path)
        fabricate.save_mask(root / f"{split}annot" / path.name, fabricate.labels(rng, (36, 48), range(12)))
        paths.append(path)
    return paths


def grey_of(colors: Any) -> list[int]:
    return [int(brightness(np.array(r << 16 | g << 8 | b))) for r, g, b in colors]


def two_classes(root: Path) -> list[Path]:
    """0/255 masks throughout, in the folder layout with two classes."""
    table = yaml.safe_load((root / "classes.yaml").read_text())
    table["classes"] = table["classes"][:2]
    (root / "classes.yaml").write_text(yaml.safe_dump(table))
    paths = sorted(root.glob("masks/*/*.png"))
    for path in paths:
        plant.remap(path, lambda mask: np.where(mask == 1, 255, 0).astype(np.uint8))
    return paths
