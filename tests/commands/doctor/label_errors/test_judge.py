"""Two passes over a split."""

import tracemalloc

import numpy as np
import pytest
import torch

from seglight.commands.doctor.label_errors.compare import add_confidence
from seglight.commands.doctor.label_errors.confidence import ClassConfidence
from seglight.commands.doctor.label_errors.judge import Part, judge
from seglight.commands.doctor.label_errors.sample import read_sample
from tests.support.judging import InMemory, drawn, predictor

SIZE = (64, 64)


def test_thresholds_are_those_of_all_images_whoever_judges_them() -> None:
    pairs = [drawn(seed, 3, (20, 24)) for seed in range(4)]
    net = predictor([one for one, _ in pairs])
    split = InMemory([labels for _, labels in pairs])
    calls: list[int] = []
    judged = judge([Part(lambda: net, [3, 1]), Part(lambda: net, [0, 2])], split, 3, 255, 2, lambda: calls.append(0))
    whole = ClassConfidence(3)
    with torch.inference_mode():
        for index in range(4):
            add_confidence(whole, np.zeros((3, 3), np.int64), net, read_sample(split, index, 3, 255))
    torch.testing.assert_close(judged.confidence.thresholds(), whole.thresholds())
    assert judged.images == 4
    assert len(calls) == 8
    assert len(judged.ranked_images) == len(judged.regions) == 2
    assert judged.found > 2
    assert judged.ranked_images[0].score <= judged.ranked_images[1].score
    assert judged.regions[0].score >= judged.regions[1].score
    assert judged.confidence.counts.sum() == 4 * 20 * 24


def test_images_are_ranked_as_by_cleanlab() -> None:
    rank = pytest.importorskip("cleanlab.segmentation.rank")
    pairs = [drawn(seed, 4, SIZE, 1 + seed % 3) for seed in range(8)]
    probabilities = np.stack([one for one, _ in pairs])
    labels = np.stack([one for _, one in pairs])
    net = predictor(list(probabilities))
    judged = judge([Part(lambda: net, range(8))], InMemory(list(labels)), 4, 255, 8)
    scores, _ = rank.get_label_quality_scores(labels.astype(int), probabilities, verbose=False)
    assert [one.index for one in judged.ranked_images] == np.argsort(scores, kind="stable").tolist()
    np.testing.assert_allclose([one.score for one in judged.ranked_images], np.sort(scores), rtol=1e-5)


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    """The net of these images is one object, which is there before."""
    probabilities, labels = drawn(5, 3, SIZE)
    net = predictor([probabilities])

    class Endless(InMemory):
        def read(self, index: int):  # type: ignore[no-untyped-def]
            return np.zeros((*SIZE, 3), np.uint8), labels.copy(), f"image {index}"

    def peak(images: int) -> int:
        split = Endless([labels] * images)
        tracemalloc.start()
        judge([Part(lambda: net, range(images))], split, 3, 255, 5)
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return held

    peak(2)
    assert peak(24) < peak(6) + SIZE[0] * SIZE[1]
