"""Comparison of an exported file with its checkpoint, on real images."""

import math
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seglight.data.augmentation.missing import without_missing
from seglight.data.class_files import CLASS_FILE
from seglight.data.datamodule import FileDataModule
from seglight.data.datasets.camvid import CamVidDataModule
from seglight.data.datasets.folder import FolderDataModule
from seglight.data.pairs import BAND_SUFFIXES, IMAGE_SUFFIXES, images_below, without_masks
from seglight.errors import UserError
from seglight.images.band_files import image_name
from seglight.images.bands import Bands
from seglight.images.pixels import read_pixels
from seglight.images.stretch import without_data
from seglight.images.types import LabelMap
from seglight.inference.exported.predictor import ExportedPredictor
from seglight.inference.predictor import Predictor
from seglight.interfaces import Labelled
from seglight.metrics.scores import Scores
from seglight.ops.confusion import confusion_matrix
from seglight.ops.label_tensors import as_tensor
from seglight.ops.label_types import ignore_index_of

LEAST_AGREEMENT = 0.999
"""Least fraction of the pixels for which a float file must give the checkpoint's label."""

MOST_LOSS = 0.005
"""Largest loss of mIoU of an int8 file."""

UNLABELLED = "--check of int8 compares scores: give a folder with labels, as CamVid's or with classes.yaml"

Pixels = NDArray[Any]


@dataclass(frozen=True)
class Comparison:
    """Results of a checkpoint and an exported file on the same images.

    Attributes:
        images: Number of images.
        agreement: Fraction of their pixels with the same label.
        miou: mIoU of the checkpoint and of the file; NaN without labels.
        seconds: Median seconds per image of the checkpoint and of the file, without decoding.
    """

    images: int
    agreement: float
    miou: tuple[float, float]
    seconds: tuple[float, float]

    def lines(self) -> Iterator[str]:
        """Lines that describe the result."""
        yield f"{self.images} images, {100 * self.agreement:.3f} % of their pixels alike"
        theirs, ours = self.miou
        if not math.isnan(theirs):
            yield f"mIoU {theirs:.4f} (checkpoint), {ours:.4f} (exported), difference {ours - theirs:+.4f}"
        theirs, ours = (1e3 * value for value in self.seconds)
        yield f"{theirs:.1f} ms an image (checkpoint), {ours:.1f} ms (exported), {theirs / ours:.2f}x"

    def fault(self, precision: str) -> str | None:
        """Why a file of a precision must not be used, or None.

        Raises:
            UserError: There are no labels, which int8 needs.
        """
        if precision == "float32":
            few = self.agreement < LEAST_AGREEMENT
            return f"{100 * self.agreement:.3f} % of the pixels, at least {100 * LEAST_AGREEMENT} %" if few else None
        theirs, ours = self.miou
        if math.isnan(theirs):
            raise UserError(UNLABELLED)
        return f"mIoU {theirs - ours:.4f} lower, at most {MOST_LOSS}" if theirs - ours > MOST_LOSS else None


def compare(
    checkpoint: Predictor,
    exported: Predictor | ExportedPredictor,
    images: Iterable[tuple[Pixels, Pixels | None]],
    batch: bool = False,
) -> Comparison:
    """Predict images with both.

    Args:
        checkpoint: Predictor of the checkpoint, the reference.
        exported: Predictor of the exported file.
        images: Images (H, W, bands) of the net's type, each with its mask (H, W), or None.
        batch: Whether the file takes batches: then each image is predicted alone and in a batch, between its mirror
            images, and a pixel is alike if both labels are the checkpoint's.

    Raises:
        UserError: A predictor refuses an image.
    """
    classes = len(checkpoint.class_names)
    matrices = torch.zeros((2, classes, classes), dtype=torch.int64)
    alike = pixels = count = 0
    seconds: tuple[list[float], list[float]] = [], []
    for image, mask in images:
        labels: list[LabelMap] = []
        for index, predictor in enumerate((checkpoint, exported)):
            start = time.perf_counter()
            labels.append(predictor.predict(image))
            seconds[index].append(time.perf_counter() - start)
            if mask is not None:
                pair = as_tensor(labels[-1]), as_tensor(mask)
                matrices[index] += confusion_matrix(*pair, classes, ignore_index_of(classes))
        same = labels[0] == labels[1]
        if batch:
            _, between, _ = exported.predict_batch([image[:, ::-1], image, image[::-1]])
            same &= labels[0] == between
        alike += int(same.sum())
        pixels += labels[0].size
        count += 1
    theirs, ours = (Scores.from_confusion(matrix, count).miou for matrix in matrices)
    return Comparison(
        count, alike / pixels, (theirs, ours), (statistics.median(seconds[0]), statistics.median(seconds[1]))
    )


def check_folder(
    folder: Path,
    class_names: tuple[str, ...],
    bands: Bands,
    size: tuple[int, int] | None = None,
    precision: str = "float32",
) -> None:
    """Check that a folder's first image can be used for a comparison, before the export takes time.

    Args:
        folder: Folder as for `CheckImages`.
        class_names: Names of the checkpoint's classes.
        bands: What the images hold that the checkpoint reads.
        size: Height and width that the file accepts, or None for any size.
        precision: Precision of the file.

    Raises:
        UserError: See `CheckImages`; or the image has another size, or no labels, which int8 needs.
    """
    image, mask = next(iter(CheckImages(folder, class_names, bands)))
    if size not in (None, image.shape[:2]):
        raise UserError(f"--check {folder}: an image is {image.shape[0]}x{image.shape[1]}: check with images of --size")
    if mask is None and precision != "float32":
        raise UserError(UNLABELLED)


def holds_labels(folder: Path) -> bool:
    """Whether a folder has the layout of CamVid or a classes.yaml, so that not all files in it are images."""
    return (folder / "valannot").is_dir() or (folder / CLASS_FILE).is_file()


class CheckImages:
    """The validation split of a folder like CamVid's or with a classes.yaml, else all its images without labels.

    They are read when they are iterated over.

    Args:
        folder: The folder.
        class_names: Names of the checkpoint's classes.
        bands: What the images hold that the checkpoint reads.

    Raises:
        UserError: There is no image, the labels have other classes, or the images other bands.
    """

    def __init__(self, folder: Path, class_names: tuple[str, ...], bands: Bands) -> None:
        self.bands = bands
        self.paths = [] if holds_labels(folder) else image_paths(folder, bands)
        self.split = None if self.paths else _labelled(folder, class_names, bands)

    def __len__(self) -> int:
        return len(self.paths) if self.split is None else len(self.split)

    def __iter__(self) -> Iterator[tuple[Pixels, Pixels | None]]:
        if self.split is None:
            for path in self.paths:
                yield read_pixels(path, self.bands), None
            return
        for index in range(len(self.split)):
            image, mask, _ = self.split.read(index)
            missing = without_data(image, self.bands)
            yield np.array(image), np.array(mask if missing is None else without_missing(mask, missing))


def _labelled(folder: Path, class_names: tuple[str, ...], bands: Bands) -> Labelled:
    data: FileDataModule
    data = CamVidDataModule(str(folder)) if (folder / "valannot").is_dir() else FolderDataModule(str(folder))
    if tuple(data.class_names) != class_names:
        raise UserError(f"--check {folder}: its labels have other classes than the checkpoint")
    if difference := bands.difference(data.bands):
        raise UserError(f"--check {folder}: the net and its images have {difference}: give images of its training")
    return data.split("val")


def image_paths(folder: Path, bands: Bands) -> list[Path]:
    """List the images of a folder at any depth, by name, without masks beside them, which are counted.

    Of an image that has one file a band it is the file of the first band.

    Raises:
        UserError: There is no image.
    """
    suffixes = IMAGE_SUFFIXES if bands.is_rgb8 else BAND_SUFFIXES
    found = images_below(folder, suffixes)
    if bands.files:
        found = [path for path in found if image_name(path, bands) is not None]
    if not found:
        raise UserError(f"{folder}: no image in this folder ({bands.files or ', '.join(suffixes)})")
    return without_masks(folder, found)
