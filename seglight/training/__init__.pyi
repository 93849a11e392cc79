from .fsdp import FSDP
from .semantic import SegmentationModule

__all__ = ["FSDP", "SegmentationModule"]
