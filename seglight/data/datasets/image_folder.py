"""Images in one folder per class, as for torchvision's ImageFolder: root/train/cat/1.jpg, root/val/cat/7.png."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.data.datasets.labelled_images import LabelledImagesDataModule
from seglight.data.pairs import existing_folder, image_files
from seglight.errors import UserError
from seglight.images.decode import read_image


class ImageFolderDataModule(LabelledImagesDataModule):
    """One folder per class under root/train and root/val.

    Args:
        root: Parent folder of both splits.
        size: Height and width in pixels to which images are resized.
        crop_area: Least fraction of an image's area in a training crop.
        batch_size: Images per process and step.
        num_workers: Number of loader processes.
        seed: Seed of order and augmentation.

    Raises:
        UserError: There is no class, or `val` has a class that `train` does not have.
    """

    def __init__(
        self,
        root: str,
        size: int = 224,
        crop_area: float = 0.08,
        batch_size: int = 64,
        num_workers: int = 2,
        seed: int = 0,
    ) -> None:
        self.root = Path(root)
        names, of_val = (_folders(self.root / name) for name in ("train", "val"))
        strange = sorted({*of_val} - {*names})
        if strange:
            raise UserError(f"{self.root}/val/{strange[0]}: no such class under {self.root}/train")
        super().__init__(names, size, crop_area, batch_size, num_workers, seed)

    def split(self, name: str) -> "Files":
        """The images of "train" or "val"."""
        found = [
            (path, label)
            for label, class_name in enumerate(self.class_names)
            if (self.root / name / class_name).is_dir()
            for path in image_files(self.root / name / class_name, f"the {name} images of {class_name}")
        ]
        return Files([path for path, _ in found], [label for _, label in found])


def _folders(folder: Path) -> list[str]:
    names = sorted(path.name for path in existing_folder(folder, "one folder per class").iterdir() if path.is_dir())
    if not names:
        raise UserError(f"{folder}: no folder there: create one for each class, with its name")
    return names


@dataclass(frozen=True)
class Files:
    """Image files with a class each."""

    paths: Sequence[Path]
    labels: Sequence[int]

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """Image uint8 (H, W, 3), and its class index."""
        return read_image(self.paths[index]), self.labels[index]
