"""Panoptic FPN's semantic branch: a pyramid whose levels are brought to stride 4 and summed (arXiv 1901.02446)."""

from collections.abc import Sequence

from torch import Tensor, nn

from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct, resize_to


class FPN(Decoder):
    """Output at stride 4, or at the finest coarser stride there is.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Their strides.
        pyramid_channels: Channels of the pyramid (arXiv 1612.03144: 256).
        channels: Channels of the output (arXiv 1901.02446, section 3: 128).
        dropout: Before the head.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        pyramid_channels: int = 256,
        channels: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.levels = [level for level, stride in enumerate(in_strides) if stride >= 4]
        strides = [in_strides[level] for level in self.levels]
        self.lateral = nn.ModuleList(nn.Conv2d(in_channels[level], pyramid_channels, 1) for level in self.levels)
        # one 3x3 for each doubling of the stride, at least one, as in the paper
        self.steps = nn.ModuleList(
            nn.ModuleList(
                ConvNormAct(pyramid_channels if step == 0 else channels, channels)
                for step in range(max(1, (stride // strides[0]).bit_length() - 1))
            )
            for stride in strides
        )
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features in, (B, channels, H / 4, W / 4) out."""
        lateral = [conv(features[level]) for conv, level in zip(self.lateral, self.levels, strict=True)]
        for fine in range(len(lateral) - 2, -1, -1):
            lateral[fine] = lateral[fine] + resize_to(lateral[fine + 1], lateral[fine])
        total = self.steps[0][0](lateral[0])  # type: ignore[index]
        for level in range(1, len(lateral)):
            x = lateral[level]
            # after each 3x3 up to the size of the next finer level; the last step is at the finest
            for step, conv in enumerate(self.steps[level], 1):  # type: ignore[arg-type]
                x = resize_to(conv(x), lateral[max(0, level - step)])
            total = total + resize_to(x, total)
        dropped: Tensor = self.dropout(total)
        return dropped
