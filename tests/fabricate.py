"""Write small data sets of noise in the folder layouts of the real ones. The same arguments write the same files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray
from PIL import Image

Size = tuple[int, int]
"""Height and width."""

COLORS = ((0, 0, 0), (200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40))


def labels(rng: np.random.Generator, size: Size, values: Sequence[int], block: int = 4) -> NDArray[np.uint8]:
    """Square blocks, each of one value; every value occurs where there are blocks enough."""
    rows, columns = -(-size[0] // block), -(-size[1] // block)
    grid = rng.permutation(np.resize(np.asarray(values, np.uint8), rows * columns)).reshape(rows, columns)
    return np.kron(grid, np.ones((block, block), np.uint8))[: size[0], : size[1]]


def save_image(path: Path, rng: np.random.Generator, size: Size) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(path)


def save_mask(path: Path, mask: NDArray[np.uint8], palette: NDArray[np.uint8] | None = None) -> None:
    """An index PNG: mode L, or mode P with a palette (256, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask)
    if palette is not None:
        image.putpalette(palette.tobytes())
    image.save(path)


def raw(path: Path) -> NDArray[np.uint8]:
    """What stands in an image file."""
    with Image.open(path) as image:
        return np.asarray(image)


def voc_palette() -> NDArray[np.uint8]:
    """VOClabelcolormap.m of the VOC devkit, line by line."""
    palette = np.zeros((256, 3), np.uint8)
    for index in range(256):
        rest, r, g, b = index, 0, 0, 0
        for bit in range(8):
            r |= (rest & 1) << (7 - bit)
            g |= (rest >> 1 & 1) << (7 - bit)
            b |= (rest >> 2 & 1) << (7 - bit)
            rest >>= 3
        palette[index] = r, g, b
    return palette


def voc(root: Path, train: int = 4, val: int = 3, size: Size = (40, 56), trainaug: int = 0, seed: int = 0) -> Path:
    """VOC2012: JPEGs of differing sizes, palette masks with a border of 255; with `trainaug`, SBD's further images."""
    rng = np.random.default_rng(seed)
    names = {
        "train": [f"2007_{k:06d}" for k in range(train)],
        "val": [f"2009_{k:06d}" for k in range(val)],
        "trainaug": [f"2008_{k:06d}" for k in range(trainaug)],
    }
    for split, stems in names.items():
        for k, stem in enumerate(stems):
            shape = (size[0] + 4 * (k % 3), size[1] - 4 * (k % 2))
            save_image(root / "JPEGImages" / f"{stem}.jpg", rng, shape)
            mask = labels(rng, shape, range(21))
            mask[[0, -1]] = 255
            mask[:, [0, -1]] = 255
            if split != "trainaug":
                save_mask(root / "SegmentationClass" / f"{stem}.png", mask, voc_palette())
            if trainaug and split != "val":
                save_mask(root / "SegmentationClassAug" / f"{stem}.png", mask)
    if trainaug:
        names["trainaug"] += names["train"]
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, stems in names.items():
        if stems:
            (lists / f"{split}.txt").write_text("".join(f"{stem}\n" for stem in stems))
    return root


def cityscapes(root: Path, train: int = 4, val: int = 2, size: Size = (64, 128), seed: int = 0) -> Path:
    """Cityscapes: images by split and city, masks of the 34 label ids."""
    rng = np.random.default_rng(seed)
    for split, count, cities in (("train", train, ("aachen", "bochum")), ("val", val, ("frankfurt",))):
        for k in range(count):
            city = cities[k % len(cities)]
            stem = f"{city}_{k:06d}_000019"
            save_image(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", rng, size)
            mask = labels(rng, size, range(34))
            save_mask(root / "gtFine" / split / city / f"{stem}_gtFine_labelIds.png", mask)
    return root


def camvid(
    root: Path, train: int = 4, val: int = 2, test: int = 2, size: Size = (36, 48), void: int = 11, seed: int = 0
) -> Path:
    """CamVid of the SegNet tutorial: `train` beside `trainannot`; `void` lies in every mask."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", val), ("test", test)):
        for k in range(count):
            name = f"0001TP_{30 * k:06d}.png"
            save_image(root / split / name, rng, size)
            save_mask(root / f"{split}annot" / name, labels(rng, size, [*range(11), void]))
    return root


def folder(
    root: Path,
    train: int = 4,
    val: int = 2,
    test: int = 2,
    size: Size = (36, 48),
    names: Sequence[str] = ("ground", "cat", "dog"),
    seed: int = 0,
) -> Path:
    """Images and masks by split, and the `classes.yaml` that names the classes; 255 is ignored."""
    rng = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", val), ("test", test)):
        for k in range(count):
            save_image(root / "images" / split / f"{k:03d}.png", rng, size)
            save_mask(root / "masks" / split / f"{k:03d}.png", labels(rng, size, [*range(len(names)), 255]))
    classes = [{"name": name, "color": list(color)} for name, color in zip(names, COLORS, strict=False)]
    (root / "classes.yaml").write_text(yaml.safe_dump({"ignore": 255, "classes": classes}))
    return root
