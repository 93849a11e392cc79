import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.ops.mask_targets import Segments, segment_targets, semantic_targets, target_samples

IGNORE = 255


def sampled(masks: Tensor, points: Tensor) -> Tensor:
    """`grid_sample` of masks (T, H, W)."""
    grid = (2 * points - 1).expand(len(masks), 1, -1, 2)
    return F.grid_sample(masks.float().unsqueeze(1), grid, align_corners=False)[:, 0, 0]


def test_samples_are_those_of_stacked_masks() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (13, 9), generator=generator, dtype=torch.uint8)
    labels[torch.rand(labels.shape, generator=generator) < 0.2] = IGNORE
    points = torch.rand(300, 2, generator=generator)
    ids = torch.tensor([0, 2, 3, 4])
    shares, labelled = target_samples(labels, ids, IGNORE, points)
    torch.testing.assert_close(shares, sampled(labels == ids[:, None, None], points), rtol=1e-5, atol=1e-6)
    ignored, inside = sampled(torch.stack([labels == IGNORE, labels >= 0]), points)
    torch.testing.assert_close(labelled, 1 - ignored / inside, rtol=1e-5, atol=2e-6)


def test_points_between_ignored_pixels_have_no_weight_and_others_all() -> None:
    points = torch.rand(500, 2, generator=torch.Generator().manual_seed(0))
    nothing = torch.full((8, 8), IGNORE, dtype=torch.uint8)
    assert not target_samples(nothing, torch.tensor([1]), IGNORE, points)[1].any()
    assert (target_samples(nothing * 0, torch.tensor([0]), IGNORE, points)[1] == 1).all()


def test_each_class_of_an_image_is_a_mask() -> None:
    mask = torch.tensor([[[3, 3, 255], [0, 0, 3]], [[255, 255, 255], [255, 255, 255]]], dtype=torch.uint8)
    targets = semantic_targets(mask, IGNORE)
    assert (targets.ids, targets.classes) == ([[0, 3], []], [[0, 3], []])
    assert targets.labelled == [True, False]
    assert targets.count == 2
    assert targets.maps is mask


def test_each_segment_with_pixels_is_a_mask_and_a_crowd_is_ignored() -> None:
    segments = torch.tensor([[[1, 1, 3], [0, 4, 4]], [[0, 0, 0], [0, 0, 0]], [[1, 1, 1], [1, 1, 1]]], dtype=torch.int32)
    mask = torch.tensor([[[7, 7, 5], [0, 5, 255]], [[0, 0, 0], [0, 0, 0]], [[2, 2, 2], [2, 2, 2]]], dtype=torch.uint8)
    classes = [torch.tensor([7, 9, 5, 5]), torch.tensor([], dtype=torch.int64), torch.tensor([2])]
    crowds = [torch.tensor([False, False, True, False]), torch.tensor([], dtype=torch.bool), torch.tensor([True])]
    targets = segment_targets(Segments(segments, mask), classes, crowds, IGNORE)
    assert targets.maps[0].tolist() == [[1, 1, -1], [0, 4, -1]]
    assert targets.ids == [[1, 4], [], []]
    assert targets.classes == [[7, 5], [], []]
    assert targets.labelled == [True, True, False]
    assert targets.ignored == -1
    assert segments[0, 0, 2] == 3, "what the batch holds is not changed"


def test_values_are_read_from_the_copy_on_the_host() -> None:
    """The maps stay where they are: here, on a device of which no value can be read."""
    mask = torch.tensor([[[3, 255], [0, 3]]], dtype=torch.uint8)
    segments = torch.tensor([[[2, 2], [1, 0]]], dtype=torch.int32)
    targets = semantic_targets(mask.to("meta"), IGNORE, mask)
    assert (targets.ids, targets.maps.device.type) == ([[0, 3]], "meta")
    facts = [torch.tensor([8, 9])], [torch.tensor([True, False])]
    elsewhere = Segments(segments.to("meta"), mask.to("meta"))
    targets = segment_targets(elsewhere, *facts, IGNORE, Segments(segments, mask))
    assert (targets.ids, targets.classes, targets.maps.device.type) == ([[2]], [[9]], "meta")
