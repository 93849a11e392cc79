"""Nets and their encoders."""

from seglight.models.encoder_decoder import EncoderDecoder
from seglight.models.encoders import TimmEncoder
from seglight.models.ensemble import Ensemble, Stacking
from seglight.models.mix_transformer import MixTransformer
from seglight.models.mobilenetv3 import MobileNetV3Encoder
from seglight.models.pointrend import PointRend
from seglight.models.published import import_weights
from seglight.models.vit import ViTEncoder

__all__ = [
    "EncoderDecoder",
    "Ensemble",
    "MixTransformer",
    "MobileNetV3Encoder",
    "PointRend",
    "Stacking",
    "TimmEncoder",
    "ViTEncoder",
    "import_weights",
]
