"""ReSeg: recurrent sweeps over the columns and rows of a feature, then transposed convolutions (arXiv 1511.07053)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Decoder
from seglight.models.layers import resize_to


class ReSeg(Decoder):
    """Reads the coarsest feature. The first transposed convolution ends at its stride, each further one a stride finer.

    The paper ends its VGG early, and so does an encoder with `depth: 4`: its last stride is 8, that of the output 4.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features.
        hidden: Units of each of a layer's four sweeps (section 3.1); the first layer reads patches of 2x2.
        channels: Channels of the transposed convolutions (section 3.2).

    Raises:
        UserError: More transposed convolutions than strides.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        hidden: Sequence[int] = (100, 100),
        channels: Sequence[int] = (50, 50),
    ) -> None:
        super().__init__()
        strides = sorted({*in_strides}, reverse=True)
        if len(channels) > len(strides):
            raise UserError(
                f"ReSeg decoder.channels {list(channels)}: the encoder has features of {len(strides)} strides only"
            )
        self.levels = [list(in_strides).index(stride) for stride in strides[: len(channels)]]
        widths = [in_channels[-1], *(2 * units for units in hidden)]
        self.sweeps = nn.Sequential(*(ReNetLayer(widths[k], units, 1 if k else 2) for k, units in enumerate(hidden)))
        self.ups = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(below, width, 2, stride=2), nn.ReLU(inplace=True))
            for below, width in zip([widths[-1], *channels[:-1]], channels, strict=True)
        )
        self.out_channels = channels[-1]

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, out_channels, h, w): with two transposed convolutions, of the last but one."""
        x: Tensor = self.sweeps(features[-1])
        for up, level in zip(self.ups, self.levels, strict=True):
            height, width = features[level].shape[-2:]
            x = resize_to(up(x)[..., :height, :width], features[level])
        return x


class ReNetLayer(nn.Module):
    """Two GRUs sweep each column of patches, down and up; two more sweep the rows of what those give (section 3.1)."""

    def __init__(self, in_channels: int, hidden: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.columns = nn.GRU(in_channels * patch**2, hidden, bidirectional=True)
        self.rows = nn.GRU(2 * hidden, hidden, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, 2 * hidden, h / patch, w / patch), rounded up."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.patch, 0, -height % self.patch))
        x = _sweep(self.columns, F.pixel_unshuffle(x, self.patch))
        return _sweep(self.rows, x.transpose(2, 3)).transpose(2, 3)


def _sweep(gru: nn.GRU, x: Tensor) -> Tensor:
    """Along dimension 2 of (B, C, h, w), both ways."""
    batch, channels, height, width = x.shape
    states: Tensor = gru(x.permute(2, 0, 3, 1).reshape(height, batch * width, channels))[0]
    return states.view(height, batch, width, -1).permute(1, 3, 0, 2)
