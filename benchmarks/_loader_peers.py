"""Two common ways to load segmentation data: torchvision's data sets with its v2 transforms, and albumentations."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import albumentations as A
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import datasets, tv_tensors
from torchvision.transforms import v2

from seglight.data.datasets.cityscapes_classes import TRAIN_IDS

SCALE = (0.5, 2.0)
JITTER = (0.4, 0.4, 0.4, 0.05)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WORKERS, BATCH = 2, 8

Layout = Literal["cityscapes", "voc", "camvid"]


@dataclass(frozen=True)
class Case:
    """A data set on disk, the size of its images and the size of the crops."""

    layout: Layout
    root: Path
    size: tuple[int, int]
    crop: tuple[int, int]


def geometry_v2(case: Case) -> list[Any]:
    """Return torchvision's transforms: scale the whole image, crop with padding, flip."""
    short = min(case.size)
    fill = {tv_tensors.Image: 128, tv_tensors.Mask: 255}
    return [
        v2.RandomResize(round(SCALE[0] * short), round(SCALE[1] * short) + 1),
        v2.RandomCrop(case.crop, pad_if_needed=True, fill=fill),
        v2.RandomHorizontalFlip(),
    ]


def geometry_albumentations(case: Case) -> list[Any]:
    """Return albumentations' transforms: scale the whole image, pad, crop, flip."""
    return [
        A.RandomScale((SCALE[0] - 1, SCALE[1] - 1), mask_interpolation=cv2.INTER_NEAREST, p=1),
        A.PadIfNeeded(*case.crop, position="random", fill=128, fill_mask=255),
        A.RandomCrop(*case.crop),
        A.HorizontalFlip(),
    ]


class OwnDataset(Dataset[Any]):
    """A usual hand-written data set: pairs of files, a reader, a transform."""

    def __init__(self, pairs: list[tuple[Path, Path]], read: Callable[[Path, Path], Any], transform: Any) -> None:
        self.pairs = pairs
        self.read = read
        self.transform = transform

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Any:
        return self.transform(*self.read(*self.pairs[index]))


def file_pairs(case: Case) -> list[tuple[Path, Path]]:
    """Return the images of the training split with their masks."""
    if case.layout == "cityscapes":
        images = sorted((case.root / "leftImg8bit" / "train").glob("*/*.png"))
        masks = [Path(str(p).replace("leftImg8bit/", "gtFine/", 1)) for p in images]
        return [
            (p, m.with_name(m.name.replace("_leftImg8bit", "_gtFine_labelIds")))
            for p, m in zip(images, masks, strict=True)
        ]
    if case.layout == "voc":
        stems = (case.root / "ImageSets" / "Segmentation" / "train.txt").read_text().split()
        return [
            (case.root / "JPEGImages" / f"{stem}.jpg", case.root / "SegmentationClass" / f"{stem}.png")
            for stem in stems
        ]
    return [(p, case.root / "trainannot" / p.name) for p in sorted((case.root / "train").glob("*.png"))]


def label_table(case: Case) -> torch.Tensor:
    """Return the class index of each label value, 255 for ignored values."""
    if case.layout == "voc":
        return torch.arange(256)
    values = TRAIN_IDS if case.layout == "cityscapes" else range(11)
    table = torch.full((256,), 255)
    table[list(values)] = torch.arange(len(values))
    return table


def torchvision_loader(case: Case) -> DataLoader[Any]:
    """Return a loader of torchvision's data set (of `OwnDataset` for CamVid, which has none) with v2 transforms."""
    table = label_table(case)
    steps = v2.Compose(
        [
            v2.ToImage(),
            *geometry_v2(case),
            v2.ColorJitter(*JITTER),
            v2.ToDtype({tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )

    def transform(image: Any, mask: Any) -> Any:
        image, mask = steps(image, mask)
        return image, table[mask[0]]

    dataset: Any
    if case.layout == "cityscapes":
        dataset = datasets.Cityscapes(str(case.root), "train", "fine", "semantic", transforms=transform)
        dataset = datasets.wrap_dataset_for_transforms_v2(dataset)
    elif case.layout == "voc":
        above = str(case.root.parents[1])  # above VOCdevkit/VOC2012
        dataset = datasets.VOCSegmentation(above, "2012", "train", transforms=transform)
        dataset = datasets.wrap_dataset_for_transforms_v2(dataset)
    else:
        dataset = OwnDataset(file_pairs(case), _read_v2, transform)
    return _loader(dataset)


def albumentations_loader(case: Case) -> DataLoader[Any]:
    """Return a loader with OpenCV and albumentations that normalises in the worker."""
    table = label_table(case)
    steps = A.Compose([*geometry_albumentations(case), A.ColorJitter(*JITTER), A.Normalize(MEAN, STD), A.ToTensorV2()])

    def transform(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Any:
        out = steps(image=image, mask=mask)
        return out["image"], table[out["mask"].long()]

    return _loader(OwnDataset(file_pairs(case), _read_cv2, transform))


def _read_v2(image: Path, mask: Path) -> Any:
    return Image.open(image).convert("RGB"), tv_tensors.Mask(v2.functional.pil_to_tensor(Image.open(mask)))


def _read_cv2(image: Path, mask: Path) -> Any:
    return cv2.imread(str(image), cv2.IMREAD_COLOR_RGB), np.array(Image.open(mask))


def _loader(dataset: Dataset[Any]) -> DataLoader[Any]:
    # one thread per worker and shuffling, as is usual
    return DataLoader(dataset, BATCH, shuffle=True, drop_last=True, num_workers=WORKERS, persistent_workers=True)
