"""Scores from one integer confusion matrix, of boundaries, and of confidence."""

from seglight.metrics.boundary import BoundaryF, BoundaryIoU
from seglight.metrics.calibration import BestTemperature, CalibrationError
from seglight.metrics.confusion import ConfusionMatrix, JaccardIndex, MeanIoU
from seglight.metrics.scores import PROTOCOL, Scores

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
