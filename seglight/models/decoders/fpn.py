"""Panoptic FPN's semantic branch: a pyramid whose levels are brought to stride 4 and summed (arXiv 1901.02446)."""

from collections.abc import Sequence

from torch import Tensor, nn

from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct, resize_to


class FPN(Decoder):
    """Output at stride 4, or at the finest coarser stride there is.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features.
        pyramid_channels: Channels of the pyramid (arXiv 1612.03144: 256).
        channels: Channels of the output (arXiv 1901.02446, section 3: 128).
        groups: Number of groups of the branches' group norms (section 3: 32); None: batch norms instead.
        dropout: Dropout rate before the head.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        pyramid_channels: int = 256,
        channels: int = 128,
        groups: int | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.levels = [level for level, stride in enumerate(in_strides) if stride >= 4]
        self.lateral = nn.ModuleList(nn.Conv2d(in_channels[level], pyramid_channels, 1) for level in self.levels)
        self.branches = nn.ModuleList(
            UpBranch(pyramid_channels, channels, max(1, steps), groups) for steps in range(len(self.levels))
        )
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, channels, H / 4, W / 4)."""
        pyramid = [conv(features[level]) for conv, level in zip(self.lateral, self.levels, strict=True)]
        for fine in range(len(pyramid) - 2, -1, -1):
            pyramid[fine] = pyramid[fine] + resize_to(pyramid[fine + 1], pyramid[fine])
        total = self.branches[0](pyramid[0], pyramid[:1])
        for level in range(1, len(pyramid)):
            total = total + self.branches[level](pyramid[level], pyramid[level - 1 :: -1])
        dropped: Tensor = self.dropout(total)
        return dropped


class UpBranch(nn.Module):
    """A 3x3 convolution before each step up (arXiv 1901.02446, figure 3)."""

    def __init__(self, in_channels: int, channels: int, steps: int, groups: int | None) -> None:
        super().__init__()
        self.convs = nn.ModuleList(ConvNormAct(channels if step else in_channels, channels) for step in range(steps))
        if groups is not None:
            for conv in self.convs:
                conv[1] = nn.GroupNorm(groups, channels)  # type: ignore[operator]  # a Sequential

    def forward(self, x: Tensor, finer: Sequence[Tensor]) -> Tensor:
        """Bring (B, in_channels, h, w) to the size of each map in `finer` in turn."""
        for conv, like in zip(self.convs, finer, strict=True):
            x = resize_to(conv(x), like)
        return x
