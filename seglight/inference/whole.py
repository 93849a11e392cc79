"""The whole image in one pass of the net."""

import torch
from torch import Tensor, nn

from seglight.interfaces import seg_output
from seglight.ops.padding import pad_image
from seglight.ops.upsample import upsampled_argmax

DIVISOR = 32
"""Images are padded to a multiple of this, the coarsest stride of the usual encoders."""


def whole_image(net: nn.Module, image: Tensor) -> Tensor:
    """Label map of images of any size: uint8 (B, 3, H, W) in, uint8 (B, H, W) out."""
    padded = pad_image(image, DIVISOR)
    with torch.no_grad():
        logits = seg_output(net(padded)).logits
    labels = upsampled_argmax(logits, (padded.shape[-2], padded.shape[-1]))
    return labels[:, : image.shape[-2], : image.shape[-1]]
