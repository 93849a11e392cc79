"""Encoders: from an image to features, fine to coarse."""

from seglight.models.encoders.conv_stem import ConvStemConvNeXt
from seglight.models.encoders.mix_transformer import MixTransformer
from seglight.models.encoders.mobilenetv3 import MobileNetV3Encoder
from seglight.models.encoders.timm_encoder import TimmEncoder
from seglight.models.encoders.vit import ViTEncoder

__all__ = ["ConvStemConvNeXt", "MixTransformer", "MobileNetV3Encoder", "TimmEncoder", "ViTEncoder"]
