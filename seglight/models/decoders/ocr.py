"""OCR: each pixel beside a mixture of its image's classes, each class the mean of its pixels (arXiv 1909.11065)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglight.interfaces import GuidedDecoder
from seglight.models.layers import ConvNormAct, resize_to


class OCR(GuidedDecoder):
    """Output at the stride of the coarsest feature. The paper's ResNet has stride 8: give it `output_stride: 8`.

    The soft object regions are the scores of the net's auxiliary head, whose loss has weight 0.4 as in the paper.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features; not used.
        channels: Channels of pixels and regions, and of the output (section 3.3).
        key_channels: Channels in which pixels and regions are compared.
        dropout: Dropout rate before the head.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        channels: int = 512,
        key_channels: int = 256,
        dropout: float = 0.05,
    ) -> None:
        super().__init__()
        self.pixel = ConvNormAct(in_channels[-1], channels)
        self.query = ConvNormAct(channels, key_channels, 1)
        self.key = ConvNormAct(channels, key_channels, 1)
        self.value = ConvNormAct(channels, key_channels, 1)
        self.context = ConvNormAct(key_channels, channels, 1)
        self.augment = ConvNormAct(2 * channels, channels, 1)
        self.dropout = nn.Dropout2d(dropout)
        self.scale = key_channels**-0.5
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor], scores: Tensor) -> Tensor:
        """From features and class scores (B, C, any size) to (B, channels, h, w) of the coarsest feature."""
        x = self.pixel(features[-1])
        membership = resize_to(scores, x).flatten(2).softmax(2)  # (B, C, h * w): each class over the pixels
        regions = (x.flatten(2) @ membership.transpose(1, 2)).unsqueeze(3)  # (B, channels, C, 1)
        query, key, value = self.query(x).flatten(2), self.key(regions).flatten(2), self.value(regions).flatten(2)
        relation = (self.scale * query.transpose(1, 2) @ key).softmax(2)  # (B, h * w, C): each pixel over the classes
        context = self.context((value @ relation.transpose(1, 2)).unflatten(2, x.shape[-2:]))
        augmented: Tensor = self.dropout(self.augment(torch.cat([context, x], 1)))
        return augmented
