"""Types of label maps: bytes as long as a value is left for ignored pixels.

Covers: ops.label_tensors.
"""

import subprocess
import sys

import numpy as np
import pytest
import torch

from seglight.ops.label_tensors import as_array, as_tensor, label_dtype
from seglight.ops.label_types import MOST_CLASSES, ignore_index_of, ignored_value, label_type


@pytest.mark.parametrize(
    ("classes", "array", "tensor", "ignored"),
    [(2, "uint8", torch.uint8, 255), (255, "uint8", torch.uint8, 255), (256, "uint16", torch.int32, 65535)],
)
def test_by_number_of_classes(classes: int, array: str, tensor: torch.dtype, ignored: int) -> None:
    assert label_type(classes) == np.dtype(array)
    assert label_dtype(classes) == tensor
    assert ignore_index_of(classes) == ignored_value(label_type(classes)) == ignored


def test_the_largest_number_of_classes_leaves_values_for_what_is_no_class() -> None:
    assert MOST_CLASSES < 2**16 - 2


def test_values_are_the_same_as_arrays_and_as_tensors() -> None:
    labels = np.array([[0, 300, 65534, 65535]], np.uint16)
    tensor = as_tensor(labels)
    assert tensor.dtype == torch.int32
    assert tensor.tolist() == labels.tolist()
    back = as_array(tensor)
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, labels)


def test_bytes_and_probabilities_are_not_copied() -> None:
    labels = np.array([[0, 255]], np.uint8)
    assert np.shares_memory(as_array(as_tensor(labels)), labels)
    assert as_array(torch.zeros(2)).dtype == np.float32


def test_no_torch_is_imported() -> None:
    code = "import sys; import seglight.ops.label_types; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
