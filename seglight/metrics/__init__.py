"""Scores out of one integer confusion matrix."""

from seglight.metrics.jaccard import JaccardIndex
from seglight.metrics.scores import PROTOCOL, Scores

__all__ = ["PROTOCOL", "JaccardIndex", "Scores"]
