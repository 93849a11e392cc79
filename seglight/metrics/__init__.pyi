from .boundary import BoundaryF, BoundaryIoU
from .calibration import BestTemperature, CalibrationError
from .confusion import ConfusionMatrix, JaccardIndex, MeanIoU
from .scores import PROTOCOL, Scores

__all__ = [
    "PROTOCOL",
    "BestTemperature",
    "BoundaryF",
    "BoundaryIoU",
    "CalibrationError",
    "ConfusionMatrix",
    "JaccardIndex",
    "MeanIoU",
    "Scores",
]
