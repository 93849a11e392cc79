"""Thresholds of confident learning."""

import numpy as np
import pytest
import torch

from seglight.commands.doctor.label_errors.confidence import ClassConfidence, confident_class
from tests.support.judging import drawn


def test_a_threshold_is_the_mean_probability_of_the_pixels_with_that_label() -> None:
    confidence = ClassConfidence(3)
    confidence.add(torch.tensor([0.9, 0.5]), torch.tensor([0, 1], dtype=torch.uint8))
    confidence.add(torch.tensor([0.7]), torch.tensor([0], dtype=torch.uint8))
    assert confidence.thresholds().tolist() == pytest.approx([0.8, 0.5, float("inf")])
    assert confidence.counts.tolist() == [2, 1, 0]


def test_the_confident_class() -> None:
    """Pixels: one class reaches its threshold; two do, the more probable counts; the less probable alone; none does."""
    thresholds = torch.tensor([0.8, 0.2, 0.3], dtype=torch.float64)
    pixels = torch.tensor([[0.85, 0.1, 0.05], [0.0, 0.4, 0.6], [0.7, 0.25, 0.05], [0.79, 0.19, 0.02]])
    found, confident = confident_class(pixels.T[None], thresholds)
    assert found.tolist() == [[0, 2, 1, 0]]
    assert confident.tolist() == [[True, True, True, False]]


def test_as_cleanlab() -> None:
    """`get_confident_thresholds`, and the off-diagonal entries of the confident joint."""
    count = pytest.importorskip("cleanlab.count")
    probabilities, labels = drawn(0, 5, (60, 50))
    flat, given = probabilities.reshape(5, -1).T, labels.ravel()
    confidence = ClassConfidence(5)
    own = torch.from_numpy(flat[np.arange(len(given)), given])
    for part in (slice(0, 999), slice(999, None)):
        confidence.add(own[part], torch.from_numpy(given[part]))
    np.testing.assert_allclose(confidence.thresholds(), count.get_confident_thresholds(given, flat), rtol=1e-12)
    _, theirs = count.compute_confident_joint(given, flat, return_indices_of_off_diagonals=True)
    found, confident = confident_class(torch.from_numpy(flat.T[None]), confidence.thresholds())
    ours = confident[0].numpy() & (found[0].numpy() != given)
    np.testing.assert_array_equal(np.flatnonzero(ours), theirs)
