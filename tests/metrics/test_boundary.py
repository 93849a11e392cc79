"""Boundary scores against SciPy's morphology and distances, class by class, and by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from seglight.metrics import BoundaryF, BoundaryIoU
from tests.support.processes import in_processes

SQUARE = np.ones((3, 3))


def ignore_of(classes: int) -> int:
    return 255 if classes < 255 else -1


def blobs(classes: int, size: tuple[int, int], images: int = 3) -> tuple[Tensor, Tensor]:
    """Label maps of smooth regions, and the same ones a little off, with ignored patches."""
    generator = torch.Generator().manual_seed(classes)
    logits = torch.randn(images, classes, 7, 6, generator=generator)
    other = logits + 0.3 * torch.randn(logits.shape, generator=generator)
    pred, mask = (F.interpolate(x, size, mode="bilinear").argmax(1) for x in (logits, other))
    patches = F.interpolate(torch.rand(images, 1, 9, 9, generator=generator), size)[:, 0]
    mask[patches > 0.8] = ignore_of(classes)
    dtype = torch.uint8 if classes < 255 else torch.int32
    return pred.to(dtype), mask.to(dtype)


def near_others(own: NDArray[np.bool_], labelled: NDArray[np.bool_], d: int, border: bool) -> NDArray[np.bool_]:
    """The pixels of a mask at most d from a labelled pixel outside it; beyond the border is outside, or nothing."""
    others = np.pad(labelled & ~own, 1, constant_values=border)
    return own & ndimage.binary_dilation(others, SQUARE, iterations=d)[1:-1, 1:-1]


def boundary_iou(preds: Tensor, masks: Tensor, classes: int, ratio: float) -> NDArray[np.float64]:
    counts = np.zeros((classes, 2))
    d = max(1, round(ratio * math.hypot(*masks.shape[1:])))
    for pred, mask in zip(preds.numpy(), masks.numpy(), strict=True):
        labelled = mask != ignore_of(classes)
        for c in np.unique([pred, mask]):
            if c != ignore_of(classes):
                guess, truth = (near_others((x == c) & labelled, labelled, d, border=True) for x in (pred, mask))
                counts[c] += (guess & truth).sum(), (guess | truth).sum()
    with np.errstate(invalid="ignore"):
        return counts[:, 0] / counts[:, 1]


@pytest.mark.parametrize("ratio", [0.001, 0.02, 0.1, 2.0])
@pytest.mark.parametrize(("classes", "size"), [(2, (40, 53)), (11, (61, 37)), (300, (50, 51))])
def test_boundary_iou_equals_scipy(classes: int, size: tuple[int, int], ratio: float) -> None:
    preds, masks = blobs(classes, size)
    metric = BoundaryIoU(classes, ignore_of(classes), ratio)
    metric.update(preds[:1], masks[:1])
    metric.update(preds[1:], masks[1:])
    np.testing.assert_allclose(metric.compute(), boundary_iou(preds, masks, classes, ratio))


def test_without_ignored_pixels_the_band_is_what_erosion_takes_off() -> None:
    """As in the authors' code: the mask less its erosion, 0 beyond the border."""
    preds, masks = (x.clamp(max=1) for x in blobs(11, (70, 90), images=1))
    metric = BoundaryIoU(2, 255)
    metric.update(preds, masks)
    d = round(0.02 * math.hypot(70, 90))
    assert d > 1
    for c in range(2):
        guess, truth = (
            own & ~ndimage.binary_erosion(own, SQUARE, iterations=d, border_value=0)
            for own in ((preds[0] == c).numpy(), (masks[0] == c).numpy())
        )
        assert float(metric.compute()[c]) == pytest.approx((guess & truth).sum() / (guess | truth).sum())


def test_boundary_iou_by_hand() -> None:
    """A square of 3 in a frame of 5 has a band of 8, and one of 9 a pixel further right shares 4 with it."""
    mask, pred = torch.zeros(2, 1, 7, 7, dtype=torch.uint8)
    mask[0, 1:4, 1:4] = pred[0, 1:4, 2:5] = 1
    metric = BoundaryIoU(3, 255, dilation_ratio=0.01)  # d is a pixel at least
    metric.update(pred, mask)
    # rings of 8 around (2, 2) and (2, 3): in common (1, 2), (1, 3), (3, 2), (3, 3)
    assert metric.intersection.tolist()[1] == 4
    assert metric.union.tolist()[1] == 12
    assert math.isnan(metric.compute()[2])


def test_a_class_that_ends_at_ignored_pixels_has_no_boundary_there() -> None:
    mask = torch.zeros(1, 9, 9, dtype=torch.uint8)
    mask[:, :, 4] = 255
    mask[:, :, 5:] = 1
    metric = BoundaryF(2, 255)
    metric.update((torch.arange(9) > 3).expand(1, 9, 9).to(torch.uint8), mask)
    assert metric.true.tolist() == [0, 0]
    assert metric.predicted.tolist() == [0, 0]
    assert metric.compute().f.isnan().all()


def boundary_f(preds: Tensor, masks: Tensor, classes: int, tolerance: int) -> NDArray[np.float64]:
    """predicted, right, true, found of each class by Euclidean distance transforms."""
    counts = np.zeros((4, classes), np.int64)
    for pred, mask in zip(preds.numpy(), masks.numpy(), strict=True):
        labelled = mask != ignore_of(classes)
        for c in np.unique([pred, mask]):
            if c == ignore_of(classes):
                continue
            guess, truth = (near_others((x == c) & labelled, labelled, 1, border=False) for x in (pred, mask))
            for row, own, other in ((0, guess, truth), (2, truth, guess)):
                counts[row, c] += own.sum()
                if other.any():
                    counts[row + 1, c] += (ndimage.distance_transform_edt(~other)[own] <= tolerance).sum()
    return counts


@pytest.mark.parametrize("tolerance", [0, 1, 3, 5])
@pytest.mark.parametrize(("classes", "size"), [(2, (40, 53)), (11, (61, 37)), (300, (50, 51))])
def test_boundary_f_equals_scipy(classes: int, size: tuple[int, int], tolerance: int) -> None:
    preds, masks = blobs(classes, size)
    metric = BoundaryF(classes, ignore_of(classes), tolerance)
    metric.update(preds[:1], masks[:1])
    metric.update(preds[1:], masks[1:])
    predicted, right, true, found = boundary_f(preds, masks, classes, tolerance)
    states = (metric.predicted, metric.right, metric.true, metric.found)
    for state, expected in zip(states, (predicted, right, true, found), strict=True):
        np.testing.assert_array_equal(state, expected)
    precision, recall, f = metric.compute()
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(precision, right / predicted)
        np.testing.assert_allclose(recall, found / true)
        harmonic = 2 * (right / predicted) * (found / true) / (right / predicted + found / true)
    clear = (right > 0) & (found > 0)
    np.testing.assert_allclose(f[clear], harmonic[clear])
    assert (f.numpy()[~clear & (predicted + true > 0)] == 0).all()
    assert f.isnan().tolist() == (predicted + true == 0).tolist()


def test_boundary_f_by_hand() -> None:
    """A straight edge 2 pixels off: nothing within 1, all within 2."""
    mask, pred = torch.zeros(2, 1, 6, 12, dtype=torch.uint8)
    mask[:, :, 4:], pred[:, :, 6:] = 1, 1
    for tolerance, f in ((1, 0), (2, 1)):
        metric = BoundaryF(2, 255, tolerance)
        metric.update(pred, mask)
        assert metric.true.tolist() == [6, 6]
        assert metric.compute().f.tolist() == [f, f]


def test_logits_are_upsampled_to_the_labels() -> None:
    logits = torch.randn(2, 5, 6, 5, generator=torch.Generator().manual_seed(0))
    _, masks = blobs(5, (23, 19), images=2)
    labels = F.interpolate(logits, (23, 19), mode="bilinear", align_corners=False).argmax(1)
    for make in (BoundaryIoU, BoundaryF):
        ours, theirs = make(5, 255), make(5, 255)
        ours.update(logits, masks)
        theirs.update(labels, masks)
        torch.testing.assert_close(ours.metric_state, theirs.metric_state)


def count_share(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    preds, masks = blobs(11, (61, 37), images=5)
    iou, f = BoundaryIoU(11, 255), BoundaryF(11, 255)
    for index in range(rank, 5, 2):
        for metric in (iou, f):
            metric.update(preds[index : index + 1], masks[index : index + 1])
    torch.save((iou.compute(), *f.compute()), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_give_the_same(tmp_path: Path) -> None:
    in_processes(2, count_share, str(tmp_path))
    preds, masks = blobs(11, (61, 37), images=5)
    iou, f = BoundaryIoU(11, 255), BoundaryF(11, 255)
    for metric in (iou, f):
        metric.update(preds, masks)
    single = (iou.compute(), *f.compute())
    for rank in range(2):
        for theirs, ours in zip(torch.load(tmp_path / f"{rank}.pt"), single, strict=True):
            assert torch.equal(theirs.nan_to_num(-1), ours.nan_to_num(-1))
