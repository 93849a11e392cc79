"""DPT: maps of a transformer reassembled at four strides and fused from coarse to fine (arXiv 2103.13413)."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from seglight.errors import UserError
from seglight.interfaces import Decoder
from seglight.models.layers import ConvNormAct

STRIDES = (4, 8, 16, 32)


class DPT(Decoder):
    """Output at stride 2. The paper's encoder: `ViTEncoder` with four blocks, `pyramid: null` and `readout: true`.

    Args:
        in_channels: Channels of the encoder's features.
        in_strides: Strides of the features; four must be 4 or coarser.
        widths: Channels of the four maps where they are reassembled, fine to coarse; those of DPT-Base.
        channels: Channels of the fusion and of the output.
        readout: Whether the second half of each feature's channels is the class token, which is projected (equation 5).
        dropout: Dropout rate before the head.

    Raises:
        UserError: Not four features of stride 4 or coarser.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        widths: Sequence[int] = (96, 192, 384, 768),
        channels: int = 256,
        readout: bool = False,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.levels = [level for level, stride in enumerate(in_strides) if stride >= 4]
        if len(self.levels) != 4:
            raise UserError(f"DPT reads four features of stride 4 or coarser: the encoder has {list(in_strides)}")
        self.reassemble = nn.ModuleList(
            Reassemble(in_channels[level], width, channels, in_strides[level], stride, readout)
            for level, width, stride in zip(self.levels, widths, STRIDES, strict=True)
        )
        self.fusions = nn.ModuleList(Fusion(channels, joins=stride != STRIDES[-1]) for stride in STRIDES)
        self.merge = ConvNormAct(channels, channels)
        self.dropout = nn.Dropout(dropout)
        self.out_channels = channels

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """From features to (B, channels, H / 2, W / 2)."""
        maps = [part(features[level]) for part, level in zip(self.reassemble, self.levels, strict=True)]
        x = self.fusions[-1](maps[-1], None)
        for fusion, finer in zip(reversed(self.fusions[:-1]), reversed(maps[:-1]), strict=True):
            x = fusion(x, finer)
        dropped: Tensor = self.dropout(self.merge(x))
        return dropped


class Reassemble(nn.Module):
    """Read the class token, project, resample from one stride to another (section 3.1)."""

    def __init__(self, in_channels: int, width: int, channels: int, stride: int, to: int, readout: bool) -> None:
        super().__init__()
        kept = in_channels // 2 if readout else in_channels
        self.readout = nn.Linear(in_channels, kept) if readout else None
        self.project = nn.Conv2d(kept, width, 1)
        self.resize: nn.Module = nn.Identity()
        if stride > to:
            self.resize = nn.ConvTranspose2d(width, width, stride // to, stride // to)
        elif stride < to:
            self.resize = nn.Conv2d(width, width, 3, to // stride, 1)
        self.smooth = nn.Conv2d(width, channels, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) to (B, channels, h * stride / to, w * stride / to)."""
        if self.readout is not None:
            x = F.gelu(self.readout(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        smooth: Tensor = self.smooth(self.resize(self.project(x)))
        return smooth


class Fusion(nn.Module):
    """Join a finer map, refine, double (section 3.1, figure 1 right). Aligned corners, as in the paper's code."""

    def __init__(self, channels: int, joins: bool) -> None:
        super().__init__()
        self.joined = ResidualUnit(channels) if joins else None
        self.refined = ResidualUnit(channels)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, finer: Tensor | None) -> Tensor:
        """(B, channels, h, w) and a map of about that size to (B, channels, 2 * h, 2 * w)."""
        if self.joined is not None and finer is not None:
            if finer.shape != x.shape:
                finer = F.interpolate(finer, x.shape[-2:], mode="bilinear", align_corners=False)
            x = x + self.joined(finer)
        x = F.interpolate(self.refined(x), scale_factor=2, mode="bilinear", align_corners=True)
        projected: Tensor = self.project(x)
        return projected


class ResidualUnit(nn.Module):
    """Two 3x3 convolutions, each after a ReLU, and what went in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.convolution2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) to the same."""
        refined: Tensor = self.convolution2(F.relu(self.convolution1(F.relu(x))))
        return x + refined
