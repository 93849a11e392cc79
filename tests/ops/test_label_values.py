"""Labels that are not classes: refused in one sentence by every loss and metric, before anything indexes by them."""

import re
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric

from seglight.errors import UserError
from seglight.interfaces import Loss
from seglight.losses import (
    BoundaryLoss,
    CrossEntropy,
    Dice,
    Focal,
    LovaszSoftmax,
    OHEMCrossEntropy,
    Tversky,
    WeightedSum,
)
from seglight.losses.band_pass import guard_labels
from seglight.losses.functional import upsampled_cross_entropy
from seglight.metrics import (
    BestTemperature,
    BoundaryF,
    BoundaryIoU,
    CalibrationError,
    ConfusionMatrix,
    ErrorDetection,
    JaccardIndex,
    MeanIoU,
    ObjectSizeIoU,
)
from seglight.ops.label_values import check_labels

CLASSES, IGNORE = 5, 255
WEIGHTS = [1.0, 2.0, 3.0, 4.0, 5.0]
Call = Callable[[Tensor, Tensor], object]


def losses() -> dict[str, Call]:
    made: dict[str, Loss] = {
        "CrossEntropy": CrossEntropy(IGNORE),
        "weighted": CrossEntropy(IGNORE, WEIGHTS),
        "OHEM": OHEMCrossEntropy(IGNORE, min_kept=10),
        "Focal": Focal(IGNORE),
        "Dice": Dice(IGNORE),
        "Tversky": Tversky(IGNORE),
        "Lovasz": LovaszSoftmax(IGNORE),
        "exact Lovasz": LovaszSoftmax(IGNORE, bins=None),
        "BoundaryLoss": BoundaryLoss(IGNORE),
        "WeightedSum": WeightedSum(IGNORE, [CrossEntropy, Dice], [1, 1]),
    }
    calls: dict[str, Call] = dict(made)
    calls |= {f"{name} with labels": loss.with_labels for name, loss in made.items()}
    calls["function"] = partial(upsampled_cross_entropy, ignore_index=IGNORE)
    calls["function, a loss a pixel"] = partial(upsampled_cross_entropy, ignore_index=IGNORE, reduction="none")
    return calls


def metrics() -> dict[str, Metric]:
    counted = (ConfusionMatrix, partial(ConfusionMatrix, per_image=True), JaccardIndex, MeanIoU, BoundaryIoU, BoundaryF)
    named = zip(("confusion", "per image", "jaccard", "mean", "boundary", "boundary F"), counted, strict=True)
    calibration = {"calibration": CalibrationError(IGNORE), "temperature": BestTemperature(IGNORE)}
    others = {"errors": ErrorDetection(IGNORE), "sizes": ObjectSizeIoU(CLASSES, IGNORE)}
    return {name: make(CLASSES, IGNORE) for name, make in named} | calibration | others


CALLS: dict[str, Call] = losses() | {name: metric.update for name, metric in metrics().items()}


def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, CLASSES, (2, 24, 32), generator=generator, dtype=torch.uint8)
    mask[:, :3] = IGNORE
    return torch.randn(2, CLASSES, 6, 8, generator=generator), mask


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
@pytest.mark.parametrize("name", CALLS)
def test_the_message_lists_values_and_classes_and_the_remedy(name: str, dtype: torch.dtype) -> None:
    logits, mask = pair()
    mask[0, 10, :3] = 12
    mask[1, 11, 0] = 5
    said = (
        "the mask contains 5 (1 px), 12 (3 px), but there are 5 classes, 0 to 4, and 255 is ignored: map these values"
    )
    with pytest.raises(UserError, match=re.escape(said)):
        CALLS[name](logits, mask.to(dtype))


@pytest.mark.parametrize("name", CALLS)
def test_negative_labels(name: str) -> None:
    logits, mask = pair()
    mask = mask.long()
    mask[0, 5, 5] = -100
    with pytest.raises(UserError, match=re.escape("contains -100 (1 px), but there are 5 classes")):
        CALLS[name](logits, mask)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda mask: mask.float(), "the mask is float32 (2, 24, 32): class indices have to be integers"),
        (
            lambda mask: mask[:, None],
            "(2, 1, 24, 32): it has to be (B, H, W): remove the channel with mask.squeeze(1)",
        ),
        (lambda mask: mask[:, None].repeat(1, CLASSES, 1, 1), "convert a one-hot mask with mask.argmax(1)"),
        (lambda mask: mask[0], "add the batch dimension with mask.unsqueeze(0)"),
        (lambda mask: mask[:1], "there are 1 masks for the logits of 2 images"),
    ],
)
@pytest.mark.parametrize("name", CALLS)
def test_masks_of_other_types_and_shapes(name: str, change: Callable[[Tensor], Tensor], said: str) -> None:
    logits, mask = pair()
    with pytest.raises(UserError, match=re.escape(said)):
        CALLS[name](logits, change(mask))


@pytest.mark.parametrize("name", losses())
def test_logits_of_other_types_and_shapes(name: str) -> None:
    logits, mask = pair()
    for wrong in (logits[0], logits.long()):
        with pytest.raises(
            UserError, match=r"the logits are \w+ \(.*\): they have to be floating point \(B, C, h, w\)"
        ):
            CALLS[name](wrong, mask)


@pytest.mark.parametrize("name", ["confusion", "per image", "jaccard", "mean", "boundary", "boundary F"])
def test_predictions_that_are_not_classes(name: str) -> None:
    """They would be counted in the row of another class."""
    _, mask = pair()
    pred = mask.clone()
    metrics()[name].update(pred, mask)  # where the mask is ignored any value may be predicted
    pred[0, 20, 20] = 12
    with pytest.raises(UserError, match=re.escape("the predictions contain 12 (1 px), but there are 5 classes")):
        metrics()[name].update(pred, mask)
    with pytest.raises(
        UserError, match=re.escape("the predictions are uint8 (2, 12, 32) and the mask is uint8 (2, 24")
    ):
        metrics()[name].update(mask[:, :12], mask)


@pytest.mark.parametrize("name", ["confusion", "per image", "jaccard", "mean", "boundary", "boundary F"])
def test_logits_of_other_classes_than_the_metric_has(name: str) -> None:
    _, mask = pair()
    with pytest.raises(UserError, match="the logits have 7 classes but num_classes is 5"):
        metrics()[name].update(torch.zeros(2, 7, 6, 8), mask)


def test_denominator_of_a_weighted_mean() -> None:
    _, mask = pair()
    mask[0, 9, 9] = 7
    with pytest.raises(UserError, match=re.escape("the mask contains 7 (1 px)")):
        CrossEntropy(IGNORE, WEIGHTS).denominator(mask)


@pytest.mark.parametrize(
    ("values", "classes", "ignore"),
    [([0, 4, 255], 5, 255), ([-1, 0], 1, -1), ([0, 255], 256, -1), ([0, 299, 1000], 300, 1000), ([], 3, 255)],
)
def test_right_labels_pass(values: list[int], classes: int, ignore: int) -> None:
    for dtype in (torch.uint8, torch.int16, torch.int64):
        if not values or torch.iinfo(dtype).min <= min(values) <= max(values) <= torch.iinfo(dtype).max:
            check_labels(torch.tensor(values, dtype=dtype), classes, ignore)


def test_many_wrong_values_are_counted() -> None:
    with pytest.raises(UserError, match=re.escape("14 (1 px) and 246 more values, but there are 5 classes")):
        check_labels(torch.arange(10, 261), 5, -1)


def test_the_mask_that_a_gpu_indexes_by(monkeypatch: pytest.MonkeyPatch) -> None:
    _, mask = pair()
    assert guard_labels(mask, CLASSES, IGNORE) == (mask, None)  # nothing is copied on a CPU
    monkeypatch.setattr(Tensor, "is_cuda", property(lambda tensor: True))
    safe, guard = guard_labels(mask, CLASSES, IGNORE)
    assert (guard, safe.tolist()) == (torch.ones(()), mask.tolist())
    mask[0, 10, 10] = 12
    safe, guard = guard_labels(mask, CLASSES, IGNORE)
    assert guard is not None
    assert guard.isnan()
    assert (safe != mask).nonzero().tolist() == [[0, 10, 10]]
    assert safe[0, 10, 10] == 0
