"""Each convention against the library that it is of, on the label maps themselves.

Covers: metrics.image_counts.
"""

import warnings

import numpy as np
import pytest
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.classification import MulticlassJaccardIndex
from torchmetrics.segmentation import MeanIoU

from seglight.metrics import ConfusionMatrix
from seglight.metrics.conventions import conventions, saturated
from seglight.metrics.image_counts import ImageCounts, ScoredImages

IGNORE = 255
IMAGES, BATCH = 7, 3


def maps(classes: int) -> tuple[Tensor, Tensor]:
    """Labels with other classes in each image; the last class is in none, the one before only in predictions."""
    generator = torch.Generator().manual_seed(classes)
    mask = torch.randint(0, max(1, classes - 2), (IMAGES, 21, 18), generator=generator)
    for k in range(IMAGES):
        mask[k] = mask[k].clamp(max=k)
    pred = torch.where(torch.rand(mask.shape, generator=generator) < 0.7, mask, (mask + 1) % max(1, classes - 1))
    mask[torch.rand(mask.shape, generator=generator) < 0.2] = IGNORE
    mask[4] = IGNORE  # nothing labelled in it
    return pred, mask


def scores_of(pred: Tensor, mask: Tensor, classes: int) -> dict[str, float]:
    metric = ConfusionMatrix(classes, IGNORE, per_image=True)
    metric.update(pred, mask)
    names = [f"{k}.png" for k in range(len(pred))]
    rows = conventions(ScoredImages("val", BATCH, names, metric.image_counts()))
    assert len(rows) == len({row.name for row in rows}) >= 9
    return {row.name: row.miou for row in rows}


def histogram(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    return np.bincount(labels, minlength=classes)[:classes].astype(np.float32)


def by_mmsegmentation(pred: Tensor, mask: Tensor, classes: int) -> float:
    """float32 areas of each image, added up image after image; absent classes are 0 / 0, which nanmean leaves out."""
    total = [np.zeros(classes, np.float32)] * 2
    for guess, truth in zip(pred.numpy(), mask.numpy(), strict=True):
        guess, truth = guess[truth != IGNORE], truth[truth != IGNORE]
        both = histogram(guess[guess == truth], classes)
        union = histogram(guess, classes) + histogram(truth, classes) - both
        total = [total[0] + both, total[1] + union]
    with np.errstate(invalid="ignore"):
        return float(np.nanmean(total[0] / total[1]))


def by_paddleseg(pred: Tensor, mask: Tensor, classes: int) -> float:
    """int64 areas over the split; the IoU of a class without a union is 0."""
    ious = []
    for c in range(classes):
        guess, truth = (pred == c) & (mask != IGNORE), mask == c
        union = int((guess | truth).sum())
        ious.append(int((guess & truth).sum()) / union if union else 0.0)
    return float(np.mean(ious))


def by_torchmetrics(pred: Tensor, mask: Tensor, classes: int, average: str) -> Tensor:
    metric = MulticlassJaccardIndex(classes, average=average, ignore_index=IGNORE)
    metric.update(pred, mask)
    return metric.compute()


def by_torchmetrics_segmentation(pred: Tensor, mask: Tensor, classes: int) -> float:
    """It knows no ignored pixels: one-hot maps without them."""
    metric = MeanIoU(num_classes=classes, input_format="one-hot")
    kept = (mask != IGNORE)[..., None]
    one_hot = [F.one_hot(x.masked_fill(mask == IGNORE, 0), classes) * kept for x in (pred, mask)]
    for some in torch.arange(IMAGES).split(BATCH):
        metric.update(*(x[some].movedim(-1, 1).bool() for x in one_hot))
    return float(metric.compute())


def by_smp(pred: Tensor, mask: Tensor, classes: int, reduction: str) -> float:
    stats = smp.metrics.get_stats(pred, mask, mode="multiclass", num_classes=classes, ignore_index=IGNORE)
    return float(smp.metrics.iou_score(*stats, reduction=reduction))


@pytest.mark.parametrize("classes", [2, 11, 150])
def test_equal_the_libraries(classes: int) -> None:
    pred, mask = maps(classes)
    ours = scores_of(pred, mask, classes)
    batches = [
        by_torchmetrics(pred[some], mask[some], classes, "macro")
        for some in torch.arange(IMAGES).split(BATCH)
        if (mask[some] != IGNORE).any()
    ]
    expected = {
        "seglight": by_torchmetrics(pred, mask, classes, "macro"),
        "mmsegmentation": by_mmsegmentation(pred, mask, classes),
        "torchmetrics macro": by_torchmetrics(pred, mask, classes, "macro"),
        "torchmetrics none, .mean()": by_torchmetrics(pred, mask, classes, "none").mean(),
        "torchmetrics micro": by_torchmetrics(pred, mask, classes, "micro"),
        "torchmetrics MeanIoU": by_torchmetrics_segmentation(pred, mask, classes),
        "smp macro": by_smp(pred, mask, classes, "macro"),
        "smp micro": by_smp(pred, mask, classes, "micro"),
        "PaddleSeg": by_paddleseg(pred, mask, classes),
        "mean of batches of 3": torch.stack(batches).mean(),
    }
    assert ours == pytest.approx({name: float(value) for name, value in expected.items()}, abs=1e-6)
    if classes == 11:  # with absent classes they are six different numbers
        assert len({round(value, 3) for value in ours.values()}) == 6


def test_nothing_labelled_is_nan_or_the_value_of_the_absent() -> None:
    pred, mask = maps(3)
    with warnings.catch_warnings(action="error"):
        ours = scores_of(pred, torch.full_like(mask, IGNORE), 3)
    assert np.isnan(ours["seglight"])
    assert ours["PaddleSeg"] == 0
    assert ours["smp macro"] == 1


def one_image(right: int, wrong: int) -> ScoredImages:
    """Two classes: of the first `right` pixels are right and `wrong` are not."""
    counts = ImageCounts(2, *(np.array(x, np.int64) for x in ([3], [0, 1, 3], [right, wrong, 1])))
    return ScoredImages("val", 1, ["a"], counts)


def test_mmsegmentation_saturates_beyond_2_to_the_24() -> None:
    assert not saturated(one_image(2**24 - 8, 4))
    large = one_image(2**25, 2**23)
    assert saturated(large)
    ours, theirs = (row.miou for row in conventions(large)[:2])
    assert ours == pytest.approx((2**25 / (2**25 + 2**23) + 1 / (2**23 + 1)) / 2)
    # area of label and prediction of the first class both stop at 2 ** 24, as does what they share
    assert theirs == pytest.approx((1 + 1 / (2**23 + 1)) / 2)
