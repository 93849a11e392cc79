"""UPerNet: a feature pyramid whose top is PSPNet's pooling, all levels merged at the finest (arXiv 1807.10221)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct, LayerNorm2d, PyramidPooling, resize_to


class UPerNet(Decoder):
    """Output at stride 4, or at the finest coarser stride there is.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features.
        channels: Channels of the pyramid and of the output.
        bins: Cells along a side of each grid that the coarsest feature is pooled to (arXiv 1612.01105).
        norm_features: Whether each feature has a layer norm first, as in the code of Swin and ConvNeXt.
        dropout: Dropout rate before the head.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        channels: int = 512,
        bins: Sequence[int] = (1, 2, 3, 6),
        norm_features: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.levels = [level for level, stride in enumerate(in_strides[:-1]) if stride >= 4]
        widths = [*(in_channels[level] for level in self.levels), in_channels[-1]]
        self.norms = nn.ModuleList(LayerNorm2d(width) if norm_features else nn.Identity() for width in widths)
        self.top = PyramidPooling(in_channels[-1], channels, channels, bins)
        self.lateral = nn.ModuleList(ConvNormAct(in_channels[level], channels, 1) for level in self.levels)
        self.smooth = nn.ModuleList(ConvNormAct(channels, channels) for _ in self.levels)
        self.merge = ConvNormAct((len(self.levels) + 1) * channels, channels)
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, channels, H / 4, W / 4)."""
        read = [*(features[level] for level in self.levels), features[-1]]
        *finer, coarsest = (norm(x) for norm, x in zip(self.norms, read, strict=True))
        pyramid = [*(conv(x) for conv, x in zip(self.lateral, finer, strict=True)), self.top(coarsest)]
        for fine in range(len(pyramid) - 2, -1, -1):
            pyramid[fine] = pyramid[fine] + resize_to(pyramid[fine + 1], pyramid[fine])
        # the top comes smooth out of the pooling
        maps = [conv(x) for conv, x in zip(self.smooth, pyramid[:-1], strict=True)] + pyramid[-1:]
        merged: Tensor = self.dropout(self.merge(torch.cat([resize_to(x, maps[0]) for x in maps], 1)))
        return merged
