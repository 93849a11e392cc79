"""Decoders: features of an encoder in, one map out."""

from seglight.models.decoders.deeplabv3plus import DeepLabV3Plus
from seglight.models.decoders.fpn import FPN
from seglight.models.decoders.unet import UNet

__all__ = ["FPN", "DeepLabV3Plus", "UNet"]
