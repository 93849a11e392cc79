"""DeepLabV3+: dilated spatial pyramid over the coarsest feature, merged with one of stride 4 (arXiv 1802.02611)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Decoder
from seglight.models.layers import AtrousPyramid, ConvNormAct, SeparableConvNormAct, resize_to


class DeepLabV3Plus(Decoder):
    """Output at stride 4. The paper's encoder has stride 16: give the encoder `output_stride: 16`.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features; one must be 4.
        channels: Channels of the pyramid and of the output.
        skip_channels: Channels that the stride-4 feature is brought to (section 3.1: 48).
        dilations: Dilations of the pyramid's 3x3 branches (6, 12, 18 at stride 16 in the paper).
        convs: Separable 3x3 convolutions before and after the merge: none and two are the paper's (section 4.1), one
            and one those of segmentation_models.pytorch.
        dropout: Dropout rate after the pyramid.

    Raises:
        UserError: No feature has stride 4.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        channels: int = 256,
        skip_channels: int = 48,
        dilations: Sequence[int] = (6, 12, 18),
        convs: tuple[int, int] = (0, 2),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if 4 not in in_strides[:-1]:
            raise UserError(
                f"DeepLabV3Plus needs a feature of stride 4 below the last: the encoder has {list(in_strides)}"
            )
        self.skip_index = list(in_strides).index(4)
        self.pyramid = AtrousPyramid(in_channels[-1], channels, dilations, SeparableConvNormAct)
        self.dropout = nn.Dropout2d(dropout)
        self.skip = ConvNormAct(in_channels[self.skip_index], skip_channels, 1)
        before, after = convs
        self.context = nn.Sequential(*(SeparableConvNormAct(channels, channels) for _ in range(before)))
        widths = [channels + skip_channels] + [channels] * after
        self.merge = nn.Sequential(*(SeparableConvNormAct(widths[k], channels) for k in range(after)))
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, channels, H / 4, W / 4)."""
        skip = self.skip(features[self.skip_index])
        context = resize_to(self.context(self.dropout(self.pyramid(features[-1]))), skip)
        merged: Tensor = self.merge(torch.cat([context, skip], 1))
        return merged
