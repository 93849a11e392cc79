"""Label maps out of head-stride logits against interpolate + argmax."""

import pytest
import torch
import torch.nn.functional as F

from seglight.ops.upsample import upsampled_argmax

TIE = 1e-5
"""Where the two largest logits are closer than this, rounding may choose either: 1 pixel in 1,048,576 differed."""


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("classes", "small", "large"),
    [
        (2, (6, 8), (24, 32)),
        (11, (7, 5), (53, 37)),
        (19, (33, 65), (131, 257)),
        (150, (33, 17), (130, 67)),
        (255, (4, 4), (9, 9)),
        (5, (24, 18), (24, 18)),
        (5, (24, 18), (24, 70)),
        (5, (24, 18), (70, 18)),
    ],
)
def test_equals_interpolate_and_argmax(
    classes: int, small: tuple[int, int], large: tuple[int, int], dtype: torch.dtype
) -> None:
    logits = torch.randn(2, classes, *small, generator=torch.Generator().manual_seed(0)).to(dtype)
    upsampled = F.interpolate(logits.float(), large, mode="bilinear", align_corners=False)
    first, second = upsampled.topk(2, 1).values.unbind(1)
    clear = first - second > TIE
    labels = upsampled_argmax(logits, large)
    assert labels.dtype == torch.uint8
    assert labels.shape == (2, *large)
    assert torch.equal(labels[clear].long(), upsampled.argmax(1)[clear])
    assert clear.float().mean() > 0.98 if dtype == torch.float32 else clear.any()


def test_autocast_does_not_coarsen_the_logits() -> None:
    logits = torch.randn(1, 7, 9, 9, generator=torch.Generator().manual_seed(0))
    plain = upsampled_argmax(logits, (40, 40))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(upsampled_argmax(logits, (40, 40)), plain)
