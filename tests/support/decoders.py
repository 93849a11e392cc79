"""Every decoder with arguments that keep it small."""

from collections.abc import Callable
from functools import partial

from seglight.interfaces import DecoderFactory
from seglight.models.decoders import (
    DPT,
    FCN,
    FPN,
    LRASPP,
    OCR,
    DeepLabV3,
    DeepLabV3Plus,
    PSPNet,
    ReSeg,
    SegFormer,
    UNet,
    UNetPlusPlus,
    UPerNet,
)

DECODERS: dict[str, tuple[DecoderFactory, Callable[[list[int]], int]]] = {
    "DeepLabV3": (partial(DeepLabV3, channels=32), lambda strides: strides[-1]),
    "DeepLabV3Plus": (partial(DeepLabV3Plus, channels=32, skip_channels=8), lambda _: 4),
    "DPT": (partial(DPT, widths=(8, 8, 16, 16), channels=16), lambda _: 2),
    "FCN": (partial(FCN, channels=32), lambda _: 8),
    "FPN": (partial(FPN, pyramid_channels=32, channels=16), lambda _: 4),
    "LRASPP": (LRASPP, lambda _: 8),
    "OCR": (partial(OCR, channels=32, key_channels=16), lambda strides: strides[-1]),
    "PSPNet": (partial(PSPNet, channels=32), lambda strides: strides[-1]),
    "ReSeg": (partial(ReSeg, hidden=(8, 8), channels=(8, 8)), lambda strides: sorted({*strides})[-2]),
    "SegFormer": (partial(SegFormer, channels=32), lambda _: 4),
    "UNet": (partial(UNet, channels=(32, 16)), lambda strides: strides[0]),
    "UNetPlusPlus": (partial(UNetPlusPlus, channels=(16, 8)), lambda strides: strides[0]),
    "UPerNet": (partial(UPerNet, channels=32), lambda _: 4),
}
"""Each, narrow where it is wide, and the stride that it ends on, of the encoder's strides."""
