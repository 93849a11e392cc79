"""Readings of mask classification against the published algorithm written plainly, and against transformers."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import EomtImageProcessor, Mask2FormerImageProcessor

from seglight.ops.mask_reading import (
    instances,
    panoptic_segments,
    semantic_labels,
    semantic_logits,
    semantic_probabilities,
    semantic_scores,
)
from tests.support import mask_readings

CLASSES = 6
STUFF = (0, 1, 4)
THINGS = (2, 3, 5)

SIZES = [
    ((20, 24), (80, 96), (80, 96)),  # a stride of 4, as of most heads
    ((20, 24), (80, 96), (67, 93)),  # a padded image
    ((17, 13), (61, 77), (61, 77)),  # no integer factor
    ((40, 30), (40, 30), (37, 30)),  # masks at the image's size
    ((30, 40), (13, 19), (13, 19)),  # smaller than the masks
]


def outputs(size: tuple[int, int], batch: int = 2, queries: int = 23, certain: float = 5.0) -> tuple[Tensor, Tensor]:
    """Logits of blobs, several of which are of one class, and of a class and of no object for about half of them."""
    generator = torch.Generator().manual_seed(sum(size))
    coarse = torch.randn(batch, queries, 4, 4, generator=generator)
    masks = 6 * F.interpolate(coarse, size, mode="bicubic") - 4
    classes = torch.randn(batch, queries, CLASSES + 1, generator=generator)
    chosen = torch.randint(0, CLASSES + 1, (batch, queries, 1), generator=generator)
    return classes.scatter_add(2, chosen, torch.full(chosen.shape, float(certain))), masks


@pytest.mark.parametrize(("small", "size", "part"), SIZES)
def test_semantic_labels_and_probabilities(
    small: tuple[int, int], size: tuple[int, int], part: tuple[int, int]
) -> None:
    classes, masks = outputs(small)
    labels = semantic_labels(classes, masks, size)
    probabilities = torch.empty(2, CLASSES, *size)
    for band, values in semantic_probabilities(classes, masks, size):
        band.put(probabilities, values)
    for k in range(2):
        expected = mask_readings.semantic(classes[k], mask_readings.upsampled(masks[k], size, size))
        assert torch.equal(labels[k].long(), expected.argmax(0))
        torch.testing.assert_close(probabilities[k], expected / expected.sum(0), rtol=1e-5, atol=1e-6)


def test_semantic_logits_are_the_logarithm_of_the_share_of_each_class() -> None:
    classes, masks = outputs((9, 11))
    expected = torch.stack([mask_readings.semantic(*each) for each in zip(classes, masks, strict=True)])
    torch.testing.assert_close(semantic_scores(classes, masks), expected)
    torch.testing.assert_close(semantic_logits(classes, masks).softmax(1), expected / expected.sum(1, keepdim=True))
    nothing = semantic_logits(classes, torch.full_like(masks, -1e4))
    assert nothing.isfinite().all(), "where no mask is"


@pytest.mark.parametrize(("small", "size", "part"), SIZES)
def test_panoptic_segments(small: tuple[int, int], size: tuple[int, int], part: tuple[int, int]) -> None:
    classes, masks = outputs(small)
    joined = 0
    for k, found in enumerate(panoptic_segments(classes, masks, size, STUFF, part, 0.8, 0.3)):
        full = mask_readings.upsampled(masks[k], size, part)
        ids, segments = mask_readings.panoptic(classes[k], full, STUFF, 0.8, 0.3)
        assert len(segments) > 1
        assert found.ids.dtype == torch.int32
        assert torch.equal(found.ids, ids)
        assert found.classes.tolist() == [label for label, _ in segments]
        torch.testing.assert_close(found.scores, torch.tensor([score for _, score in segments]))
        joined += len(segments) < len(mask_readings.panoptic(classes[k], full, (), 0.8, 0.3)[1])
    assert joined, "no stuff was joined: the case tests too little"


def test_of_a_mask_that_wins_exactly_the_least_share_the_segment_is_kept() -> None:
    """Worked by hand: the second query wins 4 of its 5 pixels."""
    masks = torch.full((1, 2, 1, 8), -9.0)
    masks[0, 0, 0, :3] = 9
    masks[0, 1, 0, 2:7] = 8
    classes = torch.tensor([[[9.0, 0, 0], [0, 8, 0]]])
    (found,) = panoptic_segments(classes, masks, (1, 8), ())
    assert found.ids.tolist() == [[1, 1, 1, 2, 2, 2, 2, 0]]
    (found,) = panoptic_segments(classes, masks, (1, 8), (), least_share=0.81)
    assert found.ids.tolist() == [[1, 1, 1, 0, 0, 0, 0, 0]]


def test_without_certain_queries_there_are_no_segments() -> None:
    classes, masks = outputs((8, 8), certain=0)
    for found in panoptic_segments(classes, masks, (32, 32), STUFF, (30, 31), least_score=0.99):
        assert found.ids.shape == (30, 31)
        assert not found.ids.any()
        assert found.classes.shape == found.scores.shape == (0,)


@pytest.mark.parametrize(("small", "size", "part"), SIZES)
def test_instances(small: tuple[int, int], size: tuple[int, int], part: tuple[int, int]) -> None:
    classes, masks = outputs(small)
    for k, found in enumerate(instances(classes, masks, size, part, THINGS, 40)):
        expected = mask_readings.instances(classes[k], mask_readings.upsampled(masks[k], size, part), THINGS, 40)
        assert found.classes.tolist() == [label for label, _, _ in expected]
        torch.testing.assert_close(found.scores, torch.tensor([score for _, score, _ in expected]))
        for mask, (_, _, pixels) in zip(found.masks(), expected, strict=True):
            assert torch.equal(mask, pixels)
        assert len(found.packed) <= len(found.classes), "a row for each query, not for each instance"


def test_instances_of_all_classes_and_of_none() -> None:
    classes, masks = outputs((8, 8))
    (first, _) = instances(classes, masks, (16, 16), most=1000)
    assert len(first.classes) == 23 * CLASSES
    assert first.scores.diff().max() <= 0
    (first, _) = instances(classes, masks, (16, 16), things=())
    assert list(first.masks()) == []


def test_panoptic_and_semantic_of_transformers() -> None:
    """With pictures of the size of the net's input, so that nothing is resized twice."""
    classes, masks = outputs((40, 40))
    raw = SimpleNamespace(masks_queries_logits=masks, class_queries_logits=classes, patch_offsets=None)
    side = {"shortest_edge": 160, "longest_edge": 160}
    processor, sizes = EomtImageProcessor(size=side), [(160, 160)] * 2
    expected = processor.post_process_semantic_segmentation(raw, sizes, side)
    assert torch.equal(semantic_labels(classes, masks, (160, 160)).long(), torch.stack(expected))
    theirs = processor.post_process_panoptic_segmentation(
        raw, sizes, overlap_mask_area_threshold=0.5, stuff_classes=list(STUFF), size=side
    )
    ours = panoptic_segments(classes, masks, (160, 160), STUFF, least_share=0.5)
    for found, peer in zip(ours, theirs, strict=True):
        assert torch.equal(found.ids.long(), peer["segmentation"] + 1)
        assert found.classes.tolist() == [each["label_id"] for each in peer["segments_info"]]
        scores = torch.tensor([each["score"] for each in peer["segments_info"]])
        torch.testing.assert_close(found.scores, scores, rtol=0, atol=1e-6)


def test_instances_of_transformers() -> None:
    """Its Mask2Former, which upsamples to 384x384 and takes as many pairs as there are queries."""
    classes, masks = outputs((96, 96), batch=1)
    raw = SimpleNamespace(masks_queries_logits=masks, class_queries_logits=classes)
    processor = Mask2FormerImageProcessor()
    (peer,) = processor.post_process_instance_segmentation(raw, threshold=0, return_binary_maps=True)
    (found,) = instances(classes, masks, (384, 384), most=23)
    theirs = sorted(zip(peer["segments_info"], peer["segmentation"], strict=True), key=lambda each: -each[0]["score"])
    ours = [each for each in zip(found.classes.tolist(), found.scores, found.masks(), strict=True) if each[2].any()]
    assert len(ours) == len(theirs) > 10
    for (label, score, mask), (info, pixels) in zip(ours, theirs, strict=True):
        assert info["label_id"] == label
        assert float(score) == pytest.approx(info["score"], abs=2e-6)
        assert torch.equal(mask, pixels.bool())


def test_masks_of_all_queries_are_never_held_at_the_size_of_the_image() -> None:
    """The largest tensor that any operator makes is a small part of (queries, H, W) in float32."""
    classes, masks = outputs((128, 256), batch=1, queries=100)
    size = (512, 1024)
    whole = 100 * size[0] * size[1] * 4
    for read in (
        lambda: semantic_labels(classes, masks, size),
        lambda: panoptic_segments(classes, masks, size, STUFF),
        lambda: instances(classes, masks, size),
    ):
        with LargestTensor() as largest:
            read()
        assert largest.bytes < whole / 15


class LargestTensor(torch.utils._python_dispatch.TorchDispatchMode):
    """Records the size of the largest tensor that an operator returns."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        """Call the operator."""
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, Tensor):
                self.bytes = max(self.bytes, tensor.numel() * tensor.element_size())
        return out
