"""Bands against torch's interpolation, forward and back, and their way of ordering pixels.

Covers: ops.upsample.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from seglight.ops import bands as module
from seglight.ops.bands import add_band_gradient, bands, full_precision
from seglight.ops.upsample import upsampled_softmax

SIZES = [
    ((6, 8), (24, 32)),
    ((7, 5), (53, 35)),
    ((13, 9), (100, 70)),
    ((12, 10), (96, 80)),
    ((9, 33), (35, 33)),
    ((9, 11), (9, 11)),
    ((9, 11), (9, 44)),
    ((20, 16), (7, 5)),
    ((1, 1), (5, 6)),
    ((2, 1), (7, 3)),
]


@pytest.fixture(params=[1, 20_000, 10**9], ids=["a row of one image", "some rows", "all"])
def budget(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "budget", lambda device: request.param)


@pytest.mark.usefixtures("budget")
@pytest.mark.parametrize(("small", "large"), SIZES)
def test_values_and_gradient_are_those_of_interpolate(small: tuple[int, int], large: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 4, *small, generator=generator, dtype=torch.float64).requires_grad_()
    slope = torch.randn(3, 4, *large, generator=generator)
    expected = F.interpolate(logits, large, mode="bilinear", align_corners=False)
    (expected_gradient,) = torch.autograd.grad(expected, logits, slope.double())
    values, seen = torch.full((3, 4, *large), torch.nan), torch.zeros(3, *large)
    gradient = torch.zeros(3, 4, *small)
    for band in bands(logits.detach(), large):
        band.put(values, band.values)
        band.put(seen, band.of(seen) + 1)
        add_band_gradient(gradient, band, band.of(slope))
    assert (seen == 1).all()
    torch.testing.assert_close(values.double(), expected, rtol=0, atol=5e-6)
    largest = float(expected_gradient.abs().max())
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=0, atol=1e-5 * largest)


def test_values_may_be_written_over() -> None:
    logits = torch.ones(1, 2, 8, 8)
    for size in ((8, 8), (8, 16), (16, 8)):
        for band in bands(logits, size):
            band.values.zero_()
    assert (logits == 1).all()


def test_a_band_stays_within_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "budget", lambda device: 2**20)
    sizes = [band.values.numel() * 4 for band in bands(torch.zeros(4, 19, 64, 128), (256, 512))]
    assert max(sizes) <= 2**20
    assert min(sizes) > 2**18  # and makes use of it


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        (["32K", "512K", "32768K"], 2**25 // 7),
        (["32K", "14336K", "512K"], 2**21),
        (["1024K"], 2**20),
        (["262144K"], 2**23),
        ([], 2**25 // 7),  # a system that reports no sizes
    ],
)
def test_the_budget_is_a_share_of_the_last_cache(
    sizes: list[str], expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, size in enumerate(sizes):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(f"{size}\n")
    monkeypatch.setattr(module, "Path", lambda place: tmp_path)
    assert module.budget.__wrapped__(torch.device("cpu")) == expected


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_softmax(dtype: torch.dtype) -> None:
    logits = torch.randn(2, 5, 7, 9, generator=torch.Generator().manual_seed(0)).to(dtype)
    probabilities = torch.zeros(2, 5, 28, 36)
    for band, p in upsampled_softmax(logits, (28, 36)):
        band.put(probabilities, p)
    expected = F.interpolate(logits.float(), (28, 36), mode="bilinear", align_corners=False).softmax(1)
    torch.testing.assert_close(probabilities, expected)


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_products_are_of_float32_whatever_the_user_allows(precision: str) -> None:
    """TF32 and bfloat16 products are for the net; neither the upsampling nor its gradient is coarsened."""

    seen: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if "mm" in str(func):
                seen.extend([torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision])
            return func(*args, **(kwargs or {}))

    torch.set_float32_matmul_precision(precision)
    try:
        allowed = torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision
        logits = torch.randn(1, 3, 8, 8)
        with Watch(), full_precision():
            for band in bands(logits, (32, 32)):
                add_band_gradient(torch.zeros_like(logits), band, torch.ones_like(band.values))
        assert len(seen) >= 6
        assert set(seen) == {"ieee"}
        assert torch.get_float32_matmul_precision() == precision
        assert (torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision) == allowed
    finally:
        torch.set_float32_matmul_precision("highest")
