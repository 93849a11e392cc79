"""LR-ASPP, the light head of MobileNetV3: the coarsest feature, gated by the image's mean (arXiv 1905.02244)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct, resize_to


class LRASPP(Decoder):
    """Output at stride 8. The paper's encoder has stride 16: give the encoder `output_stride: 16`.

    The paper sums the class scores of two maps (section 6.4, figure 10). Here the maps are concatenated: a 1x1
    convolution, the head, of both is that sum. The gate reads the mean over the whole image, as in torchvision.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features; one must be 8.
        channels: Channels that the coarsest feature is brought to.

    Raises:
        UserError: No feature has stride 8.
    """

    def __init__(self, in_channels: Sequence[int], in_strides: Sequence[int], channels: int = 128) -> None:
        super().__init__()
        if 8 not in in_strides[:-1]:
            raise UserError(f"LRASPP needs a feature of stride 8 below the last: the encoder has {list(in_strides)}")
        self.skip_index = list(in_strides).index(8)
        self.coarse = ConvNormAct(in_channels[-1], channels, 1)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(in_channels[-1], channels, 1, bias=False), nn.Sigmoid()
        )
        self.out_channels = channels + in_channels[self.skip_index]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, out_channels, H / 8, W / 8)."""
        skip, x = features[self.skip_index], features[-1]
        return torch.cat([resize_to(self.coarse(x) * self.gate(x), skip), skip], 1)
