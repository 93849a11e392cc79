"""Average precision of masks against pycocotools, boundary AP by hand, on 1, 2 and 3 processes.

Covers: metrics.mask_matches.
"""

import contextlib
import io
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from scipy import ndimage
from torch import Tensor

from seglight.errors import UserError
from seglight.images.runs import Runs, mask_runs
from seglight.metrics import MaskAP
from seglight.metrics.mask_ap import MaskAPScores
from tests.support.processes import in_processes

CLASSES = 4


class Case(NamedTuple):
    """An image: arguments of `MaskAP.update`."""

    predicted: list[Runs]
    predicted_classes: Tensor
    scores: Tensor
    labelled: list[Runs]
    classes: Tensor
    crowds: Tensor


def disc(size: tuple[int, int], centre: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: size[0], : size[1]]
    inside: NDArray[np.bool_] = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    return inside


def drawn(seed: int, crowds: float = 0.15, size: tuple[int, int] = (160, 250), detections: int = 12) -> Case:
    """Discs of all sizes, and detections of them that are off by more or less, some of none; scores that are equal."""
    rng = np.random.default_rng(seed)
    number = int(rng.integers(0, 9))
    centres, radii = rng.uniform(0, size, (number, 2)), rng.uniform(3, 70, number)
    classes = rng.integers(0, CLASSES - 1, number)  # nothing is labelled as the last class
    found, labels = [], []
    for _ in range(detections):
        if number and rng.uniform() < 0.8:
            k = int(rng.integers(number))
            off = rng.normal(0, 0.2, 3) * radii[k] * rng.uniform()
            found.append(disc(size, centres[k] + off[:2], max(2.0, radii[k] + off[2])))
            labels.append(classes[k] if rng.uniform() < 0.9 else CLASSES - 1)
        else:
            found.append(disc(size, rng.uniform(0, size), rng.uniform(2, 40)))
            labels.append(rng.integers(CLASSES))
    masks = [disc(size, *each) for each in zip(centres, radii, strict=True)]
    kept = [k for k, mask in enumerate(masks) if mask.any()]
    return Case(
        list(map(mask_runs, found)),
        torch.tensor(np.array(labels, np.int64)),
        torch.from_numpy(rng.integers(1, 20, detections) / 20),
        [mask_runs(masks[k]) for k in kept],
        torch.from_numpy(classes[kept]),
        torch.from_numpy(rng.uniform(size=len(kept)) < crowds),
    )


def published(cases: list[Case]) -> COCOeval:
    """The evaluation of pycocotools."""
    images = [{"id": k, "height": 160, "width": 250} for k in range(len(cases))]
    annotations: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for k, case in enumerate(cases):
        for mask, label, crowd in zip(case.labelled, case.classes.tolist(), case.crowds.tolist(), strict=True):
            annotations.append(
                {"id": len(annotations) + 1, "image_id": k, "category_id": label, "segmentation": mask}
                | {"iscrowd": int(crowd), "area": int(rle.area(mask)), "bbox": rle.toBbox(mask).tolist()}
            )
        for mask, label, score in zip(
            case.predicted, case.predicted_classes.tolist(), case.scores.tolist(), strict=True
        ):
            detections.append({"image_id": k, "category_id": label, "segmentation": mask, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        true = COCO()
        categories = [{"id": k, "name": str(k)} for k in range(CLASSES)]
        true.dataset = {"images": images, "annotations": annotations, "categories": categories}
        true.createIndex()
        evaluation = COCOeval(true, true.loadRes(detections), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def counted(cases: list[Case], ratio: float | None = None) -> MaskAP:
    metric = MaskAP(CLASSES, ratio)
    for case in cases:
        metric.update(*case)
    return metric


def stats(scores: MaskAPScores) -> list[float]:
    """The scores in the order of pycocotools."""
    return [scores.ap, scores.ap50, scores.ap75, *scores.by_size, *scores.recall, *scores.recall_by_size]


@pytest.mark.parametrize(
    "options", [{}, {"crowds": 0.0}, {"crowds": 0.6}, {"detections": 300}], ids=["usual", "none", "crowded", "many"]
)
def test_equals_pycocotools(options: dict[str, Any]) -> None:
    cases = [drawn(seed, **options) for seed in range(4 if "detections" in options else 25)]
    evaluation = published(cases)
    expected = np.where(evaluation.stats < 0, np.nan, evaluation.stats)
    scores = counted(cases).compute()
    np.testing.assert_allclose(stats(scores), expected, rtol=0, atol=1e-12)
    precision = evaluation.eval["precision"][:, :, :, 0, -1]
    by_class = [np.nan if (each < 0).all() else each.mean() for each in np.moveaxis(precision, 2, 0)]
    np.testing.assert_allclose(scores.by_class, by_class, rtol=0, atol=1e-12)
    assert np.isnan(scores.by_class[-1]), "nothing is labelled as it"
    assert 0 < scores.ap < scores.ap50 < 1


def test_boundary_by_hand() -> None:
    """Squares that are a pixel off: the IoU of the masks is above that of their bands, one pixel wide."""
    true, guess = np.zeros((2, 40, 40), bool)
    true[10:30, 10:30] = guess[10:30, 11:31] = True
    arguments = [mask_runs(guess)], torch.tensor([0]), torch.tensor([0.5]), [mask_runs(true)], torch.tensor([0])
    metric, bands = MaskAP(1), MaskAP(1, 0.01)
    metric.update(*arguments)
    bands.update(*arguments)
    whole = (true & guess).sum() / (true | guess).sum()
    rims = [mask & ~ndimage.binary_erosion(mask, np.ones((3, 3))) for mask in (true, guess)]
    rim = (rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum()
    assert 0.9 < whole < 0.95
    assert rim < 0.5
    assert metric.compute().ap == pytest.approx(0.9), "9 of the 10 thresholds"
    assert bands.compute().ap == 0
    bands.reset()
    bands.update([mask_runs(true)], *arguments[1:])
    assert bands.compute().ap == pytest.approx(1)


def test_nothing_at_all() -> None:
    metric = MaskAP(3)
    nothing = torch.tensor([], dtype=torch.int64)
    metric.update([], nothing, torch.tensor([]), [], nothing)
    assert np.isnan(stats(metric.compute())).all()
    full = mask_runs(np.ones((4, 4), bool))
    metric.update([], nothing, torch.tensor([]), [full, mask_runs(np.zeros((4, 4), bool))], torch.tensor([1, 1]))
    assert metric.compute().ap == 0
    metric.update([full], torch.tensor([1]), torch.tensor([0.1]), [full], torch.tensor([1]))
    assert metric.compute().ap == pytest.approx(51 / 101), "half is found: precision 1 up to the recall 0.5"


def test_what_does_not_fit_is_refused() -> None:
    metric = MaskAP(3)
    mask, one = mask_runs(np.ones((4, 4), bool)), torch.tensor([1])
    with pytest.raises(UserError, match="1 detected masks with 1 classes and 0 scores"):
        metric.update([mask], one, torch.tensor([]), [], one[:0])
    with pytest.raises(UserError, match="labelled mask is of class 3, but there are 3 classes"):
        metric.update([mask], one, torch.tensor([0.5]), [mask], one + 2)
    with pytest.raises(UserError, match="NaN"):
        metric.update([mask], one, torch.tensor([float("nan")]), [], one[:0])


def in_turn(rank: int, cases: list[Case], processes: int, expected: MaskAPScores) -> None:
    dist.init_process_group("gloo", rank=rank, world_size=processes)
    scores = counted(cases[rank::processes]).compute()
    np.testing.assert_array_equal(stats(scores), stats(expected))
    np.testing.assert_array_equal(scores.by_class, expected.by_class)
    dist.destroy_process_group()


@pytest.mark.parametrize(("processes", "images"), [(2, 9), (3, 2)])
def test_scores_are_the_same_on_any_number_of_processes(processes: int, images: int) -> None:
    cases = [drawn(seed) for seed in range(images)]
    in_processes(processes, in_turn, cases, processes, counted(cases).compute())
