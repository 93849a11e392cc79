"""The confusion matrix in `scores.json`: rows as ever, and cells of many classes, against scipy's sparse matrices."""

import json

import numpy as np
from scipy.sparse import coo_array

from seglight.metrics.confusion_content import content_of, matrix_of


def test_up_to_255_classes_are_rows() -> None:
    confusion = np.arange(255**2).reshape(255, 255)
    assert content_of(confusion) == confusion.tolist()
    np.testing.assert_array_equal(matrix_of(confusion.tolist()), confusion)


def test_more_classes_are_cells() -> None:
    rng = np.random.default_rng(0)
    confusion = np.zeros((1000, 1000), np.int64)
    confusion[rng.integers(0, 1000, 3000), rng.integers(0, 1000, 3000)] = rng.integers(1, 2**40, 3000)
    text = json.dumps(content_of(confusion))
    assert len(text) < 80_000  # the rows would be two million characters
    content = json.loads(text)
    sparse = coo_array((content["pixels"], (content["true"], content["predicted"])), shape=(content["classes"],) * 2)
    np.testing.assert_array_equal(sparse.toarray(), confusion)
    np.testing.assert_array_equal(matrix_of(content), confusion)
