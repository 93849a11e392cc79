"""Label maps out of head-stride logits against interpolate + argmax."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from seglight.ops.upsample import upsampled_argmax

SIZES = [
    (2, (6, 8), (24, 32)),
    (11, (7, 5), (53, 37)),
    (19, (33, 65), (131, 257)),
    (19, (64, 128), (256, 512)),
    (150, (33, 17), (130, 67)),
    (255, (4, 4), (9, 9)),
    (300, (4, 5), (16, 19)),
    (5, (24, 18), (24, 18)),
    (5, (24, 18), (24, 70)),
    (5, (24, 18), (70, 18)),
    (5, (24, 18), (7, 11)),
    (3, (1, 1), (5, 6)),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("classes", "small", "large"), SIZES)
def test_equals_interpolate_and_argmax(
    classes: int, small: tuple[int, int], large: tuple[int, int], dtype: torch.dtype
) -> None:
    """On every pixel: bfloat16 logits tie by the thousand."""
    logits = torch.randn(2, classes, *small, generator=torch.Generator().manual_seed(0)).to(dtype)
    labels = upsampled_argmax(logits, large)
    assert labels.dtype == (torch.uint8 if classes <= 256 else torch.int16)
    assert labels.shape == (2, *large)
    expected = F.interpolate(logits.float(), large, mode="bilinear", align_corners=False).argmax(1)
    assert torch.equal(labels.long(), expected)


@pytest.mark.parametrize("kind", ["constant", "two alike", "integers"])
def test_ties_go_to_the_first_class(kind: str) -> None:
    logits = torch.randn(1, 6, 12, 10, generator=torch.Generator().manual_seed(0))
    if kind == "constant":
        logits = torch.ones_like(logits)
    elif kind == "two alike":
        logits[:, 2] = logits[:, 5] = logits.amax(1)
    else:
        logits = logits.round()
    expected = F.interpolate(logits, (48, 37), mode="bilinear", align_corners=False)
    assert torch.equal(upsampled_argmax(logits, (48, 37)).long(), expected.argmax(1))
    assert (expected.topk(2, 1).values.diff(dim=1) == 0).any()


@pytest.mark.parametrize("factors", [(4, 4), (2, 8), (16, 1), (1, 4)])
@pytest.mark.parametrize("grain", [3, 40, 200])
def test_maps_of_regions(grain: int, factors: tuple[int, int]) -> None:
    """Where few classes are near: regions of so many logits, whole tiles of one class, edges of no round length."""
    small = (101, 75)
    large = (small[0] * factors[0], small[1] * factors[1])
    generator = torch.Generator().manual_seed(grain)
    coarse = torch.randn(2, 9, -(-small[0] // grain), -(-small[1] // grain), generator=generator)
    logits = 10 * F.interpolate(coarse, small, mode="nearest")
    logits[0] += 1e-6 * torch.randn(9, *small, generator=generator)  # near-ties along the borders
    expected = F.interpolate(logits, large, mode="bilinear", align_corners=False).argmax(1)
    assert torch.equal(upsampled_argmax(logits, large).long(), expected)


def test_only_classes_that_may_win_are_upsampled(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    interpolate = F.interpolate

    def spied(source: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        shapes.append(source.shape)
        return interpolate(source, *args, **kwargs)

    logits = torch.full((1, 50, 128, 96), -1.0)
    logits[:, (7, 30)] = 0
    logits[:, 7, :64] = logits[:, 30, 64:] = 5
    monkeypatch.setattr(F, "interpolate", spied)
    labels = upsampled_argmax(logits, (512, 384))
    assert {shape[1] for shape in shapes} <= {2}  # and none at all in tiles of one class
    assert len(shapes) < 2 * 3 + 1
    assert labels.unique().tolist() == [7, 30]


def test_not_a_number_hides_nothing() -> None:
    logits = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    logits[:, :, :20, :20] = torch.nan
    expected = F.interpolate(logits, (256, 256), mode="bilinear", align_corners=False)
    clear = expected.isfinite().all(1)
    assert torch.equal(upsampled_argmax(logits, (256, 256)).long()[clear], expected.argmax(1)[clear])


def test_autocast_does_not_coarsen_the_logits() -> None:
    logits = torch.randn(1, 7, 9, 9, generator=torch.Generator().manual_seed(0))
    plain = upsampled_argmax(logits, (40, 40))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(upsampled_argmax(logits, (40, 40)), plain)
