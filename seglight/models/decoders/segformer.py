"""SegFormer's head: a linear map of each feature, concatenated at stride 4 and mixed by another (arXiv 2105.15203)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct, resize_to


class SegFormer(Decoder):
    """Output at stride 4, or at the finest coarser stride there is.

    A linear map of each pixel may as well come before the interpolation, and two in turn are one: what the paper does
    to four concatenated maps of stride 4 is done to each feature at its own stride, and summed.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features.
        channels: Channels of each map and of the output: 256 beside B0 and B1, 768 beside the larger (section 4.2).
        dropout: Dropout rate before the head.
    """

    def __init__(
        self, in_channels: Sequence[int], in_strides: Sequence[int], channels: int = 256, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.levels = [level for level, stride in enumerate(in_strides) if stride >= 4]
        # no bias: the batch norm of the mix would take it away again
        self.linear = nn.ModuleList(nn.Conv2d(in_channels[level], channels, 1, bias=False) for level in self.levels)
        self.mix = ConvNormAct(len(self.levels) * channels, channels, 1)
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, channels, H / 4, W / 4)."""
        mix, norm, act = self.mix
        read = [features[level] for level in self.levels]
        columns = mix.weight[..., 0, 0].split(self.out_channels, 1)  # type: ignore[index]  # a Tensor, as below
        maps = [
            F.conv2d(x, (column @ conv.weight[..., 0, 0])[..., None, None])  # type: ignore[index]
            for x, column, conv in zip(read, columns, self.linear, strict=True)
        ]
        mixed: Tensor = self.dropout(act(norm(sum(resize_to(x, read[0]) for x in maps))))
        return mixed
