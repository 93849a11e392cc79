"""Scores by the size of objects: cases worked by hand, and against SciPy's labels of components and scikit-learn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import confusion_matrix
from torch import Tensor

from seglight.errors import UserError
from seglight.metrics import ObjectSizeIoU
from seglight.metrics.object_size import EDGES

SQUARE = np.ones((3, 3))
IGNORE = 255


def states(metric: ObjectSizeIoU) -> list[list[list[int]]]:
    return [state.tolist() for state in (metric.objects, metric.found, metric.missed, metric.wrong)]


def test_a_case_worked_by_hand() -> None:
    """A square of 4 pixels and a block of 12 on a ground of 44; the block is predicted a column further right."""
    mask, pred = torch.zeros(2, 1, 6, 10, dtype=torch.uint8)
    mask[0, :2, :2] = 1
    mask[0, 2:5, 5:9] = 1
    pred[0, 0, :2] = pred[0, 1, 0] = 1  # three of the four pixels
    pred[0, 2:5, 6:10] = 1  # nine of the twelve, and three of the ground
    pred[0, 5, :2] = 1  # alone: counts by its own area of two
    metric = ObjectSizeIoU(3, IGNORE, edges=(5, 20))
    metric.update(pred, mask)
    ground, block, absent = zip(*states(metric), strict=True)
    assert block == ([1, 1, 0], [3, 9, 0], [1, 3, 0], [2, 3, 0])
    assert ground == ([0, 0, 1], [0, 0, 39], [0, 0, 5], [0, 0, 4])
    assert absent == ([0, 0, 0],) * 4
    scores = metric.compute()
    assert scores.iou[1, :2].tolist() == [3 / 6, 9 / 15]
    assert scores.recall[1, :2].tolist() == [3 / 4, 9 / 12]
    assert scores.iou[0, 2] == 39 / 48
    assert scores.iou[2].isnan().all()
    assert scores.iou[1, 2].isnan()


def test_a_wrong_pixel_counts_with_the_object_that_is_overlapped_most() -> None:
    mask, pred = torch.zeros(2, 1, 3, 20, dtype=torch.uint8)
    mask[0, :, 0] = 1  # 3 pixels
    mask[0, :, 4:10] = 1  # 18 pixels
    pred[0, 1, :8] = 1  # one pixel of the first, four of the second, three of the ground
    metric = ObjectSizeIoU(2, IGNORE, edges=(10,))
    metric.update(pred, mask)
    assert metric.wrong[1].tolist() == [0, 3]
    assert metric.found[1].tolist() == [1, 4]
    pred[0, 1, 5:8] = 0  # one pixel of each: the first in the order of rows
    metric.reset()
    metric.update(pred, mask)
    assert metric.wrong[1].tolist() == [3, 0]


def test_pixels_that_touch_at_a_corner_are_one_object_and_ignored_ones_separate() -> None:
    mask = torch.eye(6, dtype=torch.uint8)[None]
    metric = ObjectSizeIoU(2, IGNORE, edges=(3, 5))
    metric.update(mask, mask)
    assert metric.objects[1].tolist() == [0, 0, 1]
    mask[0, 2, 2] = IGNORE  # two and three pixels are left
    metric.reset()
    metric.update(torch.ones_like(mask), mask)
    assert metric.objects[1].tolist() == [1, 1, 0]
    assert int(metric.wrong[1].sum()) == int((mask == 0).sum())


def test_areas_of_coco() -> None:
    assert EDGES == (1024, 9216)
    mask = torch.zeros(1, 200, 200, dtype=torch.uint8)
    mask[0, :31, :33] = 1  # 1023
    mask[0, 50:82, :32] = 2  # 1024
    mask[0, 100:196, 100:196] = 3  # 9216
    metric = ObjectSizeIoU(4, IGNORE)
    metric.update(mask, mask)
    assert metric.objects.tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert metric.compute().iou.nan_to_num(1).eq(1).all()


def blobs(classes: int, size: tuple[int, int], images: int = 3) -> tuple[Tensor, Tensor]:
    """Label maps of smooth regions, and the same ones a little off, with ignored patches."""
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(images, classes, 9, 8, generator=generator)
    other = logits + 0.5 * torch.randn(logits.shape, generator=generator)
    pred, mask = (F.interpolate(x, size, mode="bilinear").argmax(1) for x in (logits, other))
    patches = F.interpolate(torch.rand(images, 1, 9, 9, generator=generator), size)[:, 0]
    mask[patches > 0.8] = IGNORE
    return pred.to(torch.uint8), mask.to(torch.uint8)


def by_scipy(preds: Tensor, masks: Tensor, classes: int, edges: tuple[int, ...]) -> NDArray[np.int64]:
    """The four counts, pixel by pixel."""
    counts = np.zeros((4, classes, len(edges) + 1), np.int64)
    for pred, mask in zip(preds.numpy(), masks.numpy(), strict=True):
        for c in range(classes):
            objects, number = ndimage.label(mask == c, SQUARE)
            guesses, _ = ndimage.label((pred == c) & (mask != IGNORE), SQUARE)
            bin_of = [sum((objects == k).sum() >= edge for edge in edges) for k in range(number + 1)]
            for k in range(1, number + 1):
                counts[0, c, bin_of[k]] += 1
            for row, column in np.argwhere((guesses > 0) | (objects > 0)):
                if objects[row, column]:
                    right = guesses[row, column] > 0
                    counts[1 if right else 2, c, bin_of[objects[row, column]]] += 1
                    continue
                own = guesses == guesses[row, column]
                overlap = [(own & (objects == k)).sum() for k in range(1, number + 1)]
                alone = not overlap or max(overlap) == 0
                area = sum(own.sum() >= edge for edge in edges)
                counts[3, c, area if alone else bin_of[1 + int(np.argmax(overlap))]] += 1
    return counts


@pytest.mark.parametrize(("classes", "size"), [(2, (20, 23)), (6, (31, 17))])
def test_counts_equal_those_by_scipy(classes: int, size: tuple[int, int]) -> None:
    preds, masks = blobs(classes, size)
    edges = (6, 40)
    metric = ObjectSizeIoU(classes, IGNORE, edges)
    metric.update(preds[:1], masks[:1])
    metric.update(preds[1:], masks[1:])
    np.testing.assert_array_equal(np.array(states(metric)), by_scipy(preds, masks, classes, edges))


def test_over_all_sizes_they_are_the_counts_of_the_confusion_matrix() -> None:
    preds, masks = blobs(7, (61, 37))
    metric = ObjectSizeIoU(7, IGNORE, (10, 100, 300))
    metric.update(preds, masks)
    kept = masks != IGNORE
    matrix = confusion_matrix(masks[kept], preds[kept], labels=range(7))
    assert metric.found.sum(1).tolist() == matrix.diagonal().tolist()
    assert metric.missed.sum(1).tolist() == (matrix.sum(1) - matrix.diagonal()).tolist()
    assert metric.wrong.sum(1).tolist() == (matrix.sum(0) - matrix.diagonal()).tolist()


def test_logits_and_images_without_labels() -> None:
    logits = torch.randn(2, 5, 6, 5, generator=torch.Generator().manual_seed(0))
    _, masks = blobs(5, (23, 19), images=2)
    labels = F.interpolate(logits, (23, 19), mode="bilinear").argmax(1)
    ours, theirs = ObjectSizeIoU(5, IGNORE, (4,)), ObjectSizeIoU(5, IGNORE, (4,))
    ours.update(logits, masks)
    theirs.update(labels, masks)
    assert states(ours) == states(theirs)
    ours.reset()
    ours.update(labels, torch.full_like(masks, IGNORE))
    assert not np.any(states(ours))
    with pytest.raises(UserError, match="5"):
        ours.update(labels, masks.clamp(max=5))
