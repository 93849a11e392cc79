"""MobileNetV3-Large as torchvision has it under its published DeepLabV3 and LR-ASPP (arXiv 1905.02244)."""

from timm.models import adapt_input_conv
from torch import Tensor, nn
from torchvision.models import mobilenet_v3_large

from seglight.models.encoders.normalized import NormalizedEncoder
from seglight.models.weights.rewrite import IMAGENET_MEAN, IMAGENET_STD, Family
from seglight.models.weights.state import fill_encoder

TAPS = {1: 2, 3: 4, 4: 8, 16: 16}
"""Layers whose outputs are features, and their strides. At stride 8 it is the first of three: LR-ASPP reads that."""

IMAGENET = Family(
    "torchvision MobileNetV3",
    r"features\.",
    lambda state: {
        name.replace("features.", "encoder.net."): value
        for name, value in state.items()
        if name.startswith("features.")
    },
)


class MobileNetV3Encoder(NormalizedEncoder):
    """Features of strides 2, 4, 8 and 16; dilated from the block on that would have the stride of 32.

    timm's `mobilenetv3_large_100` is the same net without a dilation in that block, and with other features.

    Args:
        weights: A file of torchvision's mobilenet_v3_large; None: untrained.
        in_channels: Channels of the image.

    Raises:
        UserError: The weights are not available or do not fit.
    """

    def __init__(self, weights: str | None = None, in_channels: int = 3) -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD, in_channels)
        self.net = mobilenet_v3_large(dilated=True).features
        stem = self.net[0][0]
        stem.in_channels = in_channels
        stem.weight = nn.Parameter(adapt_input_conv(in_channels, stem.weight.detach()))
        self.out_channels = [self.net[k].out_channels for k in TAPS]
        self.strides = list(TAPS.values())
        if weights is not None:
            fill_encoder(self, IMAGENET, weights)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Images (B, bands, H, W) to features (B, C, H / stride, W / stride), fine to coarse; sizes are rounded up."""
        x = self.normalized(image)
        features = []
        for k, layer in enumerate(self.net):
            x = layer(x)
            if k in TAPS:
                features.append(x)
        return features
