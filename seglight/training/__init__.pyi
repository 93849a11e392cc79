from .fsdp import FSDP
from .mask_classification import MaskClassificationModule
from .methods.adversarial_training import AdversarialTraining
from .semantic import SegmentationModule

__all__ = ["FSDP", "AdversarialTraining", "MaskClassificationModule", "SegmentationModule"]
