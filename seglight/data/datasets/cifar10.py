"""CIFAR-10, in either of its layouts.

    root/data_batch_{1..5}.bin  root/test_batch.bin  root/batches.meta.txt    the binary version
    root/data_batch_{1..5}      root/test_batch      root/batches.meta        the Python version

Files of the Python version are pickles: only dicts, lists, bytes and numpy arrays are built from them.
"""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglight.data.datasets.labelled_images import LabelledImagesDataModule
from seglight.data.pairs import root_folder
from seglight.errors import UserError
from seglight.images.file_content import content

PARTS_OF_ARRAYS = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}
"""Functions that pickles of arrays call."""


class CIFAR10DataModule(LabelledImagesDataModule):
    """CIFAR-10, 50,000 and 10,000 images of 32x32 pixels in ten classes (Krizhevsky 2009); its test images are `val`.

    Args:
        root: Folder `cifar-10-batches-bin` or `cifar-10-batches-py`.
        size: Height and width in pixels to which images are resized.
        crop_area: Least fraction of an image's area in a training crop.
        batch_size: Images per process and step.
        num_workers: Number of loader processes.
        seed: Seed of order and augmentation.

    Raises:
        UserError: A file is missing or damaged.
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
        self.root = root_folder(root)
        self.pickled = (self.root / "batches.meta").exists()
        if self.pickled:
            names = list(_unpickled(self.root / "batches.meta", "label_names")[0])
        else:
            names = content(self.root / "batches.meta.txt").decode().split()
        super().__init__(names, size, crop_area, batch_size, num_workers, seed)

    def split(self, name: str) -> "Records":
        """The images of "train" or "val"."""
        files = [f"data_batch_{k}" for k in range(1, 6)] if name == "train" else ["test_batch"]
        read, suffix = (_batch, "") if self.pickled else (_records, ".bin")
        return Records(np.concatenate([read(self.root / f"{file}{suffix}") for file in files]))


def _records(path: Path) -> NDArray[np.uint8]:
    data = np.frombuffer(content(path), np.uint8)
    if len(data) == 0 or len(data) % 3073:
        raise UserError(f"{path}: {len(data)} bytes, which is not a multiple of the record length 3073: fetch it again")
    return data.reshape(-1, 3073)


def _batch(path: Path) -> NDArray[np.uint8]:
    data, labels = _unpickled(path, "data", "labels")
    if not isinstance(data, np.ndarray) or data.shape != (len(labels), 3072):
        raise UserError(f"{path}: not a batch of CIFAR-10: fetch it again")
    return np.concatenate([np.array(labels, np.uint8)[:, None], data.astype(np.uint8)], 1)


class _Arrays(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module.replace("._core", ".core"), name) in PARTS_OF_ARRAYS:
            return super().find_class(module.replace(".core", "._core"), name)
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _unpickled(path: Path, *keys: str) -> list[Any]:
    try:
        found = _Arrays(io.BytesIO(content(path)), encoding="latin1").load()
        return [found[key] for key in keys]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(f"{path}: refused, not a file of CIFAR-10, or damaged ({error}): fetch it again") from error


@dataclass(frozen=True)
class Records:
    """Records of CIFAR-10, uint8 (images, 3073): a label and the planes of red, green and blue."""

    data: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.data)

    def read(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """Image uint8 (32, 32, 3), and its class index."""
        record = self.data[index]
        return record[1:].reshape(3, 32, 32).transpose(1, 2, 0), int(record[0])
