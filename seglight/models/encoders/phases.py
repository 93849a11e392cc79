"""Dilated depthwise convolution by phases, for training on a CPU.

A convolution of dilation d never mixes pixels whose rows or columns differ modulo d: on each of the d x d grids of
pixels that do not differ it is a plain convolution. oneDNN's backward pass of a dilated depthwise 5x5 takes five times
as long as that of a plain one.
"""

import torch.nn.functional as F
from torch import Tensor, nn


class PhasedConv2d(nn.Conv2d):
    """A depthwise nn.Conv2d of stride 1 with a dilation that divides its padding."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape as nn.Conv2d gives, and the same values up to rounding."""
        if not self.training or x.device.type != "cpu":  # an exported graph keeps one plain operator
            return super().forward(x)
        d, (height, width) = self.dilation[0], x.shape[-2:]
        x = F.pad(x, (0, -width % d, 0, -height % d)).permute(0, 2, 3, 1)
        batch, rows, columns, channels = x.shape[0], x.shape[1] // d, x.shape[2] // d, x.shape[3]
        grids = x.reshape(batch, rows, d, columns, d, channels).permute(0, 2, 4, 1, 3, 5)
        phases = grids.reshape(-1, rows, columns, channels).permute(0, 3, 1, 2)
        padding = self.padding[0] // d  # type: ignore[operator]  # numbers: `phased` looks
        y = F.conv2d(phases, self.weight, self.bias, padding=padding, groups=self.groups).permute(0, 2, 3, 1)
        y = y.reshape(batch, d, d, rows, columns, channels).permute(0, 3, 1, 4, 2, 5)
        return y.reshape(batch, rows * d, columns * d, channels)[:, :height, :width].permute(0, 3, 1, 2)


def phased(net: nn.Module) -> None:
    """Replace the dilated depthwise convolutions of a net by `PhasedConv2d`; names and parameters stay."""
    for parent in list(net.modules()):
        for name, conv in list(parent.named_children()):
            if type(conv) is nn.Conv2d and _fits(conv):
                ours = PhasedConv2d(
                    conv.in_channels,
                    conv.out_channels,
                    conv.kernel_size,  # type: ignore[arg-type]
                    padding=conv.padding,  # type: ignore[arg-type]
                    dilation=conv.dilation,  # type: ignore[arg-type]
                    groups=conv.groups,
                    bias=conv.bias is not None,
                )
                ours.weight = conv.weight
                ours.bias = conv.bias
                setattr(parent, name, ours)


def _fits(conv: nn.Conv2d) -> bool:
    depthwise = conv.groups == conv.in_channels == conv.out_channels
    square = len({*conv.kernel_size}) == len({*conv.dilation}) == 1 and conv.stride == (1, 1)
    d, reach = conv.dilation[0], conv.kernel_size[0] // 2
    return depthwise and square and d > 1 and conv.padding == (d * reach, d * reach) and conv.padding_mode == "zeros"
