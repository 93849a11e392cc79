"""DeepLabV3: dilated spatial pyramid over the coarsest feature (arXiv 1706.05587)."""

from collections.abc import Sequence

from torch import Tensor, nn

from seglight.interfaces import Decoder
from seglight.models.layers import AtrousPyramid, ConvNormAct


class DeepLabV3(Decoder):
    """Output at the stride of the coarsest feature. The paper's encoder has stride 16: give it `output_stride: 16`.

    The 3x3 convolution after the pyramid is not the paper's; torchvision and segmentation_models.pytorch have it.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features; not used.
        channels: Channels of the pyramid and of the output.
        dilations: Dilations of the 3x3 branches: 6, 12, 18 at stride 16, twice that at stride 8 (section 3.3).
        dropout: Dropout rate after the pyramid.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        channels: int = 256,
        dilations: Sequence[int] = (6, 12, 18),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.pyramid = AtrousPyramid(in_channels[-1], channels, dilations)
        self.dropout = nn.Dropout2d(dropout)
        self.merge = ConvNormAct(channels, channels)
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, channels, h, w) of the coarsest feature."""
        merged: Tensor = self.merge(self.dropout(self.pyramid(features[-1])))
        return merged
