"""Batches of samples."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch.utils.data import default_collate

from seglight.errors import UserError
from seglight.interfaces import Batch, Sample
from seglight.ops.label_types import IGNORE_INDEX, WIDE_IGNORE_INDEX


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples of one size; in a loader process in the memory that it shares with the training.

    Raises:
        UserError: The sizes differ.
    """
    sizes = sorted({_size(sample) for sample in samples})
    if len(sizes) > 1:
        raise UserError(
            f"training images of {len(sizes)} sizes (such as {sizes[0]} and {sizes[-1]}) in one batch: "
            "give data.augmentation a crop_size"
        )
    image = default_collate([sample["image"].permute(1, 2, 0) for sample in samples]).permute(0, 3, 1, 2)
    batch: Batch = {
        "image": image,
        "mask": default_collate([sample["mask"] for sample in samples]),
        "name": [sample["name"] for sample in samples],
        "size": [_size(sample) for sample in samples],
    }
    if all("segments" in sample for sample in samples):
        batch["segments"] = default_collate([sample["segments"] for sample in samples])
        batch["segment_classes"] = [sample["segment_classes"] for sample in samples]
        batch["segment_crowds"] = [sample["segment_crowds"] for sample in samples]
    return batch


def collate_padded(samples: Sequence[Sample]) -> Batch:
    """Stack samples of any number and sizes, padded below and right: images with 0, masks with what is ignored."""
    if not samples:
        nothing = torch.empty((0, 3, 0, 0), dtype=torch.uint8)
        return {"image": nothing, "mask": nothing[:, 0], "name": [], "size": []}
    height, width = (max(sides) for sides in zip(*map(_size, samples), strict=True))
    padded = []
    for sample in samples:
        rows, columns = _size(sample)
        below_right = (0, width - columns, 0, height - rows)
        image = F.pad(sample["image"].permute(1, 2, 0), (0, 0, *below_right)).permute(2, 0, 1)
        ignore_index = IGNORE_INDEX if sample["mask"].dtype == torch.uint8 else WIDE_IGNORE_INDEX
        mask = F.pad(sample["mask"], below_right, value=ignore_index)
        padded.append(sample | Sample(image=image, mask=mask, name=sample["name"]))
        if "segments" in sample:
            padded[-1]["segments"] = F.pad(sample["segments"], below_right)
    return {**collate(padded), "size": [_size(sample) for sample in samples]}


def _size(sample: Sample) -> tuple[int, int]:
    height, width = sample["mask"].shape
    return height, width
