"""A labelled image, and what a net gives for it: probabilities band by band, with the labels of each band."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglight.data.augmentation.missing import without_missing
from seglight.errors import UserError, one_line
from seglight.images.bands import RGB, Bands
from seglight.images.stretch import without_data
from seglight.inference.torch_predictor import TorchPredictor
from seglight.interfaces import Labelled, seg_output
from seglight.ops.bands import Band
from seglight.ops.finite import check_finite
from seglight.ops.label_values import check_labels
from seglight.ops.padding import pad_image, pad_mask
from seglight.ops.sizes import DIVISOR
from seglight.ops.upsample import upsampled_softmax


class JudgedBand(NamedTuple):
    """Pixels of some rows of an image.

    Attributes:
        band: Position of the rows.
        probabilities: (1, K, P), in the band's order of pixels.
        labels: (1, P), uint8 class index or ignore_index.
    """

    band: Band
    probabilities: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Sample:
    """A labelled image.

    Args:
        image: (H, W, bands).
        mask: uint8 (H, W), class index or ignore_index.
        name: Name of the image.
        ignore_index: Mask value that is ignored.
    """

    image: NDArray[Any]
    mask: NDArray[np.uint8]
    name: str
    ignore_index: int

    def bands(self, predictor: TorchPredictor) -> Iterator[JudgedBand]:
        """The net's probabilities, band by band; in the rows and columns of the padding no pixel is labelled.

        Consume it within `torch.inference_mode`.

        Raises:
            UserError: The net does not take the image, or its logits are not finite.
        """
        pixels = torch.from_numpy(np.require(self.image, requirements=["C", "W"]))[None].permute(0, 3, 1, 2)
        padded = pad_image(pixels.to(predictor.device), DIVISOR)
        mask = torch.from_numpy(np.require(self.mask, requirements=["C", "W"]))[None].to(predictor.device)
        try:
            logits = seg_output(predictor.net(padded.contiguous(memory_format=predictor.memory_format))).logits
        except (RuntimeError, AssertionError, ValueError) as error:
            size = "x".join(map(str, self.mask.shape))
            raise UserError(f"{self.name}: the net fails on an image of {size}: {one_line(error)}") from error
        check_finite(logits)
        whole = padded.shape[-2], padded.shape[-1]
        labels = pad_mask(mask, DIVISOR, self.ignore_index)
        for band, probabilities in upsampled_softmax(logits, whole, predictor.card.temperature):
            yield JudgedBand(band, probabilities, band.of(labels))


def read_sample(split: Labelled, index: int, num_classes: int, ignore_index: int, bands: Bands = RGB) -> Sample:
    """Read and check an image of a split; the labels of pixels without data are ignored.

    Raises:
        UserError: It can't be read, its mask has another size, or a label is not in the class table.
    """
    image, mask, name = split.read(index)
    if image.shape[:2] != mask.shape:
        sizes = [f"{height}x{width}" for height, width in (image.shape[:2], mask.shape)]
        raise UserError(
            f"{name}: the image has {sizes[0]} pixels and its mask {sizes[1]}: run `seglight doctor` without --model, "
            "which finds all of these"
        )
    try:
        check_labels(torch.from_numpy(np.require(mask, requirements=["C", "W"])), num_classes, ignore_index)
    except UserError as error:
        raise UserError(f"{name}: {error}") from error
    missing = without_data(image, bands)
    return Sample(image, mask if missing is None else without_missing(mask, missing), name, ignore_index)
