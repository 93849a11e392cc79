"""The confusion matrix as JSON and checkpoints hold it: its rows, or the cells that are not empty of many classes."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from seglight.ops.label_types import IGNORE_INDEX

Content: TypeAlias = list[list[int]] | dict[str, Any]


def content_of(confusion: NDArray[np.int64]) -> Content:
    """What stands for a confusion matrix in `scores.json`.

    Args:
        confusion: (C, C), rows are true classes.

    Returns:
        The rows of up to 255 classes. Of more, which would be megabytes of zeros: the number of `classes`, and the
        cells that are not 0, row by row, as lists of the indices `true` and `predicted` and of their `pixels`.
    """
    if len(confusion) <= IGNORE_INDEX:
        rows: list[list[int]] = confusion.tolist()
        return rows
    true, predicted = confusion.nonzero()
    cells = {"true": true, "predicted": predicted, "pixels": confusion[true, predicted]}
    return {"classes": len(confusion), **{name: values.tolist() for name, values in cells.items()}}


def matrix_of(content: Content) -> NDArray[np.int64]:
    """The confusion matrix (C, C) that `content_of` turned into rows or cells."""
    if not isinstance(content, dict):
        return np.array(content, np.int64)
    confusion = np.zeros((content["classes"], content["classes"]), np.int64)
    confusion[content["true"], content["predicted"]] = content["pixels"]
    return confusion
