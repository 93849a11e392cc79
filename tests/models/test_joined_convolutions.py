"""A convolution of an upsampled map beside finer ones, against torch's interpolation, concatenation and convolution.

Covers: models.layers.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from seglight.models.layers import ConvNormAct, doubled_conv


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (1, 3)], ids=str)
def test_a_doubled_convolution(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 6, *size, requires_grad=True), torch.randn(4, 6, 3, 3, requires_grad=True)
    ours = doubled_conv(x, weight)
    theirs = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, padding=1)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    sign = torch.randn_like(ours)
    for mine, their in zip(*(torch.autograd.grad(y, (x, weight), sign) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(mine, their, rtol=1e-4, atol=1e-4)


def results(block: ConvNormAct, y: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    sign = torch.linspace(-1, 1, y.numel()).view_as(y)
    return [y, *torch.autograd.grad((y * sign).sum(), [*inputs, *block.parameters()])]


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("sizes", [((16, 20), (32, 40)), ((16, 20), (31, 39)), ((4, 5), (8, 10))], ids=str)
@pytest.mark.parametrize("widths", [(), (3,), (3, 5, 5)], ids=str)
def test_beside_finer_maps(
    widths: tuple[int, ...], sizes: tuple[tuple[int, int], tuple[int, int]], training: bool, mode: str
) -> None:
    torch.manual_seed(0)
    coarse, fine = sizes if widths else (sizes[0], (2 * sizes[0][0], 2 * sizes[0][1]))
    block = ConvNormAct(6 + sum(widths), 8).train(training)
    x = torch.randn(2, 6, *coarse, requires_grad=True)
    maps = [torch.randn(2, width, *fine, requires_grad=True) for width in widths]
    resized = F.interpolate(x, fine, mode=mode, align_corners=False if mode == "bilinear" else None)
    theirs = results(block, block(torch.cat([resized, *maps], 1)), [x, *maps])
    ours = results(block, block.beside(x, maps, mode), [x, *maps])
    for mine, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, their, rtol=1e-3, atol=1e-3 * float(their.detach().std()))
