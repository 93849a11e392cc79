"""Encoders: an image in, features from fine to coarse out."""

from seglight.models.encoders.mix_transformer import MixTransformer
from seglight.models.encoders.mobilenetv3 import MobileNetV3Encoder
from seglight.models.encoders.timm_encoder import TimmEncoder
from seglight.models.encoders.vit import ViTEncoder

__all__ = ["MixTransformer", "MobileNetV3Encoder", "TimmEncoder", "ViTEncoder"]
