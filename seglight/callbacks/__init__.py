"""What is done beside the steps."""

from seglight.callbacks.confusion_figure import ConfusionFigure
from seglight.callbacks.ema import EMA
from seglight.callbacks.environment import Environment
from seglight.callbacks.image_scores import ImageScores
from seglight.callbacks.metrics_file import MetricsFile
from seglight.callbacks.panels import ImagePanels
from seglight.callbacks.progress import ProgressBar
from seglight.callbacks.report import RunReport
from seglight.callbacks.throughput import Throughput

__all__ = [
    "EMA",
    "ConfusionFigure",
    "Environment",
    "ImagePanels",
    "ImageScores",
    "MetricsFile",
    "ProgressBar",
    "RunReport",
    "Throughput",
]
