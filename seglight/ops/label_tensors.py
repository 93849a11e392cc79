"""Label maps as tensors: uint8, or int32 where arrays and files are uint16, a type that torch hardly computes with."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglight.ops.label_types import IGNORE_INDEX


def label_dtype(num_classes: int) -> torch.dtype:
    """Type of label maps as tensors: uint8, or int32 for more than 255 classes."""
    return torch.uint8 if num_classes <= IGNORE_INDEX else torch.int32


def as_tensor(labels: NDArray[Any]) -> Tensor:
    """A label map as a tensor: a view of bytes, int32 of uint16."""
    return torch.from_numpy(labels.astype(np.int32) if labels.dtype == np.uint16 else labels)


def as_array(labels: Tensor) -> NDArray[Any]:
    """A label map on a CPU as an array: a view of bytes, uint16 of int32."""
    array: NDArray[Any] = labels.numpy()
    return array.astype(np.uint16) if array.dtype == np.int32 else array
