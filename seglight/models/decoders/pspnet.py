"""PSPNet: the coarsest feature beside its means over grids of several sizes (arXiv 1612.01105)."""

from collections.abc import Sequence

from torch import Tensor, nn

from seglight.interfaces import Decoder
from seglight.models.layers import PyramidPooling


class PSPNet(Decoder):
    """Output at the stride of the coarsest feature. The paper's encoder has stride 8: give it `output_stride: 8`.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features; not used.
        channels: Channels of the output.
        bins: Cells along a side of each grid (section 3.2).
        merge_kernel: Kernel size of the merging convolution: 3 in the paper's code, 1 in segmentation_models.pytorch.
        dropout: Dropout rate before the head.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        channels: int = 512,
        bins: Sequence[int] = (1, 2, 3, 6),
        merge_kernel: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        # the grids together have as many channels as the feature (section 3.2)
        self.pyramid = PyramidPooling(in_channels[-1], in_channels[-1] // len(bins), channels, bins, merge_kernel)
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, channels, h, w) of the coarsest feature."""
        dropped: Tensor = self.dropout(self.pyramid(features[-1]))
        return dropped
