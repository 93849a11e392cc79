"""Nets and their encoders."""

from seglight.models.encoder_decoder import EncoderDecoder
from seglight.models.encoders import TimmEncoder

__all__ = ["EncoderDecoder", "TimmEncoder"]
