"""FCN-32s, -16s and -8s: class scores of coarse and finer features, summed (arXiv 1411.4038)."""

from collections.abc import Sequence

from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct, resize_to


class FCN(Decoder):
    """Output at `stride`, or at the coarsest feature's where that is finer.

    The paper sums class scores, each a linear map of a feature. Here linear maps of the features are summed, and the
    head, linear too, scores the sum: the same functions, as long as there are no more classes than `channels`. Instead
    of VGG's two layers of 4,096 channels (fc6, fc7) one 3x3 convolution reads the coarsest feature, as in torchvision.
    Upsampling is bilinear, from which the paper's transposed convolutions start.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features.
        stride: Stride of the finest feature that is read: 32, 16 or 8 (section 4.2).
        channels: Channels of the output.
        dropout: Dropout rate before the head.

    Raises:
        UserError: No feature has that stride.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        stride: int = 8,
        channels: int = 512,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if stride < in_strides[-1] and stride not in in_strides:
            raise UserError(f"FCN decoder.stride {stride}: the encoder has features of strides {list(in_strides)}")
        self.levels = [level for level, s in enumerate(in_strides) if stride <= s < in_strides[-1]]
        self.coarse = nn.Sequential(ConvNormAct(in_channels[-1], channels), nn.Dropout2d(dropout))
        self.skips = nn.ModuleList(nn.Conv2d(in_channels[level], channels, 1, bias=False) for level in self.levels)
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, channels, H / stride, W / stride)."""
        x: Tensor = self.coarse(features[-1])
        for level, skip in zip(reversed(self.levels), reversed(self.skips), strict=True):
            x = skip(features[level]) + resize_to(x, features[level])
        return x
