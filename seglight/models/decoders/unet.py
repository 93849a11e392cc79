"""U-Net's expanding path: upsample, concatenate the encoder's feature, two convolutions (arXiv 1505.04597)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct, resize_to


class UNet(Decoder):
    """Output at the stride of the encoder's finest feature.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Their strides; not needed, the features' own sizes tell.
        channels: Channels of the stages from coarse to fine; stages without an entry take the last.
    """

    def __init__(
        self, in_channels: Sequence[int], in_strides: Sequence[int], channels: Sequence[int] = (256, 128, 64, 32)
    ) -> None:
        super().__init__()
        stages = []
        below = in_channels[-1]
        for stage, skip in enumerate(reversed(in_channels[:-1])):
            width = channels[min(stage, len(channels) - 1)]
            stages.append(nn.Sequential(ConvNormAct(below + skip, width), ConvNormAct(width, width)))
            below = width
        self.stages = nn.ModuleList(stages)
        self.out_channels = below

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features in, (B, out_channels, h, w) of the finest out."""
        x = features[-1]
        for stage, skip in zip(self.stages, reversed(features[:-1]), strict=True):
            x = stage(torch.cat([resize_to(x, skip), skip], 1))
        return x
