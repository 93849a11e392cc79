"""The score against torchmetrics, scikit-learn and a case worked by hand, on one process and on two.

Covers: metrics.scores.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.metrics import jaccard_score, precision_recall_fscore_support
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix, MulticlassJaccardIndex

from seglight.metrics import ConfusionMatrix, JaccardIndex, MeanIoU, Scores
from tests.support.processes import in_processes

IGNORE = 255


def labels(
    classes: int, images: int = 4, absent: int | None = None, size: tuple[int, int] = (24, 17), ignore: int = IGNORE
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    pred = torch.randint(0, classes, (images, *size), generator=generator)
    mask = torch.where(torch.rand(pred.shape, generator=generator) < 0.6, pred, (pred + 1) % classes)
    if absent is not None:
        pred[pred == absent] = mask[mask == absent] = 0
    mask[torch.rand(mask.shape, generator=generator) < 0.2] = ignore
    return pred, mask


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "none"])
@pytest.mark.parametrize(("classes", "absent"), [(2, None), (11, None), (11, 3), (150, 7)])
def test_equals_torchmetrics(classes: int, absent: int | None, average: str) -> None:
    pred, mask = labels(classes, absent=absent)
    theirs = MulticlassJaccardIndex(classes, average=average, ignore_index=IGNORE)
    ours = JaccardIndex(classes, IGNORE, average=average)
    for half in (slice(0, 1), slice(1, 4)):
        theirs.update(pred[half], mask[half])
        ours.update(pred[half].to(torch.uint8), mask[half].to(torch.uint8))
    torch.testing.assert_close(ours.compute(), theirs.compute())
    assert torch.equal(ours.totals()[0], theirs.confmat)
    assert ours.totals()[1] == 4


def test_scores_equal_scikit_learn() -> None:
    pred, mask = labels(11)
    metric = JaccardIndex(11, IGNORE)
    metric.update(pred, mask)
    kept = mask != IGNORE
    expected = jaccard_score(mask[kept], pred[kept], average=None)
    scores = Scores.from_confusion(*metric.totals())
    assert scores.iou.tolist() == pytest.approx(expected)
    assert scores.miou == pytest.approx(expected.mean())
    assert scores.accuracy == pytest.approx(float((pred == mask)[kept].double().mean()))


def test_scores_by_hand() -> None:
    mask = torch.tensor([[[0, 0, 0], [1, 1, IGNORE]]])
    pred = torch.tensor([[[0, 0, 1], [1, 0, 1]]])
    metric = JaccardIndex(3, IGNORE)
    metric.update(pred, mask)
    scores = Scores.from_confusion(*metric.totals())
    assert scores.confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert scores.iou[:2].tolist() == pytest.approx([2 / 4, 1 / 3])
    assert math.isnan(scores.iou[2])  # in neither labels nor predictions: left out of the mean
    assert scores.miou == pytest.approx(5 / 12)
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.images == 1


def test_a_class_predicted_but_never_true_has_iou_zero() -> None:
    scores = Scores.from_confusion(torch.tensor([[3, 1], [0, 0]]), 1)
    assert scores.iou.tolist() == [0.75, 0]
    assert scores.miou == pytest.approx(0.375)


def test_nothing_counted_is_nan() -> None:
    scores = Scores.from_confusion(torch.zeros(3, 3, dtype=torch.int64), 0)
    assert math.isnan(scores.miou)
    assert math.isnan(scores.accuracy)


def test_counts_beyond_float32() -> None:
    confusion = torch.tensor([[2**24, 1], [0, 2**24 + 1]])  # float32 holds no odd number beyond 2 ** 24
    scores = Scores.from_confusion(confusion, 1)
    assert 1 - scores.accuracy == pytest.approx(1 / (2**25 + 2), rel=1e-6)


def test_logits_are_upsampled_to_the_labels() -> None:
    logits = torch.randn(2, 7, 6, 5, generator=torch.Generator().manual_seed(0))
    mask = torch.randint(0, 7, (2, 23, 19), dtype=torch.uint8)
    theirs = MulticlassJaccardIndex(7, ignore_index=IGNORE)
    theirs.update(F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False), mask.long())
    ours = JaccardIndex(7, IGNORE)
    ours.update(logits, mask)
    torch.testing.assert_close(ours.compute(), theirs.compute())


def test_reset_forgets_images_too() -> None:
    metric = JaccardIndex(5, IGNORE)
    metric.update(*labels(5))
    metric.reset()
    confusion, images = metric.totals()
    assert confusion.sum() == 0
    assert images == 0


@pytest.mark.parametrize(("classes", "size"), [(2, (24, 17)), (19, (1, 33)), (300, (31, 29)), (1000, (60, 50))])
def test_confusion_matrix_equals_torchmetrics_and_scikit_learn(classes: int, size: tuple[int, int]) -> None:
    """Of many classes labels are int32, and 65535 is ignored."""
    ignore, dtype = (IGNORE, torch.uint8) if classes < 255 else (65535, torch.int32)
    pred, mask = labels(classes, size=size, ignore=ignore, absent=1)
    theirs = MulticlassConfusionMatrix(classes, ignore_index=ignore)
    theirs.update(pred, mask)
    kept = mask != ignore
    expected = sklearn_confusion(mask[kept], pred[kept], labels=range(classes))
    for per_image in (False, True):
        ours = ConfusionMatrix(classes, ignore, per_image=per_image)
        ours.update(pred.to(dtype), mask.to(dtype))
        assert torch.equal(ours.compute(), theirs.compute())
        np.testing.assert_array_equal(ours.compute(), expected)


@pytest.mark.parametrize("anything", [IGNORE, -1])
@pytest.mark.parametrize("classes", [2, 16, 19, 254])
def test_a_prediction_may_have_any_value_where_the_target_is_ignored(classes: int, anything: int) -> None:
    pred, mask = labels(classes, size=(40, 37))
    kept = mask != IGNORE
    expected = sklearn_confusion(mask[kept], pred[kept], labels=range(classes))
    pred[~kept] = anything
    for dtype in (torch.int16, torch.int64) if anything < 0 else (torch.uint8, torch.int64):
        metric = ConfusionMatrix(classes, IGNORE)
        metric.update(pred.to(dtype), mask.to(torch.uint8))
        np.testing.assert_array_equal(metric.compute(), expected)


@pytest.mark.parametrize(("classes", "images"), [(2, 150), (11, 64), (11, 5), (300, 5)])
def test_image_counts_are_the_matrices_of_the_images(classes: int, images: int) -> None:
    ignore = IGNORE if classes < 255 else -1
    pred, mask = labels(classes, images=images, ignore=ignore)
    mask[2] = ignore  # nothing labelled in it
    metric = ConfusionMatrix(classes, ignore, per_image=True)
    metric.update(pred[:2], mask[:2])
    metric.update(pred[2:], mask[2:])
    counts = metric.image_counts()
    assert len(counts) == images
    assert counts.lengths[2] == 0
    starts = np.cumsum(counts.lengths) - counts.lengths
    hit, true, predicted = counts.by_class()
    for k in range(images):
        kept = mask[k] != ignore
        dense = np.zeros((classes, classes), np.int64)
        if kept.any():
            dense = sklearn_confusion(mask[k][kept], pred[k][kept], labels=range(classes))
        own = slice(starts[k], starts[k] + counts.lengths[k])
        sparse = np.zeros(classes * classes, np.int64)
        sparse[counts.cells[own]] = counts.counts[own]
        np.testing.assert_array_equal(sparse.reshape(classes, classes), dense)
        np.testing.assert_array_equal(hit[k], dense.diagonal())
        np.testing.assert_array_equal(true[k], dense.sum(1))
        np.testing.assert_array_equal(predicted[k], dense.sum(0))
    np.testing.assert_array_equal(counts.confusion(), metric.compute())


def test_counting_continues_after_reading() -> None:
    pred, mask = labels(11, images=6)
    metric = ConfusionMatrix(11, IGNORE, per_image=True)
    for k in (0, 2, 4):
        metric.update(pred[k : k + 1], mask[k : k + 1])
        metric(pred[k + 1 : k + 2], mask[k + 1 : k + 2])  # forward: counts, and gives the batch's own matrix
        if k:
            assert len(metric.image_counts()) == k + 2
    single = ConfusionMatrix(11, IGNORE, per_image=True)
    single.update(pred, mask)
    assert_same_counts(metric, single)
    metric.reset()
    assert len(metric.image_counts()) == 0


def assert_same_counts(one: ConfusionMatrix, other: ConfusionMatrix) -> None:
    for name in ("lengths", "cells", "counts"):
        np.testing.assert_array_equal(getattr(one.image_counts(), name), getattr(other.image_counts(), name))


def test_mean_iou_has_the_score_and_an_interval_around_it() -> None:
    pred, mask = labels(11, images=8, absent=3)
    mask[0] = (pred[0] + 1) % 11  # one image is all wrong
    metric = MeanIoU(11, IGNORE, resamples=200)
    metric.update(pred, mask)
    theirs = MulticlassJaccardIndex(11, ignore_index=IGNORE)
    theirs.update(pred, mask)
    score, low, high = metric.compute().tolist()
    assert score == pytest.approx(float(theirs.compute()))
    assert low < score < high
    again = MeanIoU(11, IGNORE, resamples=200, seed=1)
    again.update(pred, mask)
    assert again.compute()[1:].tolist() != [low, high]


def test_f1_precision_and_recall_equal_scikit_learn() -> None:
    pred, mask = labels(11)
    metric = ConfusionMatrix(11, IGNORE)
    metric.update(pred, mask)
    kept = mask != IGNORE
    scores = Scores.from_confusion(*metric.totals())
    precision, recall, f1, support = precision_recall_fscore_support(mask[kept], pred[kept])
    assert scores.precision.tolist() == pytest.approx(precision)
    assert scores.recall.tolist() == pytest.approx(recall)
    assert scores.f1.tolist() == pytest.approx(f1)
    weighted = jaccard_score(mask[kept], pred[kept], average="weighted")
    assert scores.fwiou == pytest.approx(weighted)
    assert support.sum() == scores.confusion.sum()


def counted(images: int, rank: int = 0, world_size: int = 1) -> tuple[JaccardIndex, MeanIoU]:
    pred, mask = labels(11, images=3, absent=3)
    metrics = JaccardIndex(11, IGNORE, per_image=True), MeanIoU(11, IGNORE)
    for index in range(rank, images, world_size):
        for metric in metrics:
            metric.update(pred[index : index + 1], mask[index : index + 1])
    return metrics


def results(metric: JaccardIndex, mean: MeanIoU) -> list[Tensor]:
    counts = metric.image_counts()
    arrays = [torch.from_numpy(array) for array in (counts.lengths, counts.cells, counts.counts)]
    confusion, images = metric.totals()
    return [*arrays, confusion, torch.tensor(images), metric.compute(), mean.compute()]


def test_counts_in_inference_mode_then_without_it() -> None:
    pred, mask = labels(11)
    metric, expected = (ConfusionMatrix(11, IGNORE, per_image=True) for _ in range(2))
    for inference in (True, False, True):
        with torch.inference_mode(inference):
            metric.update(pred, mask)
            assert len(metric.image_counts().lengths) == 4
            metric.reset()
    for images in (slice(0, 1), slice(1, 4)):
        metric.update(pred[images], mask[images])
    expected.update(pred, mask)
    assert torch.equal(metric.compute(), expected.compute())
    assert int(metric.images) == 4


def count_share(rank: int, folder: str) -> None:
    """What each of two processes does: three images, two of them on rank 0; then one, and rank 1 has none."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    for images in (3, 1):
        metric, mean = counted(images, rank, 2)
        torch.save((results(metric, mean), int(metric.images)), f"{folder}/{images}-{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_count_each_image_once(tmp_path: Path) -> None:
    in_processes(2, count_share, str(tmp_path))
    for images, shares in ((3, (2, 1)), (1, (1, 0))):
        single = results(*counted(images))
        for rank, share in enumerate(shares):
            together, own = torch.load(tmp_path / f"{images}-{rank}.pt")
            assert own == share  # reading leaves the process its own counts
            for theirs, ours in zip(together, single, strict=True):
                torch.testing.assert_close(theirs, ours, rtol=0, atol=0, equal_nan=True)
