"""The score against torchmetrics, scikit-learn and a case worked by hand, on one process and on two."""

import math
import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from sklearn.metrics import jaccard_score
from torch import Tensor, multiprocessing
from torchmetrics.classification import MulticlassJaccardIndex

from seglight.metrics import JaccardIndex, Scores

IGNORE = 255


def labels(classes: int, images: int = 4, absent: int | None = None) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(classes)
    pred = torch.randint(0, classes, (images, 24, 17), generator=generator)
    mask = torch.where(torch.rand(pred.shape, generator=generator) < 0.6, pred, (pred + 1) % classes)
    if absent is not None:
        pred[pred == absent] = mask[mask == absent] = 0
    mask[torch.rand(mask.shape, generator=generator) < 0.2] = IGNORE
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


def test_a_class_predicted_but_nowhere_true_counts_as_zero() -> None:
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


def count_share(rank: int, folder: str) -> None:
    """What each of two processes does: 4 images on rank 0, 3 on rank 1."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    pred, mask = labels(11, images=7, absent=3)
    metric = JaccardIndex(11, IGNORE)
    for index in range(rank, 7, 2):
        metric.update(pred[index : index + 1], mask[index : index + 1])
    torch.save((*metric.totals(), int(metric.images)), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_count_each_image_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "GLOO_SOCKET_IFNAME", "lo")
    multiprocessing.spawn(count_share, (str(tmp_path),), nprocs=2)
    pred, mask = labels(11, images=7, absent=3)
    alone = JaccardIndex(11, IGNORE)
    alone.update(pred, mask)
    for rank, share in enumerate((4, 3)):
        confusion, images, own = torch.load(tmp_path / f"{rank}.pt")
        assert torch.equal(confusion, alone.totals()[0])
        assert images == 7
        assert own == share  # reading the totals leaves the process its own counts
