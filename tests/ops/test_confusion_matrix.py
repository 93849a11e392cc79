"""The histogram against scikit-learn's confusion matrix."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as sklearn_confusion

from seglight.ops.confusion import confusion_matrix


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
@pytest.mark.parametrize(("classes", "ignore"), [(2, 255), (11, 255), (150, 255), (250, 255), (19, 0)])
def test_equals_scikit_learn(classes: int, ignore: int, dtype: torch.dtype) -> None:
    rng = np.random.default_rng(classes)
    pred, mask = rng.integers(0, classes, (2, 3, 40, 31))
    mask[rng.random(mask.shape) < 0.3] = ignore
    pred[pred == 1] = mask[mask == 1] = classes - 1  # class 1 is absent
    kept = mask != ignore
    expected = sklearn_confusion(mask[kept], pred[kept], labels=range(classes))
    actual = confusion_matrix(torch.tensor(pred).to(dtype), torch.tensor(mask).to(dtype), classes, ignore)
    assert actual.dtype == torch.int64
    np.testing.assert_array_equal(actual, expected)


def test_rows_are_the_target() -> None:
    pred, mask = torch.tensor([[0, 1, 1, 1]]), torch.tensor([[0, 0, 1, 255]])
    assert confusion_matrix(pred, mask, 2, 255).tolist() == [[1, 1], [0, 1]]


def test_all_ignored_counts_nothing() -> None:
    mask = torch.full((1, 4, 4), 255, dtype=torch.uint8)
    assert confusion_matrix(torch.zeros_like(mask), mask, 3, 255).sum() == 0
