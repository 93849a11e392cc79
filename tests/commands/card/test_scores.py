"""The scores of a card and their intervals: by hand, and by drawing images one by one."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seglight.commands.card.counters import Images
from seglight.commands.card.scores import confusions, distribution, image_scores, scores_of, sizes_of
from seglight.metrics.image_counts import ImageCounts
from seglight.metrics.object_size import SizeScores

NAMES = ["sky", "road", "tree", "pole"]


def images_of(matrices: NDArray[np.int64], boundary: NDArray[np.int64]) -> Images:
    cells = [np.flatnonzero(matrix) for matrix in matrices]
    counts = [matrix.ravel()[found] for matrix, found in zip(matrices, cells, strict=True)]
    lengths = np.array([len(found) for found in cells], np.int64)
    confusion = ImageCounts(matrices.shape[1], lengths, np.concatenate(cells), np.concatenate(counts))
    return Images([f"{k}.png" for k in range(len(matrices))], [(4, 6)] * len(matrices), confusion, boundary)


@pytest.fixture
def images() -> Images:
    """Seven images of four classes, the last of which does not occur."""
    rng = np.random.default_rng(0)
    matrices = rng.integers(0, 40, (7, 4, 4))
    matrices[:, 3] = matrices[:, :, 3] = 0
    right, extra = rng.integers(0, 9, (2, 7, 3, 4))
    boundary = np.stack([part[:, k] for k in range(3) for part in (right, right + extra)], 1)
    boundary = boundary[:, [0, 1, 3, 2, 5, 4]]  # intersection, union; predicted, right, true, found
    boundary[:, :, 3] = 0
    return images_of(matrices, boundary)


def expected(images: Images, chosen: NDArray[np.intp]) -> dict[str, Any]:
    """Scores of some images, of which one may occur several times, class by class."""
    matrices = np.zeros((len(images.names), 4, 4), np.int64)
    place = np.repeat(np.arange(len(images.names)), images.confusion.lengths)
    matrices.reshape(len(matrices), -1)[place, images.confusion.cells] = images.confusion.counts
    total = matrices[chosen].sum(0)
    inter, union, predicted, right, true, found = images.boundary[chosen].sum(0)
    rows = []
    for c in range(3):
        tp, fp, fn = total[c, c], total[:, c].sum() - total[c, c], total[c].sum() - total[c, c]
        precision, recall = right[c] / predicted[c], found[c] / true[c]
        rows.append(
            {
                "iou": tp / (tp + fp + fn),
                "f1": 2 * tp / (2 * tp + fp + fn),
                "precision": tp / (tp + fp),
                "recall": tp / (tp + fn),
                "boundary_iou": inter[c] / union[c],
                "f": 2 * precision * recall / (precision + recall),
            }
        )
    return {
        "classes": rows,
        "miou": np.mean([row["iou"] for row in rows]),
        "accuracy": total.trace() / total.sum(),
        "boundary_iou": np.mean([row["boundary_iou"] for row in rows]),
        "boundary_f": np.mean([row["f"] for row in rows]),
    }


@pytest.mark.parametrize("ids", [[0, 1, 2, 3, 4, 5, 6], [0, 0, 1, 1, 1, 2, 3]])
def test_scores_and_intervals_by_drawing_groups_of_images(ids: list[int], images: Images) -> None:
    groups = np.array(ids)
    found = scores_of(images, groups, NAMES)
    whole = expected(images, np.arange(7))
    count = groups.max() + 1
    times = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=1000)
    drawn = [expected(images, np.repeat(np.arange(7), each[groups])) for each in times]
    for key in ("miou", "accuracy", "boundary_iou", "boundary_f"):
        assert found["score"][key] == pytest.approx(whole[key])
        limits = np.percentile([each[key] for each in drawn], [2.5, 97.5])
        assert found["score"][f"{key}_interval"] == pytest.approx(limits.tolist())
    for index, row in enumerate(found["classes"][:3]):
        for key in ("iou", "f1", "precision", "recall", "boundary_iou"):
            assert row[key] == pytest.approx(whole["classes"][index][key])
            limits = np.percentile([each["classes"][index][key] for each in drawn], [2.5, 97.5])
            assert row[f"{key}_interval"] == pytest.approx(limits.tolist())
    absent = found["classes"][3]
    assert absent["name"] == "pole"
    assert {absent[key] for key in ("iou", "iou_interval", "f1", "boundary_iou", "boundary_iou_interval")} == {None}
    assert (absent["pixels"], absent["share"]) == (0, 0)


def test_boundary_f_is_not_defined_where_the_labels_have_no_boundary(images: Images) -> None:
    """As where the pixels around objects are ignored: F would be 0 for any net that predicts a boundary."""
    images.boundary[:, 4:] = 0
    found = scores_of(images, np.arange(7), NAMES)["score"]
    assert found["boundary_f"] is found["boundary_f_interval"] is None
    assert found["boundary_iou"] > 0


def test_frequency_weighted_iou_by_hand() -> None:
    matrix = np.array([[[30, 10, 0, 0], [0, 20, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]])
    found = scores_of(images_of(matrix, np.zeros((1, 6, 4), np.int64)), np.zeros(1, np.int64), NAMES)
    assert found["score"]["fwiou"] == pytest.approx((40 * 30 / 40 + 20 * 20 / 30) / 60)
    assert found["score"]["miou"] == pytest.approx((30 / 40 + 20 / 30) / 2)
    assert found["score"]["boundary_f"] is None
    assert found["score"]["boundary_iou_interval"] is None
    assert [row["share"] for row in found["classes"]] == pytest.approx([40 / 60, 20 / 60, 0, 0])


def test_confusions_by_hand() -> None:
    matrix = np.array([[50, 3, 0, 7], [3, 10, 0, 0], [0, 0, 0, 0], [1, 0, 9, 0]])
    assert confusions(matrix, NAMES, 4) == [
        {"true": "pole", "predicted": "tree", "pixels": 9, "share_of_true": 0.9},
        {"true": "sky", "predicted": "pole", "pixels": 7, "share_of_true": 7 / 60},
        {"true": "sky", "predicted": "road", "pixels": 3, "share_of_true": 3 / 60},
        {"true": "road", "predicted": "sky", "pixels": 3, "share_of_true": 3 / 13},
    ]
    assert len(confusions(matrix, NAMES)) == 5
    assert confusions(np.diag([3, 4, 0, 0]), NAMES) == []


def test_distribution_leaves_out_images_without_labels() -> None:
    found = distribution(np.array([0.0, 0.25, 0.5, 0.52, 1.0, np.nan]))
    assert found["quantiles"] == {
        "0": 0.0, "5": pytest.approx(0.05), "25": 0.25, "50": 0.5, "75": 0.52, "95": pytest.approx(0.904), "100": 1.0,
    }  # fmt: skip
    counts = {round(one["from"], 2): one["images"] for one in found["bins"] if one["images"]}
    assert counts == {0.0: 1, 0.25: 1, 0.5: 2, 0.95: 1}
    assert len(found["bins"]) == 20
    assert set(distribution(np.array([np.nan]))["quantiles"].values()) == {None}


def test_scores_of_single_images() -> None:
    matrices = np.array([[[3, 1], [0, 4]], [[5, 0], [0, 0]], [[0, 0], [0, 0]]])
    found = image_scores(images_of(matrices, np.zeros((3, 6, 2), np.int64)))
    assert found[:2].tolist() == [pytest.approx((3 / 4 + 4 / 5) / 2), 1.0]
    assert np.isnan(found[2])


def test_sizes_are_means_over_the_classes_of_a_bin() -> None:
    nan = float("nan")
    scores = SizeScores(
        torch.tensor([[1, 0], [2, 3]]),
        torch.tensor([[0.5, nan], [0.25, nan]], dtype=torch.float64),
        torch.tensor([[1.0, nan], [0.5, nan]], dtype=torch.float64),
    )
    found = sizes_of(scores, (1024,), ["sky", "road"])
    assert found["bins"] == [
        {"from": 0, "to": 1024, "objects": 3, "iou": 0.375, "recall": 0.75},
        {"from": 1024, "to": None, "objects": 3, "iou": None, "recall": None},
    ]
    assert found["classes"] == {"sky": [0.5, None], "road": [0.25, None]}
