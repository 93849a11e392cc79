from .fsdp import FSDP
from .methods.adversarial_training import AdversarialTraining
from .semantic import SegmentationModule

__all__ = ["FSDP", "AdversarialTraining", "SegmentationModule"]
