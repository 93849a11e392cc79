"""Nets and their encoders."""

from seglight.models.encoder_decoder import EncoderDecoder
from seglight.models.encoders import TimmEncoder
from seglight.models.ensemble import Ensemble, Stacking

__all__ = ["EncoderDecoder", "Ensemble", "Stacking", "TimmEncoder"]
