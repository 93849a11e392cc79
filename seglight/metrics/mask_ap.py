"""Average precision of instance masks over a split, from matches that add up over images and processes."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as rle
from torch import Tensor
from torchmetrics import Metric

from seglight.errors import UserError
from seglight.images.runs import Runs, boundary_runs
from seglight.metrics.mask_matches import LIMITS, RANGES, THRESHOLDS, Detections, class_precision, match
from seglight.ops.iou import Counts, ratio
from seglight.system.ranks import rank, world_size

COLUMNS = ("image", "class", "score", "matched", "ignored")
"""Of a row for each detection; the score as the bits of its float64."""


class MaskAPScores(NamedTuple):
    """Scores of COCO, each a mean over the classes of which something is labelled; NaN if there is none.

    Attributes:
        ap: Mean over the IoUs 0.5 to 0.95.
        ap50: At the IoU 0.5.
        ap75: At the IoU 0.75.
        by_size: AP of small, medium and large instances.
        recall: Average recall with at most 1, 10 and 100 detections of a class in an image.
        recall_by_size: Average recall of small, medium and large instances, with at most 100.
        by_class: float64 (C,) AP of each class, NaN for one of which nothing is labelled.
    """

    ap: float
    ap50: float
    ap75: float
    by_size: tuple[float, float, float]
    recall: tuple[float, float, float]
    recall_by_size: tuple[float, float, float]
    by_class: NDArray[np.float64]


class MaskAP(Metric):
    """Average precision and recall of instance masks over the whole split, equal to pycocotools.

    Images count in the order of the split, where pycocotools takes that of their ids: it matters only for detections of
    equal score. Areas are numbers of pixels.

    Args:
        num_classes: Number of classes C.
        dilation_ratio: None: the IoU of masks. Otherwise Boundary AP (Cheng et al., CVPR 2021, section 5): the IoU is
            the smaller one of that of the masks and that of their boundary bands, whose width is this share of the
            image's diagonal, 0.02 in the paper, and one pixel at least.
        **kwargs: Further arguments of torchmetrics' Metric.
    """

    full_state_update = False
    wanted: Tensor
    rows: list[Tensor]

    def __init__(self, num_classes: int, dilation_ratio: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.dilation_ratio = dilation_ratio
        self.add_state("wanted", torch.zeros((num_classes, len(RANGES)), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("rows", [], dist_reduce_fx="cat")
        self.seen = 0

    def update(
        self,
        predicted: Sequence[Runs],
        predicted_classes: Tensor,
        scores: Tensor,
        labelled: Sequence[Runs],
        classes: Tensor,
        crowds: Tensor | None = None,
    ) -> None:
        """Match the instances of an image.

        Args:
            predicted: Masks of n detections, which can overlap; see `seglight.images.runs`.
            predicted_classes: Integer (n,) class of each.
            scores: Floating point (n,) score of each.
            labelled: Masks of m labelled instances; those without pixels count for nothing.
            classes: Integer (m,) class of each.
            crowds: Bool (m,), whether a mask is a region of several instances; None: none is.

        Raises:
            UserError: The numbers of masks and of classes differ, a class is out of range, or a score is NaN.
        """
        label, score = predicted_classes.cpu().numpy(), scores.cpu().double().numpy()
        true = classes.cpu().numpy()
        crowd = np.zeros(len(true), bool) if crowds is None else crowds.cpu().numpy().astype(bool)
        self._check(predicted, label, score, labelled, true, crowd)
        areas, true_areas = map(_areas, (predicted, labelled))
        rows = []
        image = self.seen * world_size() + rank()
        for k in np.union1d(label, true).tolist():
            own = np.flatnonzero(label == k)
            own = own[np.argsort(-score[own], kind="stable")][: LIMITS[-1]]
            there = np.flatnonzero((true == k) & (true_areas > 0))
            iou = self._iou([predicted[i] for i in own.tolist()], [labelled[i] for i in there.tolist()], crowd[there])
            matched, ignored, wanted = match(iou, areas[own], true_areas[there], crowd[there])
            self.wanted[k] += torch.from_numpy(wanted).to(self.wanted.device)
            place = np.full(len(own), image), np.full(len(own), k)
            rows.append(np.stack([*place, score[own].view(np.int64), matched, ignored], 1))
        if rows:
            self.rows.append(torch.from_numpy(np.concatenate(rows)).to(self.wanted.device))
        self.seen += 1

    def _check(
        self,
        predicted: Sequence[Runs],
        label: NDArray[Any],
        score: NDArray[np.float64],
        labelled: Sequence[Runs],
        true: NDArray[Any],
        crowd: NDArray[np.bool_],
    ) -> None:
        if not len(predicted) == len(label) == len(score) or not len(labelled) == len(true) == len(crowd):
            raise UserError(
                f"there are {len(predicted)} detected masks with {len(label)} classes and {len(score)} scores, and "
                f"{len(labelled)} labelled masks with {len(true)} classes and {len(crowd)} crowds: give one of each"
            )
        for what, values in (("detected", label), ("labelled", true)):
            if values.size and not 0 <= values.min() <= values.max() < self.num_classes:
                raise UserError(
                    f"a {what} mask is of class {values.min() if values.min() < 0 else values.max()}, but there are "
                    f"{self.num_classes} classes: map classes to 0 to {self.num_classes - 1}, or increase num_classes"
                )
        if np.isnan(score).any():
            raise UserError("a score of a detected mask is NaN: the net's output is not finite")

    def _iou(
        self, predicted: Sequence[Runs], labelled: Sequence[Runs], crowds: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """IoU (n, m); with crowds, the share of the detection that is in them."""
        if not len(predicted) or not len(labelled):
            return np.zeros((len(predicted), len(labelled)))
        sides = [[_as_bytes(mask) for mask in masks] for masks in (predicted, labelled)]
        iou: NDArray[np.float64] = rle.iou(*sides, crowds.tolist())
        if self.dilation_ratio is not None:
            width = max(1, round(self.dilation_ratio * math.hypot(*predicted[0]["size"])))
            bands = [[_as_bytes(boundary_runs(mask, width)) for mask in masks] for masks in sides]
            iou = np.minimum(iou, rle.iou(*bands, crowds.tolist()))
        return iou

    def reset(self) -> None:
        """Forget all images, by tensors that can be updated in any mode."""
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
        return torch.cat([self.wanted.new_empty((0, len(COLUMNS))), *self.rows])

    def compute(self) -> MaskAPScores:
        """Scores of the split."""
        rows = self._joined().cpu().numpy()
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        wanted = self.wanted.cpu().numpy()
        precision: list[NDArray[np.float64]] = []
        recall: list[NDArray[np.float64]] = []
        for k in range(self.num_classes):
            own = rows[rows[:, 1] == k]
            found = Detections(own[:, 0], np.ascontiguousarray(own[:, 2]).view(np.float64), own[:, 3], own[:, 4])
            for values, of_class in zip((precision, recall), class_precision(found, wanted[k]), strict=True):
                values.append(of_class)
        return _scores(np.stack(precision), np.stack(recall))


def _scores(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> MaskAPScores:
    """Means of precision (C, thresholds, recalls, ranges) and recall (C, thresholds, ranges, limits)."""
    at50, at75 = (int(np.abs(THRESHOLDS - iou).argmin()) for iou in (0.5, 0.75))
    return MaskAPScores(
        ap=_mean(precision[..., 0]),
        ap50=_mean(precision[:, at50, :, 0]),
        ap75=_mean(precision[:, at75, :, 0]),
        by_size=tuple(_mean(precision[..., area]) for area in (1, 2, 3)),  # type: ignore[arg-type] # three
        recall=tuple(_mean(recall[:, :, 0, k]) for k in range(len(LIMITS))),  # type: ignore[arg-type] # three
        recall_by_size=tuple(_mean(recall[:, :, area, -1]) for area in (1, 2, 3)),  # type: ignore[arg-type] # three
        by_class=np.array([_mean(each[..., 0]) for each in precision]),
    )


def _mean(values: NDArray[np.float64]) -> float:
    there = ~np.isnan(values)
    return float(ratio(np.where(there, values, 0).sum(), there.sum()))


def _areas(masks: Sequence[Runs]) -> Counts:
    """Number of pixels of each mask, one at a time: of more than 255 pycocotools raises an error with numpy 2."""
    return np.array([rle.area(_as_bytes(mask)) for mask in masks], np.int64)


def _as_bytes(mask: Runs) -> Runs:
    """The run lengths as pycocotools reads them."""
    counts = mask["counts"]
    return {**mask, "counts": counts.encode("ascii") if isinstance(counts, str) else counts}
