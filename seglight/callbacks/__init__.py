"""Callbacks that act between training steps: exact checkpoints, weight averages, panels, reports."""

from seglight.callbacks.bn_momentum import BatchNormMomentum
from seglight.callbacks.compile import Compile
from seglight.callbacks.confusion_figure import ConfusionFigure
from seglight.callbacks.ema import EMA
from seglight.callbacks.environment import Environment
from seglight.callbacks.exact_checkpoint import ExactCheckpoint
from seglight.callbacks.freeze import FreezeEncoder
from seglight.callbacks.image_scores import ImageScores
from seglight.callbacks.labelled_pixels import LabelledPixels
from seglight.callbacks.metrics_file import MetricsFile
from seglight.callbacks.nonfinite import NonFinite
from seglight.callbacks.panels import ImagePanels
from seglight.callbacks.precise_bn import PreciseBN
from seglight.callbacks.preflight import Preflight
from seglight.callbacks.progress import ProgressBar
from seglight.callbacks.report import RunReport
from seglight.callbacks.short_runs import ShortRuns
from seglight.callbacks.swa import SWA
from seglight.callbacks.throughput import Throughput

__all__ = [
    "EMA",
    "SWA",
    "BatchNormMomentum",
    "Compile",
    "ConfusionFigure",
    "Environment",
    "ExactCheckpoint",
    "FreezeEncoder",
    "ImagePanels",
    "ImageScores",
    "LabelledPixels",
    "MetricsFile",
    "NonFinite",
    "PreciseBN",
    "Preflight",
    "ProgressBar",
    "RunReport",
    "ShortRuns",
    "Throughput",
]
