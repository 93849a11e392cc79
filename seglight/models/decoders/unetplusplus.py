"""U-Net++: U-Nets of every depth, nested and densely joined (arXiv 1807.10165)."""

from collections.abc import Sequence

from torch import Tensor, nn

from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct, Upsampling


class UNetPlusPlus(Decoder):
    """Output at the stride of the encoder's finest feature, or finer by `further` stages: the deepest node only.

    Node j of level i (section 3.1, equation 1) reads all nodes before it on its level, the encoder's feature being the
    first of them, and node j - 1 of the next coarser level.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features; not used, their sizes are read instead.
        channels: Channels of the levels' nodes from coarse to fine; levels without an entry take the last.
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
        levels = []
        below = [in_channels[-1]]
        for level, skip in enumerate(reversed(in_channels[:-1])):
            width = channels[min(level, len(channels) - 1)]
            here = [skip] + [width] * len(below)
            levels.append(
                nn.ModuleList(
                    nn.Sequential(ConvNormAct(coarse + sum(here[: node + 1]), width), ConvNormAct(width, width))
                    for node, coarse in enumerate(below)
                )
            )
            below = here
        self.levels = nn.ModuleList(levels)
        widths = [below[-1], *further]
        self.further = nn.ModuleList(
            nn.Sequential(ConvNormAct(widths[k], width), ConvNormAct(width, width)) for k, width in enumerate(further)
        )
        self.upsampling: Upsampling = upsampling
        self.out_channels = widths[-1]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, out_channels, h, w) of the finest feature."""
        below = [features[-1]]
        for nodes, skip in zip(self.levels, reversed(features[:-1]), strict=True):
            here = [skip]
            for (join, refine), coarse in zip(nodes, below, strict=True):  # type: ignore[call-overload]  # a ModuleList
                here.append(refine(join.beside(coarse, here, self.upsampling)))
            below = here
        x = below[-1]
        for join, refine in self.further:  # type: ignore[misc]  # a Sequential
            x = refine(join.beside(x, (), self.upsampling))
        return x
