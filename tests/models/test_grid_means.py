"""Means over a grid of cells by products, against torch's own pooling."""

import pytest
import torch
import torch.nn.functional as F

from seglight.models.layers import GridMeans


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(6, 12), (7, 13), (4, 5), (2, 3)])
def test_products_are_adaptive_pooling(bins: int, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    found, expected = GridMeans(bins).by_products(x), F.adaptive_avg_pool2d(x, bins)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    weight = torch.randn_like(expected)
    (gradient,), (theirs,) = (torch.autograd.grad((means * weight).sum(), x) for means in (found, expected))
    torch.testing.assert_close(gradient, theirs, rtol=1e-6, atol=1e-6)


@pytest.mark.gpu
def test_deterministic_on_a_gpu() -> None:
    x = torch.randn(2, 3, 7, 13, requires_grad=True)
    (expected,) = torch.autograd.grad(F.adaptive_avg_pool2d(x, 3).square().sum(), x)
    torch.use_deterministic_algorithms(True)
    try:
        on_gpu = x.detach().cuda().requires_grad_()
        (gradient,) = torch.autograd.grad(GridMeans(3)(on_gpu).square().sum(), on_gpu)
    finally:
        torch.use_deterministic_algorithms(False)
    torch.testing.assert_close(gradient.cpu(), expected)
