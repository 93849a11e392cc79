"""Panoptic quality over a split, also with boundaries, from counts that add up over images and processes."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from seglight.errors import UserError
from seglight.metrics.panoptic_counts import COLUMNS, Pairs, PanopticScores, count_image
from seglight.ops.contour import near_other_class
from seglight.ops.iou import Counts
from seglight.system.ranks import rank, world_size

MOST_CELLS = 2**20
"""Number of pairs of segments up to which all are counted at once; of more, those that occur are sorted."""


class PanopticQuality(Metric):
    """Panoptic, segmentation and recognition quality of each class over the whole split.

    Equal to panopticapi: see `seglight.metrics.panoptic_counts.count_image` for matches, crowds and unlabelled pixels.

    Args:
        num_classes: Number of classes C.
        dilation_ratio: None: the IoU of segments. Otherwise Boundary PQ (Cheng et al., CVPR 2021, section 5): the IoU
            is the smaller one of that of the segments and that of their boundary bands, whose width is this share of
            the image's diagonal, 0.02 in the paper, and one pixel at least. A segment has no boundary where it ends at
            unlabelled pixels.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    counts: Tensor
    images: Tensor
    rows: list[Tensor]

    def __init__(self, num_classes: int, dilation_ratio: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.dilation_ratio = dilation_ratio
        self.add_state("counts", torch.zeros((num_classes, len(COLUMNS)), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        # image, class and counts of each class of an image that counts for something
        self.add_state("rows", [], dist_reduce_fx="cat")
        self.seen = 0

    def update(
        self,
        predicted: Tensor,
        predicted_classes: Tensor,
        segments: Tensor,
        classes: Tensor,
        crowds: Tensor | None = None,
    ) -> None:
        """Count an image.

        Args:
            predicted: Integer (H, W), k + 1 where predicted segment k is, 0 where there is none.
            predicted_classes: Integer (n,) class of each predicted segment.
            segments: Integer (H, W), k + 1 where labelled segment k is, 0 where nothing is labelled.
            classes: Integer (m,) class of each labelled segment.
            crowds: Bool (m,), whether a segment is a region of several instances; None: none is.

        Raises:
            UserError: A shape does not fit, or a number or class is out of range.
        """
        of_predicted, of_true = (each.cpu().numpy().astype(np.int64) for each in (predicted_classes, classes))
        of_crowds = np.zeros(len(of_true), bool) if crowds is None else crowds.cpu().numpy().astype(bool)
        if predicted.shape != segments.shape or segments.ndim != 2 or len(of_crowds) != len(of_true):
            raise UserError(
                f"the predicted segments are {tuple(predicted.shape)}, the labelled ones {tuple(segments.shape)} with "
                f"{len(of_true)} classes and {len(of_crowds)} crowds: give maps (H, W) of one size, and one of each"
            )
        for what, values in (("predicted", of_predicted), ("labelled", of_true)):
            if values.size and not 0 <= values.min() <= values.max() < self.num_classes:
                raise UserError(
                    f"a {what} segment is of class {values.min() if values.min() < 0 else values.max()}, but there are "
                    f"{self.num_classes} classes: map classes to 0 to {self.num_classes - 1}, or increase num_classes"
                )
        pairs = _pairs(predicted, len(of_predicted), segments, len(of_true))
        bands = None
        if self.dilation_ratio is not None:
            maps = _bands(predicted, len(of_predicted), segments, len(of_true), self.dilation_ratio)
            bands = _pairs(maps[0], len(of_predicted), maps[1], len(of_true))
        counts = torch.from_numpy(count_image(pairs, of_predicted, of_true, of_crowds, self.num_classes, bands))
        label = counts.any(1).nonzero()
        # the k-th image of process r is image k * processes + r of the split, as `EvalSampler` distributes them
        image = torch.full_like(label, self.seen * world_size() + rank())
        self.rows.append(torch.cat([image, label, counts[label[:, 0]]], 1).to(self.counts.device))
        self.counts += counts.to(self.counts.device)
        self.images += 1
        self.seen += 1

    def reset(self) -> None:
        """Set all counts to zero, by tensors that can be updated in any mode."""
        with torch.inference_mode(False):  # an evaluation ends in it, and a training can't update inference tensors
            super().reset()
        self.seen = 0

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Join the rows of this process before those of others are added; there may be none."""
        if not self._is_synced:
            self.rows = [self._joined()]
        super().sync(*args, **kwargs)

    def _joined(self) -> Tensor:
        """The rows as one tensor, as which torchmetrics leaves them after `sync`."""
        if isinstance(self.rows, Tensor):
            return self.rows
        return torch.cat([self.counts.new_empty((0, 2 + len(COLUMNS))), *self.rows])

    def compute(self) -> PanopticScores:
        """Scores of each class."""
        return PanopticScores.of(self.counts.cpu().numpy())

    def image_counts(self) -> Counts:
        """Counts of each image, of all processes, int64 (images, C, 4), in the order of the split."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            found = np.zeros((int(self.images), self.num_classes, len(COLUMNS)), np.int64)
            rows = self._joined().cpu().numpy()
            found[rows[:, 0], rows[:, 1]] = rows[:, 2:]
        return found


def _pairs(predicted: Tensor, predictions: int, segments: Tensor, trues: int) -> Pairs:
    """Count the pixels that segments have in common.

    Args:
        predicted: (H, W) numbers of predicted segments from 1, 0 for none.
        predictions: Number of predicted segments.
        segments: (H, W) numbers of labelled segments from 1, 0 for none.
        trues: Number of labelled segments.

    Raises:
        UserError: There is a larger or a negative number.
    """
    for what, numbers, most in (("predicted", predicted, predictions), ("labelled", segments, trues)):
        least, largest = map(int, numbers.aminmax()) if numbers.numel() else (0, 0)
        if least < 0 or largest > most:
            raise UserError(
                f"the {what} segments have the numbers {least} to {largest}, and {most} of them have a class: "
                "number them from 1, with 0 for none"
            )
    cells = (trues + 1) * (predictions + 1)
    dtype = torch.int32 if cells < 2**31 else torch.int64
    cell = torch.add(predicted.to(dtype), segments.to(dtype), alpha=predictions + 1).flatten().cpu().numpy()
    # neighbours mostly are of one pair: each run is counted once
    starts = np.concatenate([np.arange(min(1, cell.size)), np.flatnonzero(cell[1:] != cell[:-1]) + 1])
    lengths = np.diff(starts, append=cell.size)
    if cells <= MOST_CELLS:
        pixels = np.bincount(cell[starts], lengths, cells).astype(np.int64)
        found = np.flatnonzero(pixels)
        pixels = pixels[found]
    else:
        found, inverse = np.unique(cell[starts], return_inverse=True)
        pixels = np.bincount(inverse, lengths).astype(np.int64)
    true, pred = np.divmod(found.astype(np.int64), predictions + 1)
    return Pairs(true, pred, pixels)


def _bands(
    predicted: Tensor, predictions: int, segments: Tensor, trues: int, dilation_ratio: float
) -> tuple[Tensor, Tensor]:
    """Numbers of predicted and labelled segments (H, W) in the boundary bands of the segments, 0 elsewhere."""
    height, width = segments.shape
    radius = max(1, round(dilation_ratio * math.hypot(height, width)))
    edge = torch.ones_like(segments, dtype=torch.bool)
    edge[radius : height - radius, radius : width - radius] = False
    most = 1 + max(predictions, trues)
    unlabelled = segments == 0
    dtype = torch.int16 if most < 2**15 else torch.int32
    predicted, segments = (
        numbers.masked_fill(~(edge | near_other_class(labels[None], most, radius)[0]) | unlabelled, 0)
        for numbers in (predicted, segments)
        for labels in [numbers.to(dtype).masked_fill(unlabelled, -1)]
    )
    return predicted, segments
