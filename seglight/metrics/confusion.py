"""Metrics of torchmetrics that come from the confusion matrix, with an update of one histogram for each image."""

from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex
from torchmetrics.utilities import dim_zero_cat

from seglight.metrics.image_counts import ImageCounts
from seglight.ops.confusion import confusion_cells, confusion_matrix
from seglight.ops.iou import RESAMPLES, bootstrap_interval, mean_iou
from seglight.ops.label_types import IGNORE_INDEX
from seglight.ops.label_values import check_labels, check_logits, check_predictions, check_shape
from seglight.ops.upsample import upsampled_argmax
from seglight.system.ranks import sum_over_ranks

DENSE_IMAGES = 64
"""Number of images whose whole matrices are kept before their non-empty cells are found, which waits for a GPU."""


class ConfusionMatrix(MulticlassConfusionMatrix):
    """int64 (C, C) over the whole split, rows are true classes (`compute` and synchronisation are torchmetrics' own).

    Args:
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        per_image: Whether the non-empty cells of each image's own matrix are kept too, for `image_counts`.
        **kwargs: Further arguments of the metric of torchmetrics.
    """

    confmat: Tensor
    images: Tensor
    cells: list[Tensor]
    lengths: list[Tensor]
    order: list[Tensor]

    def __init__(self, num_classes: int, ignore_index: int, per_image: bool = False, **kwargs: Any) -> None:
        super().__init__(num_classes, ignore_index=ignore_index, validate_args=False, **kwargs)
        self.ignored = ignore_index
        self.per_image = per_image
        self.add_state("images", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        if per_image:
            for state in ("cells", "lengths", "order"):
                self.add_state(state, [], dist_reduce_fx="cat")

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            preds: Integer labels (B, H, W), or ignore_index where the target is ignored; or logits (B, C, h, w),
                upsampled to the size of `target`.
            target: Integer class index or ignore_index (B, H, W).

        Raises:
            UserError: A shape or type does not fit, or on a CPU, a label is not a class. On a GPU, for which the host
                does not wait, labels of `target` that are not classes are not counted, and predictions are not checked.
        """
        check_shape(target, preds)
        if preds.is_floating_point():
            check_logits(preds, self.num_classes)
        check_labels(target, self.num_classes, self.ignored)
        if preds.is_floating_point():
            preds = upsampled_argmax(preds, (target.shape[-2], target.shape[-1]))
        else:
            check_predictions(preds, target, self.num_classes, self.ignored)
        if self.per_image:
            for pred, mask in zip(preds, target, strict=True):
                self._add_image(pred, mask)
        else:
            self.confmat += confusion_matrix(preds, target, self.num_classes, self.ignored)
        self.images += len(target)

    def _add_image(self, pred: Tensor, mask: Tensor) -> None:
        if self.num_classes > IGNORE_INDEX:  # a matrix of 1,000 classes has 8 MB
            cells, counts = confusion_cells(pred, mask, self.num_classes, self.ignored)
            self.confmat.view(-1).index_add_(0, cells, counts)
            self.lengths.append(torch.full((1,), len(cells), dtype=torch.int32, device=cells.device))
            self.cells.append(torch.stack([cells, counts], 1).int())
            return
        confusion = confusion_matrix(pred, mask, self.num_classes, self.ignored)
        self.confmat += confusion
        self.lengths.append((confusion > 0).sum(dtype=torch.int32).reshape(1))
        self.cells.append(confusion.reshape(1, -1).int())
        if all(map(_is_dense, self.cells[-DENSE_IMAGES:])) and len(self.cells) >= DENSE_IMAGES:
            self._compact()

    def _compact(self) -> None:
        """Replace whole matrices by their non-empty cells, in the same order."""
        cells: list[Tensor] = []
        for dense, run in groupby(self.cells, _is_dense):
            entries = list(run)
            cells += [_nonempty(torch.cat(entries))] if dense else entries
        self.cells = cells

    def reset(self) -> None:
        """Set all counts to zero, by tensors that can be updated in any mode."""
        with torch.inference_mode(False):  # an evaluation ends in it, and a training can't update inference tensors
            super().reset()

    def totals(self) -> tuple[Tensor, int]:
        """The int64 (C, C) matrix and the number of images, summed over all processes in one all-reduce."""
        confusion, images = sum_over_ranks(self.confmat, self.images)
        return confusion.clone(), int(images)

    def image_counts(self) -> ImageCounts:
        """Each image's own matrix, of all processes, in the order of the split; needs `per_image`.

        The k-th image of process r is image k * processes + r, as `EvalSampler` distributes them.
        """
        with self.sync_context(dist_sync_fn=self.dist_sync_fn):
            return self._read()

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Number the images of this process before they are joined with those of others; there may be none."""
        if self.per_image and not self._is_synced:
            self._compact()
            none = self.confmat.new_empty(0, dtype=torch.int32)
            self.cells = [torch.cat([none.reshape(0, 2), *self.cells])]
            self.lengths = [torch.cat([none, *self.lengths])]
            self.order = [torch.arange(len(self.lengths[0]), dtype=torch.int32, device=self.confmat.device)]
        super().sync(*args, **kwargs)

    def _read(self) -> ImageCounts:
        """Read the states after `sync`: one process's images after the other's, each numbered from 0."""
        cells, lengths, order = (
            dim_zero_cat(state).cpu().numpy().astype(np.int64) for state in (self.cells, self.lengths, self.order)
        )
        turn = np.argsort(order, kind="stable")
        image = np.repeat(np.argsort(turn), lengths)
        row = np.argsort(image, kind="stable")
        return ImageCounts(self.num_classes, lengths[turn], cells[row, 0], cells[row, 1])


def _is_dense(entry: Tensor) -> bool:
    """Whether an entry of `cells` is a whole matrix (1, C * C), rather than rows of cell and count (N, 2)."""
    return entry.shape[1] != 2  # C * C is never 2


def _nonempty(matrices: Tensor) -> Tensor:
    """Cell and count (N, 2) of the non-zero entries of (images, C * C)."""
    image, cell = matrices.nonzero(as_tuple=True)
    return torch.stack([cell.int(), matrices[image, cell]], 1)


class JaccardIndex(ConfusionMatrix, MulticlassJaccardIndex):
    """Mean intersection over union over the whole split.

    Args:
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        average: Kind of mean; "macro" leaves out classes with an empty union; see torchmetrics for the others.
        **kwargs: Further arguments of `ConfusionMatrix` and of the metric of torchmetrics.
    """

    def __init__(self, num_classes: int, ignore_index: int, average: Any = "macro", **kwargs: Any) -> None:
        super().__init__(num_classes, ignore_index, average=average, **kwargs)


class MeanIoU(ConfusionMatrix):
    """Mean intersection over union over the whole split, with its 95 % bootstrap interval over images.

    Args:
        num_classes: Number of classes C.
        ignore_index: Mask value that is ignored.
        resamples: Number of bootstrap samples.
        seed: Seed of the samples: the interval is the same for the same images and any number of processes.
        **kwargs: Further arguments of the metric of torchmetrics.
    """

    def __init__(
        self, num_classes: int, ignore_index: int, resamples: int = RESAMPLES, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(num_classes, ignore_index, per_image=True, **kwargs)
        self.resamples = resamples
        self.seed = seed

    def compute(self) -> Tensor:
        """float64 (3,): the score and the bounds of its interval; see `seglight.ops.iou.bootstrap_interval`."""
        hit, true, predicted = self._read().by_class()
        interval = bootstrap_interval(hit, true, predicted, self.resamples, self.seed)
        score = float(mean_iou(hit.sum(0), true.sum(0), predicted.sum(0)))
        return torch.tensor([score, *interval], dtype=torch.float64)
