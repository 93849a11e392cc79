"""U-Net's expanding path: upsample, concatenate the encoder's feature, two convolutions (arXiv 1505.04597)."""

from collections.abc import Sequence

from torch import Tensor, nn

from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct, Upsampling


class UNet(Decoder):
    """Output at the stride of the encoder's finest feature, or finer by `further` stages.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features; not used, their sizes are read instead.
        channels: Channels of the stages from coarse to fine; stages without an entry take the last.
        further: Channels of stages after those, which have no feature to join: each doubles height and width.
        upsampling: Interpolation, "bilinear" or "nearest", which segmentation_models.pytorch uses.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        channels: Sequence[int] = (256, 128, 64, 32),
        further: Sequence[int] = (),
        upsampling: Upsampling = "bilinear",
    ) -> None:
        super().__init__()
        stages = []
        below = in_channels[-1]
        skips = [*reversed(in_channels[:-1])]
        widths = [*(channels[min(stage, len(channels) - 1)] for stage in range(len(skips))), *further]
        for stage, width in enumerate(widths):
            skip = skips[stage] if stage < len(skips) else 0
            stages.append(nn.Sequential(ConvNormAct(below + skip, width), ConvNormAct(width, width)))
            below = width
        self.stages = nn.ModuleList(stages)
        self.upsampling: Upsampling = upsampling
        self.out_channels = below

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, out_channels, h, w) of the finest feature."""
        x = features[-1]
        skips: list[Sequence[Tensor]] = [(skip,) for skip in reversed(features[:-1])]
        skips += [()] * (len(self.stages) - len(skips))
        for stage, skip in zip(self.stages, skips, strict=True):
            join, refine = stage[0], stage[1]  # type: ignore[index]  # a Sequential
            x = refine(join.beside(x, skip, self.upsampling))
        return x
