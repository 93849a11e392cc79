"""Nets: encoders, decoders, and combinations of them."""

from seglight.models.encoder_decoder import EncoderDecoder
from seglight.models.encoders.conv_stem import ConvStemConvNeXt
from seglight.models.encoders.mix_transformer import MixTransformer
from seglight.models.encoders.mobilenetv3 import MobileNetV3Encoder
from seglight.models.encoders.timm_encoder import TimmEncoder
from seglight.models.encoders.vit import ViTEncoder
from seglight.models.ensemble import Ensemble, Stacking
from seglight.models.mask_classification.eomt import EoMT
from seglight.models.mask_classification.frozen_eomt import FrozenEoMT
from seglight.models.mask_classification.mask2former import Mask2Former
from seglight.models.mask_classification.plain_vit import PlainViT
from seglight.models.pointrend import PointRend
from seglight.models.weights.published import import_weights

__all__ = [
    "ConvStemConvNeXt",
    "EncoderDecoder",
    "Ensemble",
    "EoMT",
    "FrozenEoMT",
    "Mask2Former",
    "MixTransformer",
    "MobileNetV3Encoder",
    "PlainViT",
    "PointRend",
    "Stacking",
    "TimmEncoder",
    "ViTEncoder",
    "import_weights",
]
