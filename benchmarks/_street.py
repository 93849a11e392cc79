"""Drawn data sets in the layouts of real ones, with files that compress and decode like camera pictures."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def scene(seed: int, height: int, width: int, labels: int, noise: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw a shaded, noisy picture of large regions and their labels: uint8 (height, width, 3) and (height, width).

    With a noise of 1.8 grey levels a 2048x1024 PNG takes about 2.8 MB, like those of Cityscapes. With 6 levels a
    500x375 JPEG takes about 80 kB, like those of VOC.
    """
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, labels, (max(2, height // 48), max(2, width // 48)), np.uint8)
    blocks = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_NEAREST)
    mask = cv2.medianBlur(blocks, 15).astype(np.uint8)
    shade = cv2.resize(rng.uniform(0.5, 1.0, (6, 8)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    colors = rng.uniform(30, 220, (labels, 3)).astype(np.float32)
    picture = cv2.GaussianBlur(colors[mask], (0, 0), 1.5) * shade[..., None]
    grain = noise * rng.standard_normal((height, width, 3), np.float32)
    return np.clip(picture + grain, 0, 255).astype(np.uint8), mask


def save(image_path: Path, mask_path: Path, seed: int, size: tuple[int, int], labels: int) -> None:
    """Write a scene; the suffix of the image's path selects its format."""
    image, mask = scene(seed, *size, labels, 6.0 if image_path.suffix == ".jpg" else 1.8)
    for path, pixels in ((image_path, image), (mask_path, mask)):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=92)


def cityscapes(root: Path, train: int, val: int = 2, size: tuple[int, int] = (1024, 2048)) -> Path:
    """Write PNGs in Cityscapes' folders, with masks of its 34 label ids."""
    for split, count in (("train", train), ("val", val)):
        for k in range(count):
            stem = f"aachen_{k:06d}_000019"
            image = root / "leftImg8bit" / split / "aachen" / f"{stem}_leftImg8bit.png"
            mask = root / "gtFine" / split / "aachen" / f"{stem}_gtFine_labelIds.png"
            save(image, mask, k + 10_000 * (split == "val"), size, 34)
    return root


def voc(root: Path, train: int, val: int = 2) -> Path:
    """Write 500x375 JPEGs and index PNGs in VOC's folders."""
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, count in (("train", train), ("val", val)):
        stems = [f"{split}_{k:06d}" for k in range(count)]
        for k, stem in enumerate(stems):
            mask = root / "SegmentationClass" / f"{stem}.png"
            save(root / "JPEGImages" / f"{stem}.jpg", mask, k + 10_000 * (split == "val"), (375, 500), 21)
        (lists / f"{split}.txt").write_text("\n".join(stems))
    return root


def camvid(root: Path, train: int, val: int = 2) -> Path:
    """Write 480x360 PNGs in the folders of CamVid's 11-class version."""
    for split, count in (("train", train), ("val", val)):
        for k in range(count):
            mask = root / f"{split}annot" / f"{k:06d}.png"
            save(root / split / f"{k:06d}.png", mask, k + 10_000 * (split == "val"), (360, 480), 12)
    return root
