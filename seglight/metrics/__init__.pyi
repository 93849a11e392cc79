from .boundary import BoundaryF, BoundaryIoU
from .calibration import BestTemperature, CalibrationError
from .confusion import ConfusionMatrix, JaccardIndex, MeanIoU
from .error_detection import ErrorDetection
from .mask_ap import MaskAP
from .object_size import ObjectSizeIoU
from .panoptic import PanopticQuality
from .scores import PROTOCOL, Scores

__all__ = [
    "PROTOCOL",
    "BestTemperature",
    "BoundaryF",
    "BoundaryIoU",
    "CalibrationError",
    "ConfusionMatrix",
    "ErrorDetection",
    "JaccardIndex",
    "MaskAP",
    "MeanIoU",
    "ObjectSizeIoU",
    "PanopticQuality",
    "Scores",
]
