"""The loss and its matching are those of transformers where no pixel is ignored; with ignored ones, worked by hand.

Covers: losses.matched_masks, losses.query_matching.
"""

import math

import pytest
import torch
import torch.nn.functional as F

from seglight.errors import UserError
from seglight.interfaces import MaskOutput
from seglight.losses import MaskClassificationLoss
from seglight.losses.query_matching import match
from seglight.ops.mask_targets import MaskTargets, semantic_targets
from seglight.ops.point_sampling import ImagePoints
from tests.support.mask_losses import (
    IGNORE,
    at_points,
    drawn_labels,
    drawn_output,
    given,
    leaves_of,
    their_inputs,
    their_loss,
    their_value,
)

CASES = {
    "three outputs": ((2, 12, 15, 11), (60, 44), 7, 3),
    "one image": ((1, 5, 8, 8), (8, 8), 3, 1),
    "many classes": ((2, 30, 9, 12), (36, 48), 150, 2),
}
"""Queries (B, Q, h, w), sizes of masks, classes, outputs."""


@pytest.mark.parametrize("case", CASES)
def test_value_and_gradient_are_those_of_transformers(case: str) -> None:
    shape, size, classes, outputs = CASES[case]
    mask, output = drawn_labels((shape[0], *size), classes), drawn_output(shape, classes, outputs)
    loss = MaskClassificationLoss(IGNORE, num_points=400)
    targets, points = given(mask, loss)
    value, theirs = loss(output, targets, points), their_value(output, mask, points, their_loss(classes, 400))
    torch.testing.assert_close(value, theirs, rtol=1e-5, atol=0)
    leaves = leaves_of(output)
    for mine, expected in zip(torch.autograd.grad(value, leaves), torch.autograd.grad(theirs, leaves), strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


@pytest.mark.parametrize("weights", [(2.0, 5.0, 5.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_each_part_of_the_matching_is_that_of_transformers(weights: tuple[float, float, float]) -> None:
    mask, output = drawn_labels((2, 40, 32), 9), drawn_output((2, 14, 10, 8), 9, 1)
    loss = MaskClassificationLoss(IGNORE, *weights, num_points=300)
    targets, points = given(mask, loss)
    matcher = their_loss(9, 300, weights).matcher
    masks, classes, *rest = their_inputs(output, mask)
    with at_points(points, mask):
        expected = matcher(masks, classes, *rest[:2])
    for pairs, (queries, own) in zip(match([output], targets, points, loss.weights), expected, strict=True):
        assert torch.equal(pairs.queries[0], queries)
        assert torch.equal(pairs.masks[0], own)


def test_more_masks_than_queries_are_matched_as_far_as_there_are_queries() -> None:
    mask, output = drawn_labels((1, 40, 32), 20), drawn_output((1, 4, 10, 8), 20, 1)
    loss = MaskClassificationLoss(IGNORE, num_points=64)
    targets, points = given(mask, loss)
    assert targets.count > 4
    (pairs,) = match([output], targets, points, loss.weights)
    assert pairs.queries.tolist() == [[0, 1, 2, 3]]
    assert loss(output, targets, points).isfinite()


def test_half_precision_is_computed_in_float32() -> None:
    mask, output = drawn_labels((2, 40, 32), 5), drawn_output((2, 8, 10, 8), 5, 2)
    loss = MaskClassificationLoss(IGNORE, num_points=200)
    half, single = (
        MaskOutput(*cast(output), aux=tuple(MaskOutput(*cast(each)) for each in output.aux))
        for cast in (
            lambda each: [part.detach().half().requires_grad_() for part in each[:2]],
            lambda each: [part.detach().half().float().requires_grad_() for part in each[:2]],
        )
    )
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(half, *given(mask, loss))
    expected = loss(single, *given(mask, loss))
    assert value.dtype == torch.float32
    assert torch.equal(value, expected)
    scaled = torch.autograd.grad(value * 1024, leaves_of(half))
    for mine, theirs in zip(scaled, torch.autograd.grad(expected * 1024, leaves_of(single)), strict=True):
        assert mine.dtype == torch.float16
        torch.testing.assert_close(mine.float(), theirs, rtol=2e-3, atol=1e-6)


def test_the_same_call_gives_the_same_bits_and_another_step_other_points() -> None:
    mask, output = drawn_labels((2, 40, 32), 5, ignored=0.3), drawn_output((2, 8, 10, 8), 5, 2)
    loss = MaskClassificationLoss(IGNORE, num_points=200)
    values = [loss(output, *given(mask, loss, step)) for step in (7, 7, 8)]
    gradients = [torch.autograd.grad(value, leaves_of(output)) for value in values[:2]]
    assert torch.equal(values[0], values[1])
    assert all(map(torch.equal, *gradients))
    assert not torch.equal(values[0], values[2])


def centres(size: int) -> ImagePoints:
    """The centre of each pixel, in order, for every purpose."""
    steps = (torch.arange(size) + 0.5) / size
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).view(-1, 2)
    return ImagePoints(grid, grid, grid[:0])


def worked_by_hand(labelled: int) -> float:
    """The loss of two queries of 16 pixels, of whose left half `labelled` pixels are in mask 1, all others ignored.

    Query 0 has logit 2 everywhere and class 1 surely, query 1 has logit -2 and "no object" surely.
    """
    entropy = math.log1p(math.exp(-2.0))  # each labelled pixel is in the mask
    probability = 1 / (1 + math.exp(-2.0))
    dice = 1 - (2 * labelled * probability + 1) / (labelled * probability + labelled + 1)
    return 5 * entropy + 5 * dice


@pytest.mark.parametrize("rows", [1, 4])
def test_ignored_pixels_count_for_nothing(rows: int) -> None:
    """transformers takes them for pixels outside of all masks, so that its loss grows with their number."""
    mask = torch.full((1, 4, 4), IGNORE, dtype=torch.uint8)
    mask[:, :rows, :2] = 1
    sure = torch.tensor([[[-50.0, 50.0, -50.0], [-50.0, -50.0, 50.0]]])
    output = MaskOutput(sure, torch.tensor([2.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4))
    # uncertain points are labelled ones: as many candidates are taken as are labelled
    loss = MaskClassificationLoss(IGNORE, num_points=16, oversample_ratio=1, importance_ratio=1)
    loss.uncertain = 2 * rows
    value = loss(output, semantic_targets(mask, IGNORE), [centres(4)])
    assert float(value) == pytest.approx(worked_by_hand(2 * rows), rel=1e-5)
    as_negatives = F.binary_cross_entropy_with_logits(torch.full((4, 4), 2.0), (mask[0] == 1).float())
    assert 5 * float(as_negatives) > 2 * float(value), "what transformers computes of the first part"


def test_the_gradient_at_ignored_pixels_is_zero() -> None:
    mask, output = drawn_labels((1, 12, 12), 3), drawn_output((1, 6, 12, 12), 3, 1)
    mask[:, :, 6:] = IGNORE
    loss = MaskClassificationLoss(IGNORE, num_points=500)
    (gradient,) = torch.autograd.grad(loss(output, *given(mask, loss)), output.mask_logits)
    assert gradient[..., :6].any()
    assert not gradient[..., 7:].any()  # points between columns 5 and 6 are partly labelled


def test_ignored_pixels_do_not_change_the_matching() -> None:
    """Query 0 is right where pixels are labelled, and says what is not known elsewhere; query 1 is right nowhere."""
    mask = torch.full((1, 8, 8), IGNORE, dtype=torch.uint8)
    mask[:, :4] = 0
    mask[:, :4, 4:] = 1
    logits = torch.full((1, 2, 8, 8), -4.0)
    logits[:, 0, :, :4] = 4
    logits[:, 0, 4:] = 4
    logits[:, 1, :4, 3:] = 4
    output = MaskOutput(torch.zeros(1, 2, 3), logits)
    loss = MaskClassificationLoss(IGNORE)
    (pairs,) = match([output], semantic_targets(mask, IGNORE), [centres(8)], loss.weights)
    assert pairs.masks.tolist() == [[0, 1]]


def test_an_image_without_labels_adds_nothing() -> None:
    mask, output = drawn_labels((2, 40, 32), 5), drawn_output((2, 8, 10, 8), 5, 2)
    mask[1] = IGNORE
    loss = MaskClassificationLoss(IGNORE, num_points=200)
    targets, points = given(mask, loss)
    value = loss(output, targets, points)
    first = MaskOutput(
        *(part[:1] for part in output[:2]), tuple(MaskOutput(*(p[:1] for p in o[:2])) for o in output.aux)
    )
    torch.testing.assert_close(value, loss(first, semantic_targets(mask[:1], IGNORE), points[:1]))
    assert not any(gradient[1].any() for gradient in torch.autograd.grad(value, leaves_of(output)))
    nothing = loss(output, semantic_targets(torch.full_like(mask, IGNORE), IGNORE), points)
    assert float(nothing.detach()) == 0
    nothing.backward()


def test_segments_of_one_class_are_masks_of_their_own() -> None:
    """The same masks as those of a label map in which each has a class of its own, but for the classes."""
    mask, output = drawn_labels((2, 40, 32), 5), drawn_output((2, 8, 10, 8), 5, 2)
    loss = MaskClassificationLoss(IGNORE, class_weight=0, num_points=200)
    targets, points = given(mask, loss)
    same = MaskTargets(targets.maps, targets.ids, [[0] * len(own) for own in targets.ids], targets.labelled, IGNORE)
    assert torch.equal(loss(output, targets, points), loss(output, same, points))


def test_the_denominator_is_the_number_of_masks() -> None:
    loss = MaskClassificationLoss(IGNORE)
    mask = torch.tensor([[[0, 1]], [[1, IGNORE]]], dtype=torch.uint8)
    assert int(loss.denominator(semantic_targets(mask, IGNORE))) == 3


def test_a_label_that_is_no_class_is_refused() -> None:
    mask, output = torch.full((1, 8, 8), 9, dtype=torch.uint8), drawn_output((1, 4, 8, 8), 5, 1)
    loss = MaskClassificationLoss(IGNORE, num_points=16)
    with pytest.raises(UserError, match="the value 9, which is neither one of the 5 classes nor ignored"):
        loss(output, *given(mask, loss))


@pytest.mark.parametrize(
    ("name", "value"),
    [("class_weight", -1), ("no_object_weight", math.nan), ("num_points", 0), ("oversample_ratio", 0.5),
     ("importance_ratio", 2)],
)  # fmt: skip
def test_arguments_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"loss.{name} is"):
        MaskClassificationLoss(IGNORE, **{name: value})
