"""Decoders, one per file."""

from seglight.models.decoders.deeplabv3 import DeepLabV3
from seglight.models.decoders.deeplabv3plus import DeepLabV3Plus
from seglight.models.decoders.dpt import DPT
from seglight.models.decoders.fcn import FCN
from seglight.models.decoders.fpn import FPN
from seglight.models.decoders.lraspp import LRASPP
from seglight.models.decoders.ocr import OCR
from seglight.models.decoders.pspnet import PSPNet
from seglight.models.decoders.reseg import ReSeg
from seglight.models.decoders.segformer import SegFormer
from seglight.models.decoders.unet import UNet
from seglight.models.decoders.unetplusplus import UNetPlusPlus
from seglight.models.decoders.upernet import UPerNet

__all__ = [
    "DPT",
    "FCN",
    "FPN",
    "LRASPP",
    "OCR",
    "DeepLabV3",
    "DeepLabV3Plus",
    "PSPNet",
    "ReSeg",
    "SegFormer",
    "UNet",
    "UNetPlusPlus",
    "UPerNet",
]
