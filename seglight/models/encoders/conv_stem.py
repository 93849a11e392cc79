"""ConvNeXt with a convolutional stem, which robust ImageNet weights are published for (arXiv 2303.01870, section 4)."""

import torch
from timm.layers.drop import DropPath
from torch import nn

from seglight.errors import UserError
from seglight.models.encoders.timm_encoder import TimmEncoder
from seglight.models.layers import LayerNorm2d
from seglight.models.weights.robust import ROBUST_CONVNEXT
from seglight.models.weights.state import fill_encoder


class ConvStemConvNeXt(TimmEncoder):
    """A ConvNeXt of timm whose patches are cut by two 3x3 convolutions; features of strides 4, 8, 16 and 32.

    Images are not normalised but read in [0, 1], as in the training of the published weights.

    Args:
        name: timm's model name, `convnext_tiny` or `convnext_small`.
        weights: A file of weights of github.com/nmndeep/revisiting-at ("CvSt"); None: untrained.
        drop_path: Stochastic depth rate of the last block; it rises linearly from 0 at the first.
        in_channels: Channels of the image.

    Raises:
        UserError: The model is no ConvNeXt, or the weights are not available or do not fit.
    """

    def __init__(
        self, name: str = "convnext_tiny", weights: str | None = None, drop_path: float = 0.0, in_channels: int = 3
    ) -> None:
        super().__init__(name, None, in_channels=in_channels, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        if "convnext" not in name:
            raise UserError(f"encoder.name '{name}' is no ConvNeXt: give convnext_tiny or convnext_small")
        width = self.out_channels[0]
        self.net["stem_0"] = nn.Sequential(
            nn.Conv2d(in_channels, width // 2, 3, stride=2, padding=1),
            LayerNorm2d(width // 2),
            nn.GELU(),
            nn.Conv2d(width // 2, width, 3, stride=2, padding=1),
            LayerNorm2d(width),
            nn.GELU(),
        )
        self.net["stem_1"] = nn.Identity()
        blocks = [block for stage in range(4) for block in self.net[f"stages_{stage}"].blocks]
        for block, rate in zip(blocks, torch.linspace(0, drop_path, len(blocks)).tolist(), strict=True):
            block.drop_path = DropPath(rate) if rate else nn.Identity()
        if weights is not None:
            fill_encoder(self, ROBUST_CONVNEXT, weights)
