"""CIFAR-10, the binary version: root/data_batch_{1..5}.bin, root/test_batch.bin, root/batches.meta.txt."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seglight.data.files import content
from seglight.data.labelled_images import LabelledImagesDataModule
from seglight.errors import UserError


class CIFAR10DataModule(LabelledImagesDataModule):
    """CIFAR-10, 50,000 and 10,000 images of 32x32 pixels in ten classes (Krizhevsky 2009); its test images are `val`.

    Args:
        root: The folder `cifar-10-batches-bin` of the binary version.
        size: Height and width in pixels that images are brought to.
        crop_area: Least share of an image's area that a training crop shows.
        batch_size: Images a process and step.
        num_workers: Loader processes.
        seed: Decides order and augmentation.

    Raises:
        UserError: It is not there.
    """

    def __init__(
        self,
        root: str,
        size: int = 32,
        crop_area: float = 0.5,
        batch_size: int = 128,
        num_workers: int = 2,
        seed: int = 0,
    ) -> None:
        self.root = Path(root)
        names = content(self.root / "batches.meta.txt").decode().split()
        super().__init__(names, size, crop_area, batch_size, num_workers, seed)

    def split(self, name: str) -> "Records":
        """The images of "train" or "val"."""
        files = [f"data_batch_{k}.bin" for k in range(1, 6)] if name == "train" else ["test_batch.bin"]
        return Records(np.concatenate([_records(self.root / file) for file in files]))


def _records(path: Path) -> NDArray[np.uint8]:
    data = np.frombuffer(content(path), np.uint8)
    if len(data) == 0 or len(data) % 3073:
        raise UserError(f"{path}: {len(data)} bytes, no whole number of records of 3073: fetch it again")
    return data.reshape(-1, 3073)


@dataclass(frozen=True)
class Records:
    """Records of CIFAR-10, uint8 (images, 3073): a label, and the planes of red, green and blue."""

    data: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.data)

    def read(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """Image uint8 (32, 32, 3), and its class index."""
        record = self.data[index]
        return record[1:].reshape(3, 32, 32).transpose(1, 2, 0), int(record[0])
