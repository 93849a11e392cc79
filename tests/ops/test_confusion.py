"""The histogram against scikit-learn's confusion matrix."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as sklearn_confusion

from seglight.ops.confusion import _count_by_sort, confusion_cells, confusion_matrix

U8, I16, I32, I64 = torch.uint8, torch.int16, torch.int32, torch.int64


@pytest.mark.parametrize(
    ("classes", "ignore", "dtypes"),
    [
        *[(classes, 255, (dtype, dtype)) for classes in (2, 11, 150, 250) for dtype in (U8, I64)],
        (19, 0, (U8, U8)),
        (19, 255, (U8, I64)),
        (19, -1, (U8, I16)),
        (19, -100, (I64, I64)),
        (19, 40_000, (I32, I32)),
        (300, -1, (I16, I16)),
        (300, 7, (I64, I16)),
        (255, 255, (U8, U8)),
        (1000, 65535, (I32, I32)),
    ],
)
def test_equals_scikit_learn(classes: int, ignore: int, dtypes: tuple[torch.dtype, torch.dtype]) -> None:
    rng = np.random.default_rng(classes)
    pred, mask = rng.integers(0, classes, (2, 3, 40, 31))
    mask[rng.random(mask.shape) < 0.3] = ignore
    pred[pred == 1] = mask[mask == 1] = classes - 1  # class 1 is absent
    kept = mask != ignore
    expected = sklearn_confusion(mask[kept], pred[kept], labels=range(classes))
    actual = confusion_matrix(torch.tensor(pred).to(dtypes[0]), torch.tensor(mask).to(dtypes[1]), classes, ignore)
    assert actual.dtype == torch.int64
    np.testing.assert_array_equal(actual, expected)
    cells, counts = confusion_cells(torch.tensor(pred).to(dtypes[0]), torch.tensor(mask).to(dtypes[1]), classes, ignore)
    assert cells.tolist() == np.flatnonzero(expected).tolist()
    assert counts.tolist() == expected[expected > 0].tolist()


def test_rows_are_the_target() -> None:
    pred, mask = torch.tensor([[0, 1, 1, 1]]), torch.tensor([[0, 0, 1, 255]])
    assert confusion_matrix(pred, mask, 2, 255).tolist() == [[1, 1], [0, 1]]


def test_all_ignored_counts_nothing() -> None:
    mask = torch.full((1, 4, 4), 255, dtype=torch.uint8)
    assert confusion_matrix(torch.zeros_like(mask), mask, 3, 255).sum() == 0


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32])
def test_the_count_for_cuda_equals_bincount(dtype: torch.dtype) -> None:
    cell = torch.randint(0, 500, (4000,), generator=torch.Generator().manual_seed(0), dtype=dtype)
    cell[cell == 7] = 8
    assert torch.equal(_count_by_sort(cell, minlength=490), cell[cell < 490].bincount(minlength=490))


def test_arguments_are_left_as_they_are() -> None:
    pred, mask = torch.tensor([0, 1, 1]), torch.tensor([0, -1, 1])
    confusion_matrix(pred, mask, 2, -1)
    assert pred.tolist() == [0, 1, 1]
    assert mask.tolist() == [0, -1, 1]


@pytest.mark.parametrize(
    ("classes", "ignore"), [(2, 255), (19, 255), (60, 255), (250, 255), (19, 0), (19, -1), (5, 300)]
)
def test_predictions_where_the_mask_is_ignored_are_not_counted(classes: int, ignore: int) -> None:
    mask = torch.arange(64) % classes
    mask[::2] = ignore
    expected = confusion_matrix(torch.where(mask == ignore, 0, mask), mask, classes, ignore)
    assert torch.equal(expected, torch.diag(mask[mask != ignore].bincount(minlength=classes)))
    for value in (ignore, 255):
        assert torch.equal(confusion_matrix(torch.where(mask == ignore, value, mask), mask, classes, ignore), expected)


@pytest.mark.parametrize("dtype", [U8, I16, I64])
@pytest.mark.parametrize("classes", [2, 19, 31, 32, 60, 88, 127, 128, 200])
def test_labels_beyond_the_classes_are_not_counted(classes: int, dtype: torch.dtype) -> None:
    """Whatever they are: none may wrap around into the cell of another class."""
    mask = torch.arange(256).repeat(40).to(dtype)
    pred = torch.arange(len(mask)) % classes
    known = mask < classes
    expected = sklearn_confusion(mask[known], pred[known], labels=range(classes))
    for ignore in (255, classes):
        np.testing.assert_array_equal(confusion_matrix(pred.to(dtype), mask, classes, ignore), expected)


def test_256_classes_of_a_byte_leave_none_to_ignore() -> None:
    mask = torch.arange(256, dtype=U8).repeat(3)
    assert torch.equal(confusion_matrix(mask, mask, 256, -1), 3 * torch.eye(256, dtype=I64))
