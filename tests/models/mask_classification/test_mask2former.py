"""Mask2Former over encoders of all kinds, at any size; deformable attention against its definition.

Parity with transformers is in tests/parity/test_mask2former.py.
Covers: models.mask_classification.deformable_attention, models.mask_classification.mask_decoder,
models.mask_classification.pixel_decoder.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.errors import UserError
from seglight.interfaces import Encoder
from seglight.models import Mask2Former, MixTransformer, TimmEncoder, ViTEncoder
from seglight.models.mask_classification.deformable_attention import DeformableAttention, by_corners
from seglight.models.mask_classification.mask_decoder import attended
from seglight.models.mask_classification.pixel_decoder import sine_positions

CLASSES, QUERIES = 3, 4
ENCODERS = {
    "five features": lambda: TimmEncoder("resnet18", None),
    "dilated": lambda: TimmEncoder("resnet18", None, output_stride=16),
    "four features": lambda: MixTransformer("b0", None),
    "pyramid": lambda: ViTEncoder("vit_tiny_patch16_224", None, blocks=[2, 5, 8, 11], pyramid=32),
}


def net(encoder: Encoder, **options: Any) -> Mask2Former:
    torch.manual_seed(0)
    return Mask2Former(
        CLASSES, encoder, **{"num_queries": QUERIES, "width": 32, "pixel_layers": 1, "layers": 4, **options}
    )


@pytest.mark.parametrize("kind", ENCODERS)
def test_any_encoder_at_any_size(kind: str) -> None:
    made = net(ENCODERS[kind]())
    image = torch.randint(256, (2, 3, 70, 101), dtype=torch.uint8)
    trained = made(image)
    evaluated = made.eval()(image)
    assert len(trained.aux) == 4
    assert not evaluated.aux
    for output in (trained, *trained.aux, evaluated):
        assert output.class_logits.shape == (2, QUERIES, CLASSES + 1)
        assert output.mask_logits.shape == (2, QUERIES, 18, 26)
    losses = [each.mask_logits.square().mean() + each.class_logits.mean() for each in (trained, *trained.aux)]
    torch.stack(losses).sum().backward()
    assert all(parameter.grad is not None for parameter in made.mask_decoder.parameters())
    assert all(parameter.grad is not None for parameter in made.pixel_decoder.parameters())


def test_attention_reads_points_around_each_place() -> None:
    """Place by place and point by point, as the paper's equation 3."""
    torch.manual_seed(0)
    attention = DeformableAttention(8, heads=2, levels=2, points=3).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    sizes = [(2, 3), (4, 5)]
    count = 6 + 20
    x, positions = torch.randn(1, count, 8).double(), torch.randn(1, count, 8).double()
    value = attention.value(x)[0].view(count, 2, 4)
    offsets = attention.offsets(x + positions)[0].view(count, 2, 2, 3, 2)
    weights = attention.weights(x + positions)[0].view(count, 2, 6).softmax(2).view(count, 2, 2, 3)
    expected = torch.zeros(count, 2, 4).double()
    places = [((c + 0.5) / w, (r + 0.5) / h) for h, w in sizes for r in range(h) for c in range(w)]
    for place, (px, py) in enumerate(places):
        for head in range(2):
            for level, (h, w) in enumerate(sizes):
                start = 0 if level == 0 else 6
                for point in range(3):
                    dx, dy = offsets[place, head, level, point].tolist()
                    column, row = px * w + dx - 0.5, py * h + dy - 0.5
                    for r in range(h):
                        for c in range(w):
                            share = max(0.0, 1 - abs(column - c)) * max(0.0, 1 - abs(row - r))
                            weight = weights[place, head, level, point] * share
                            expected[place, head] += weight * value[start + r * w + c, head]
    ours = attention(x, positions, sizes)
    torch.testing.assert_close(ours[0], attention.project(expected.flatten(1)), atol=1e-6, rtol=1e-6)


def test_corners_give_what_grid_sample_gives_with_its_gradients() -> None:
    torch.manual_seed(0)
    maps = torch.randn(3, 2, 4, 6, dtype=torch.float64, requires_grad=True)
    grid = (torch.rand(3, 5, 7, 2, dtype=torch.float64) * 3 - 1.5).requires_grad_()
    ours = by_corners(maps, grid)
    theirs = F.grid_sample(maps, grid, padding_mode="zeros", align_corners=False)
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn_like(theirs)
    for one, other in zip(
        torch.autograd.grad((ours * weights).sum(), (maps, grid)),
        torch.autograd.grad((theirs * weights).sum(), (maps, grid)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_queries_with_an_empty_mask_attend_to_everything() -> None:
    logits = -torch.ones(1, 2, 8, 8)
    logits[0, 1, :4, :4] = 1.0
    allowed = attended(logits, torch.zeros(1, 1, 4, 4)).view(2, 4, 4)
    assert allowed[0].all()
    assert allowed[1, :2, :2].all()
    assert allowed[1].sum() == 4


def test_positions_differ_by_row_and_column() -> None:
    found = sine_positions(torch.zeros(1, 8, 3, 5)).view(3, 5, 8)
    assert torch.equal(found[:, 0, :4], found[:, 4, :4])
    assert torch.equal(found[0, :, 4:], found[2, :, 4:])
    assert len(found.flatten(0, 1).unique(dim=0)) == 15


@pytest.mark.slow
def test_the_net_can_be_exported() -> None:
    made = net(TimmEncoder("resnet18", None)).eval()
    image = torch.randint(256, (1, 3, 64, 64), dtype=torch.uint8)
    program: Any = torch.export.export(made, (image,), strict=False).module()
    found: Tensor = program(image).mask_logits
    torch.testing.assert_close(found, made(image).mask_logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "what"),
    [({"width": 40}, "width 40"), ({"layers": 0}, "layers 0"), ({"num_queries": 0}, "num_queries 0")],
)
def test_what_is_refused(options: dict[str, Any], what: str) -> None:
    with pytest.raises(UserError, match=what):
        net(TimmEncoder("resnet18", None), **options)


def test_encoders_with_too_few_features_are_refused() -> None:
    with pytest.raises(UserError, match="four features"):
        net(TimmEncoder("resnet18", None, depth=3))
