"""Maps and score of one image.

Covers: commands.doctor.label_errors.sample.
"""

import numpy as np
import pytest
import torch
from scipy.special import softmax

from seglight.commands.doctor.label_errors.compare import add_confidence, compare
from seglight.commands.doctor.label_errors.confidence import ClassConfidence
from seglight.commands.doctor.label_errors.sample import read_sample
from seglight.errors import UserError
from tests.support.judging import InMemory, drawn, predictor

SIZE = (37, 45)
"""Of no multiple of 32: the padding must not count."""


def test_maps_and_score_of_an_image() -> None:
    probabilities, labels = drawn(1, 4, SIZE)
    labels[5:9] = 255
    net, split = predictor([probabilities]), InMemory([labels])
    sample = read_sample(split, 0, 4, 255)
    confidence = ClassConfidence(4)
    contradicted = np.zeros((4, 4), np.int64)
    with torch.inference_mode():
        add_confidence(confidence, contradicted, net, sample)
    known = labels != 255
    own = np.take_along_axis(probabilities, np.where(known, labels, 0)[None].astype(int), 0)[0]
    means = [own[labels == k].mean() for k in range(4)]
    np.testing.assert_allclose(confidence.thresholds(), means, rtol=1e-5)
    expected = np.zeros((4, 4), np.int64)
    np.add.at(expected, (labels[known], probabilities.argmax(0)[known]), 1)
    np.fill_diagonal(expected, 0)
    np.testing.assert_array_equal(contradicted, expected)
    contradictions = np.zeros((4, 4), np.int64)
    with torch.inference_mode():
        found = compare(net, sample, confidence.thresholds(), contradictions)
    np.testing.assert_allclose(found.label_probability[known], own[known], atol=1e-6)
    np.testing.assert_array_equal(found.predicted, probabilities.argmax(0))
    np.testing.assert_allclose(found.probability, probabilities.max(0), atol=1e-6)
    assert found.issues.sum() == contradictions.sum() > 0
    assert not found.issues[~known].any()
    assert not contradictions.diagonal().any()
    # the softmin of cleanlab's segmentation/rank.py: the scores weighted by the softmax of (1 - score) / 0.1
    weights = softmax((1 - own[known]) / 0.1)
    assert found.score == pytest.approx((own[known] * weights).sum(), rel=1e-5)


def test_an_image_without_labels_has_the_best_score() -> None:
    probabilities, labels = drawn(1, 3, SIZE)
    labels[:] = 255
    sample = read_sample(InMemory([labels]), 0, 3, 255)
    with torch.inference_mode():
        found = compare(predictor([probabilities]), sample, torch.full((3,), torch.inf), np.zeros((3, 3), np.int64))
    assert found.score == 1.0
    assert not found.issues.any()


def test_as_cleanlab() -> None:
    """Score, and number of issues: pixels whose most probable class is not the label and reaches its threshold."""
    rank = pytest.importorskip("cleanlab.segmentation.rank")
    batched = pytest.importorskip("cleanlab.experimental.label_issues_batched")
    probabilities, labels = drawn(2, 6, SIZE)
    net = predictor([probabilities])
    sample = read_sample(InMemory([labels]), 0, 6, 255)
    confidence = ClassConfidence(6)
    contradicted = np.zeros((6, 6), np.int64)
    with torch.inference_mode():
        add_confidence(confidence, contradicted, net, sample)
        found = compare(net, sample, confidence.thresholds(), np.zeros((6, 6), np.int64))
    score, _ = rank.get_label_quality_scores(labels[None].astype(int), probabilities[None], verbose=False)
    assert found.score == pytest.approx(score[0], rel=1e-5)
    inspector = batched.LabelInspector(num_class=6, verbose=False, n_jobs=1)
    flat = probabilities.reshape(6, -1).T
    inspector.update_confident_thresholds(labels.ravel(), flat)
    inspector.score_label_quality(labels.ravel(), flat)
    reached = found.probability >= confidence.thresholds().numpy()[found.predicted] - 1e-6
    assert inspector.get_num_issues(silent=True) == (reached & (found.predicted != labels)).sum()
    np.testing.assert_allclose(inspector.get_confident_thresholds(silent=True), confidence.thresholds(), rtol=1e-5)


def test_labels_that_do_not_fit() -> None:
    with pytest.raises(UserError, match=r"^image 0: .*7"):
        read_sample(InMemory([np.full((4, 4), 7, np.uint8)]), 0, 3, 255)

    class Wrong(InMemory):
        def read(self, index: int):  # type: ignore[no-untyped-def]
            return np.zeros((4, 5, 3), np.uint8), self.masks[0], "odd"

    with pytest.raises(UserError, match="odd: the image has 4x5 pixels and its mask 4x4"):
        read_sample(Wrong([np.zeros((4, 4), np.uint8)]), 0, 3, 255)
