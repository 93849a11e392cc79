"""Blocks that several decoders share."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Upsampling = Literal["bilinear", "nearest"]

FEW = 512
"""Pixels of a batch below which preparing the kernel of `doubled_conv` takes longer than it saves.

To measure it, compare `doubled_conv(x, weight)` with `F.conv2d(F.interpolate(x, scale_factor=2), weight, padding=1)` by
`python -m timeit -s "import torch; from seglight.models.layers import doubled_conv; ..."` for small x.
"""


class ConvNormAct(nn.Sequential):
    """Convolution without bias, batch norm, ReLU; the size stays."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3, dilation: int = 1) -> None:
        padding = dilation * (kernel_size // 2)
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def beside(self, x: Tensor, finer: Sequence[Tensor], mode: Upsampling) -> Tensor:
        """`forward` of (B, C, h, w) brought to the size of finer maps, or doubled, and concatenated with them."""
        size = finer[0].shape[-2:] if finer else torch.Size(2 * side for side in x.shape[-2:])
        batch, channels, height, width = x.shape
        fast = self.training and x.device.type == "cpu" and batch * height * width >= FEW
        # an exported graph keeps the plain operators
        if mode == "bilinear" or not fast or size != (2 * height, 2 * width):
            resized = x if x.shape[-2:] == size else _interpolated(x, size, mode)
            out: Tensor = self(torch.cat([resized, *finer], 1))
            return out
        conv, norm, act = self
        weight: Tensor = conv.weight  # type: ignore[assignment]
        coarse, fine = weight[:, :channels], weight[:, channels:]
        y = doubled_conv(x, coarse)
        if finer:
            y = y + F.conv2d(torch.cat([*finer], 1), fine, padding=1)
        normed: Tensor = act(norm(y))
        return normed


def doubled_conv(x: Tensor, weight: Tensor) -> Tensor:
    """3x3 convolution of (B, C, h, w) doubled by nearest neighbours, without the doubled map.

    Both steps are one transposed convolution of stride 2, whose kernel is the 3x3 one spread over 2x2 pixels: 4
    multiplications for each pixel and channel instead of 9.
    """
    kernel = weight.transpose(0, 1).flip(2, 3)
    kernel = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))
    return F.conv_transpose2d(x, F.pad(kernel, (0, 1)) + F.pad(kernel, (1, 0)), stride=2, padding=1)


class SeparableConvNormAct(nn.Sequential):
    """Depthwise 3x3 and pointwise convolution, batch norm, ReLU (Xception, arXiv 1610.02357)."""

    def __init__(self, in_channels: int, out_channels: int, dilation: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, in_channels, 3, padding=dilation, dilation=dilation, groups=in_channels, bias=False),
            nn.Conv2d(in_channels, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class PooledConv(nn.Sequential):
    """Means over a grid of `bins` x `bins` cells, 1x1 convolution, batch norm, ReLU.

    A single bin has a bias instead: batch norm fails on the single value a channel of a batch of one.
    """

    def __init__(self, in_channels: int, out_channels: int, bins: int) -> None:
        norm = [nn.BatchNorm2d(out_channels)] if bins > 1 else []
        conv = nn.Conv2d(in_channels, out_channels, 1, bias=bins == 1)
        super().__init__(GridMeans(bins), conv, *norm, nn.ReLU(inplace=True))


class GridMeans(nn.AdaptiveAvgPool2d):
    """Adaptive average pooling; by matrix products on a GPU with deterministic algorithms, which torch does not have.

    An exported graph has products, too: ONNX only pools sizes that the grid divides.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, bins, bins)."""
        if torch.compiler.is_exporting() or (x.is_cuda and torch.are_deterministic_algorithms_enabled()):
            return self.by_products(x)
        return super().forward(x)

    def by_products(self, x: Tensor) -> Tensor:
        """Rows, then columns, are averaged by a matrix each."""
        rows, columns = (self._weights(size).to(x) for size in x.shape[-2:])
        return rows @ x @ columns.T

    def _weights(self, size: int) -> Tensor:
        # cell i of n covers what of the side lies in [i / n, (i + 1) / n), pixels that it only touches too
        bins = int(self.output_size)  # type: ignore[arg-type]
        cells, place = torch.arange(bins)[:, None], torch.arange(size)
        inside = (place >= cells * size // bins) & (place < -(-(cells + 1) * size // bins))
        return inside / inside.sum(1, keepdim=True)


class LayerNorm2d(nn.LayerNorm):
    """Over the channels of each pixel of (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class AtrousPyramid(nn.Module):
    """ASPP: a 1x1 branch, dilated 3x3 branches and the image's mean, projected to `channels` (arXiv 1706.05587).

    Args:
        in_channels: Channels of the map.
        channels: Channels of each branch and of the output.
        dilations: Dilations of the 3x3 branches.
        conv: Class of these branches.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        dilations: Sequence[int],
        conv: Callable[..., nn.Module] = ConvNormAct,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [ConvNormAct(in_channels, channels, 1)]
            + [conv(in_channels, channels, dilation=dilation) for dilation in dilations]
        )
        self.pool = PooledConv(in_channels, channels, 1)
        self.project = ConvNormAct((len(dilations) + 2) * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, channels, h, w)."""
        mean = self.pool(x).expand(-1, -1, *x.shape[-2:])
        projected: Tensor = self.project(torch.cat([*(branch(x) for branch in self.branches), mean], 1))
        return projected


class PyramidPooling(nn.Module):
    """PPM: the map beside its means over grids of several sizes, merged by a convolution (arXiv 1612.01105).

    Args:
        in_channels: Channels of the map.
        bin_channels: Channels that each grid's means are brought to.
        channels: Channels of the output.
        bins: Cells along a side of each grid.
        kernel_size: Kernel size of the convolution that merges.
    """

    def __init__(
        self, in_channels: int, bin_channels: int, channels: int, bins: Sequence[int], kernel_size: int = 3
    ) -> None:
        super().__init__()
        self.pools = nn.ModuleList(PooledConv(in_channels, bin_channels, count) for count in bins)
        self.merge = ConvNormAct(in_channels + len(bins) * bin_channels, channels, kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, channels, h, w)."""
        merged: Tensor = self.merge(torch.cat([x, *(resize_to(pool(x), x) for pool in self.pools)], 1))
        return merged


def resize_to(x: Tensor, like: Tensor, mode: Upsampling = "bilinear") -> Tensor:
    """Resize (B, C, h, w) to the height and width of another map."""
    if x.shape[-2:] == like.shape[-2:]:
        return x
    return _interpolated(x, like.shape[-2:], mode)


def _interpolated(x: Tensor, size: torch.Size, mode: Upsampling) -> Tensor:
    return F.interpolate(x, size, mode=mode, align_corners=False if mode == "bilinear" else None)


def doubled(x: Tensor) -> Tensor:
    """(B, C, h, w) to (B, C, 2 * h, 2 * w), bilinearly."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def init_decoder(module: nn.Module) -> None:
    """He initialisation of convolutions (arXiv 1502.01852) and unit batch norms, for what has no trained weights."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
