"""Label maps out of head-stride logits against interpolate + argmax.

Covers: losses.band_pass.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.losses import band_pass
from seglight.losses.cross_entropy import CrossEntropy
from seglight.ops import upsample
from seglight.ops.bands import Band, bands
from seglight.ops.upsample import upsampled_argmax

Argmax = Callable[[Tensor, tuple[int, int]], Tensor]

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


def beside_a_loss(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """From the band pass of a cross-entropy, whatever its mask."""
    mask = torch.arange(size[0] * size[1]).remainder_(logits.shape[1]).to(torch.int16)
    mask[::3] = 999
    return CrossEntropy(999).with_labels(logits, mask.view(1, *size).expand(len(logits), -1, -1))[1]


@pytest.fixture(params=[upsampled_argmax, beside_a_loss], ids=["by itself", "beside a loss"])
def argmax(request: pytest.FixtureRequest) -> Argmax:
    form: Argmax = request.param
    return form


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("classes", "small", "large"), SIZES)
def test_equals_interpolate_and_argmax(
    argmax: Argmax, classes: int, small: tuple[int, int], large: tuple[int, int], dtype: torch.dtype
) -> None:
    """On every pixel: bfloat16 logits tie by the thousand."""
    logits = torch.randn(2, classes, *small, generator=torch.Generator().manual_seed(0)).to(dtype)
    labels = argmax(logits, large)
    assert labels.dtype == (torch.uint8 if classes <= 255 else torch.int32)
    assert labels.shape == (2, *large)
    expected = F.interpolate(logits.float(), large, mode="bilinear", align_corners=False).argmax(1)
    assert torch.equal(labels.long(), expected)


@pytest.mark.parametrize("kind", ["constant", "two alike", "integers"])
def test_ties_go_to_the_first_class(argmax: Argmax, kind: str) -> None:
    logits = torch.randn(1, 6, 12, 10, generator=torch.Generator().manual_seed(0))
    if kind == "constant":
        logits = torch.ones_like(logits)
    elif kind == "two alike":
        logits[:, 2] = logits[:, 5] = logits.amax(1)
    else:
        logits = logits.round()
    expected = F.interpolate(logits, (48, 37), mode="bilinear", align_corners=False)
    assert torch.equal(argmax(logits, (48, 37)).long(), expected.argmax(1))
    assert (expected.topk(2, 1).values.diff(dim=1) == 0).any()


@pytest.mark.parametrize("factors", [(4, 4), (2, 2), (2, 8), (16, 1), (1, 4)])
@pytest.mark.parametrize("grain", [3, 40, 200])
def test_maps_of_regions(argmax: Argmax, grain: int, factors: tuple[int, int]) -> None:
    """Near-ties along the borders of regions, everywhere in a map of one region, and none at all."""
    small = (101, 75)
    large = (small[0] * factors[0], small[1] * factors[1])
    generator = torch.Generator().manual_seed(grain)
    coarse = torch.randn(2, 9, -(-small[0] // grain), -(-small[1] // grain), generator=generator)
    logits = 10 * F.interpolate(coarse, small, mode="nearest")
    logits[0] += 1e-6 * torch.randn(9, *small, generator=generator)
    expected = F.interpolate(logits, large, mode="bilinear", align_corners=False).argmax(1)
    assert torch.equal(argmax(logits, large).long(), expected)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("classes", [2, 3, 4, 11])
@pytest.mark.parametrize(("small", "factor"), [((12, 15), 2), ((21, 27), 2), ((40, 97), 4), ((11, 130), 8)])
def test_near_ties_by_any_kernel_of_torch(
    argmax: Argmax,
    small: tuple[int, int],
    factor: int,
    classes: int,
    threads: int,
    threads_of_torch: Callable[[int], None],
) -> None:
    """It has one for few channels and one for small maps, and chooses by the number of threads."""
    threads_of_torch(threads)
    logits = 100 * torch.randn(2, classes, *small, generator=torch.Generator().manual_seed(0))
    spots = torch.arange(0, small[0] * small[1], 97)
    logits.flatten(2)[..., spots] = 300 + 1e-4 * torch.randn(2, classes, len(spots))
    large = (small[0] * factor, small[1] * factor)
    expected = F.interpolate(logits, large, mode="bilinear", align_corners=False).argmax(1)
    assert torch.equal(argmax(logits, large).long(), expected)


@pytest.fixture
def threads_of_torch() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_torch_upsamples_only_near_ties(argmax: Argmax, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    interpolate = F.interpolate

    def spied(source: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        shapes.append(source.shape)
        return interpolate(source, *args, **kwargs)

    logits = torch.randn(1, 20, 256, 192, generator=torch.Generator().manual_seed(0))
    logits[0, :, 60:62, 40:42] = 7.0  # between four alike lie 4 x 4 pixels where all are
    monkeypatch.setattr(F, "interpolate", spied)
    labels = argmax(logits, (1024, 768))
    (shape,) = shapes
    assert 16 * 20 <= shape[0] < 1000  # pixels and classes
    assert shape[1:].numel() < 100  # logits around each
    assert torch.equal(labels.long(), interpolate(logits, (1024, 768), mode="bilinear", align_corners=False).argmax(1))


@pytest.mark.parametrize("side", [1, 20])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_no_number_hides_nothing(argmax: Argmax, value: float, side: int) -> None:
    logits = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    logits[:, 1:3, 9 : 9 + side, 9 : 9 + side] = value
    expected = F.interpolate(logits, (256, 256), mode="bilinear", align_corners=False)
    clear = ~expected.isnan().any(1)
    assert torch.equal(argmax(logits, (256, 256)).long()[clear], expected.argmax(1)[clear])


def test_autocast_does_not_coarsen_the_logits(argmax: Argmax) -> None:
    logits = torch.randn(1, 7, 9, 9, generator=torch.Generator().manual_seed(0))
    plain = argmax(logits, (40, 40))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(argmax(logits, (40, 40)), plain)


def test_one_band_pass_beside_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = []

    def spied(logits: Tensor, size: tuple[int, int]) -> Iterator[Band]:
        passes.append(size)
        return bands(logits, size)

    for module in (upsample, band_pass):
        monkeypatch.setattr(module, "bands", spied)
    beside_a_loss(torch.randn(1, 7, 32, 64), (128, 256))
    assert passes == [(128, 256)]
